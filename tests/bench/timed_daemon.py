"""bgcamd with an output ``null:`` that remembers when each frame came; daemon.py runs it.

timed_daemon.py TIMES.npy OPTIONS OF BGCAMD: writes CLOCK_MONOTONIC in ns, int64, when it ends.
"""

from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path
from types import TracebackType

import numpy as np

from bgcamd import wiring
from bgcamd.__main__ import main
from bgcamd.frame import Frame
from bgcamd.video.null import NullSink

_file = Path(sys.argv.pop(1))


class TimedSink(NullSink):
    """Keeps 8 bytes a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.times = array("q")

    def write(self, frame: Frame) -> None:
        self.times.append(time.monotonic_ns())
        super().write(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        np.save(_file, np.array(self.times))


wiring.NullSink = TimedSink  # type: ignore[misc]
main(prog_name="bgcamd")
