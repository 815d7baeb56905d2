"""An output that goes nowhere: for trying things out and for measuring."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bgcamd.frame import Frame


class NullSink:
    """Counts what it is given, and keeps nothing.

    Attributes
    ----------
    name: "nowhere".
    frames: how many were written.
    """

    name = "nowhere"

    def __init__(self, *, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.frames = 0
        self._now_ns = now_ns
        self._first_ns = self._last_ns = 0

    @property
    def rate(self) -> float:
        """Frames per second from the first written to the last; 0 before there are two."""
        span_ns = self._last_ns - self._first_ns
        return (self.frames - 1) * 1e9 / span_ns if span_ns else 0.0

    def write(self, frame: Frame) -> None:  # noqa: ARG002 - that is the point
        """Count one frame."""
        self._last_ns = self._now_ns()
        if not self.frames:
            self._first_ns = self._last_ns
        self.frames += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Nothing to close."""
