"""How busy the daemon's loop keeps the CPU: its own capture thread, loop and output, with a camera that is none."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live.capture import Capture
from bgcamd.live.demand import Demand
from bgcamd.live.looks import Looks
from bgcamd.live.loop import LiveLoop
from bgcamd.live.outputs import OutputPlan, Outputs
from bgcamd.pipeline import Pipeline
from bgcamd.scene import PreparedScene
from bgcamd.video.mailbox import Latest
from bgcamd.video.null import NullSink

RATE = Fraction(30)
_SETTLE_S = 1.0


class Paced:
    """A Source that sends the same few frames over and over, 30 a second."""

    name, rate = "a camera that is none", RATE

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.size, self._frames = frames[0].size, itertools.cycle(frames)
        self._next, self._sequence = time.monotonic(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Nothing to close."""

    def read(self, timeout_s: float) -> Frame:
        """Sleep until the next is due."""
        self._next += float(1 / RATE)
        time.sleep(max(0.0, self._next - time.monotonic()))
        frame = next(self._frames)
        self._sequence += 1
        return Frame(frame.planes, frame.format, frame.size, captured_ns=time.monotonic_ns(), sequence=self._sequence)


def busy_percent(
    pipeline: Pipeline, scene: PreparedScene, frames: Sequence[Frame], seconds: float
) -> tuple[float, float]:
    """CPU time of all threads of this process in percent of one core, and how many frames a second came out."""
    sink, mailbox = NullSink(), Latest[Frame]()
    capture = Capture(lambda: Paced(frames), mailbox)
    outputs = Outputs([OutputPlan("null:", lambda: sink)])
    with outputs, capture:
        loop = LiveLoop(
            capture=capture,
            mailbox=mailbox,
            outputs=outputs,
            pipeline=pipeline,
            scene=scene,
            demand=Demand(lambda: True, None),
            looks=Looks(frames[0].size),
            draw_card=lambda _, __: _black(frames[0].size),
        )
        figures: list[tuple[float, float, int]] = []

        def watch() -> None:
            for wait in (_SETTLE_S, seconds):
                time.sleep(wait)
                figures.append((time.process_time(), time.monotonic(), sink.frames))
            loop.stop()

        watcher = threading.Thread(target=watch)
        watcher.start()
        loop.run()
        watcher.join()
        mailbox.close()
    (cpu, at, shown), (cpu_end, end, shown_end) = figures
    return (cpu_end - cpu) / (end - at) * 100, (shown_end - shown) / (end - at)


def _black(size: Size) -> Frame:
    half = ((size.height + 1) // 2, (size.width + 1) // 2)
    planes = (np.full((size.height, size.width), 16, np.uint8), *(np.full(half, 128, np.uint8) for _ in range(2)))
    return Frame(planes, PixelFormat.I420, size)
