"""A CSI camera as a source."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import Self

from bgcamd.errors import SourceError
from bgcamd.frame import Frame, Size
from bgcamd.video.csi.child import Child
from bgcamd.video.csi.programs import find_program, without_gaps
from bgcamd.video.stream_address import Csi

_USUAL_SIZE, _USUAL_FPS = Size(1280, 720), Fraction(30)
_FIRST_S = 8.0  # a board's camera service may take some seconds to start

_LOOK = "is the camera's cable in, and does no other program use it?"


class CsiSource:
    """A board's camera, whose program runs from the moment this is made until it is closed.

    Parameters
    ----------
    address: which camera, counted from 0.
    size: what is wanted; None for 1280x720. The width becomes the nearest multiple of 64.
    fps: what is wanted, frames per second; None for 30.

    Attributes
    ----------
    name: what a person would call it, "csi://0 (rpicam-vid)".
    size, rate: what was asked of the program, which gives that or ends.

    Raises
    ------
    SourceError: no program is here that could read it, or it ended, or no picture came.
    """

    def __init__(self, address: Csi, *, size: Size | None, fps: Fraction | None) -> None:
        self.size, self.rate = without_gaps(size or _USUAL_SIZE), fps or _USUAL_FPS
        program = find_program(address.number, self.size, self.rate)
        self.name = f"{address} ({program.name})"
        self._child = Child(program)
        try:
            first = self.read(_FIRST_S)
            if first is None:
                raise SourceError(f"{self.name} has sent no picture for {_FIRST_S:.0f} s", _LOOK)
            first.release()
        except BaseException:
            self._child.close()
            raise

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest I420 frame, which is the source's until released; None when none came in time.

        captured_ns is when it began to arrive. Raises SourceError when the program has ended.
        """
        try:
            return self._child.read(timeout_s)
        except SourceError as error:
            raise SourceError(f"{self.name}: {error.message}", _LOOK) from error

    def close(self) -> None:
        """End the program, within seconds; a second call does nothing. Frames still lent stay valid."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
