"""bgcamd with an output ``null:`` that remembers when each frame came, and how old it was; daemon.py runs it.

timed_daemon.py TIMES.npy OPTIONS OF BGCAMD: writes CLOCK_MONOTONIC in ns, int64, when it ends; and the ages of the
live frames, ns, to TIMES.ages.npy.
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
from bgcamd.stats import Stats
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
        np.save(_file.with_suffix(".ages.npy"), np.array(_ages))


_ages = array("q")
_written = Stats.written


def _noted(self: Stats, captured_ns: int, now_ns: int) -> None:
    _ages.append(now_ns - captured_ns)
    _written(self, captured_ns, now_ns)


Stats.written = _noted  # type: ignore[method-assign]
wiring.NullSink = TimedSink  # type: ignore[misc]
main(prog_name="bgcamd")
