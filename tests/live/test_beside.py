"""A slow output beside the loop."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from bgcamd.errors import OutputError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live.beside import Beside


class Slow:
    """A sink whose every write waits until it may go on."""

    name = "slow.mp4"

    def __init__(self) -> None:
        self.go, self.seen, self.fault, self.closed = threading.Semaphore(0), [], None, False  # type: ignore[var-annotated]
        self.writing = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True

    def write(self, frame: Frame) -> None:
        self.writing.set()
        assert self.go.acquire(timeout=10)
        if self.fault is not None:
            raise self.fault
        self.seen.append((int(frame.planes[0][0, 0]), frame.captured_ns))


def grey(value: int) -> Frame:
    return Frame((np.full((2, 2), value, np.uint8),), PixelFormat.GREY, Size(2, 2), captured_ns=value * 10)


def test_the_loop_is_not_held_up_and_the_newest_wins() -> None:
    slow = Slow()
    with Beside(slow) as beside:
        beside.write(grey(1))
        assert slow.writing.wait(10)
        for value in (2, 3, 4):
            beside.write(grey(value))
        slow.go.release(2)
    assert slow.seen == [(1, 10), (4, 40)]
    assert slow.closed


def test_what_it_raises_comes_with_the_next_write() -> None:
    slow = Slow()
    slow.fault = OutputError("no space left")
    with Beside(slow) as beside:
        beside.write(grey(1))
        slow.go.release()
        while beside._error is None:
            threading.Event().wait(0.01)
        with pytest.raises(OutputError, match="no space left"):
            beside.write(grey(2))
    assert slow.closed


def test_the_memory_of_frames_is_used_again() -> None:
    slow = Slow()
    slow.go.release(100)
    with Beside(slow) as beside:
        for value in range(20):
            beside.write(grey(value))
            while not slow.seen or slow.seen[-1][0] != value:
                threading.Event().wait(0.001)
        assert len(beside._pool._free) <= 2
