"""Backgrounds made ready for a canvas: decoded, fitted, in its own planes. Built beside the loop, never in it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from bgcamd.canvas.blend import Blender
from bgcamd.canvas.color import solid
from bgcamd.canvas.convert import rgb_into_i420
from bgcamd.canvas.planes import Planes, fill, lay, new_planes
from bgcamd.errors import InputError
from bgcamd.frame import Color, Frame, PixelFormat, Plane, Size
from bgcamd.protocols import Reader
from bgcamd.scene import Fit

_FIRST_S = 15.0  # so long may the first picture of a clip take
_AHEAD = 3  # frames of a clip that are decoded before they are due
_LATE_NS = 1_000_000_000  # later than this (nobody looked, or decoding is slow), a live clip goes on where it is
_log = logging.getLogger(__name__)


class Plate:
    """The shape that a background is brought into: a canvas's size, format and colour."""

    def __init__(self, size: Size, format: PixelFormat, color: Color) -> None:  # noqa: A002
        self.size, self.format, self.color = size, format, color

    def solid(self, rgb: tuple[int, int, int]) -> Planes:
        """Fresh planes of one colour."""
        planes = new_planes(self.format, self.size)
        fill(planes, solid(rgb, self.color) if self.format is PixelFormat.I420 else rgb)
        return planes

    def picture(self, frame: Frame, fit: Fit) -> Planes:
        """Fresh planes with an RGB24 picture laid into them; what is transparent in it becomes black."""
        planes = new_planes(self.format, self.size)
        self.lay(frame, fit, planes)
        return planes

    def lay(self, frame: Frame, fit: Fit, planes: Planes) -> None:
        """Lay an RGB24 frame, or on an I420 plate one of I420 in its colour, into ``planes``."""
        if frame.format is PixelFormat.I420:
            lay(self._opaque(frame), planes, fit, solid((0, 0, 0), self.color))
            return
        rgb = frame.planes[0]
        if frame.alpha is not None:
            rgb = cv2.multiply(rgb, cv2.merge([frame.alpha] * 3), scale=1 / 255)
        fitted = np.empty((self.size.height, self.size.width, 3), np.uint8)
        lay((rgb,), (fitted,), fit, (0,))
        if self.format is PixelFormat.I420:
            rgb_into_i420(fitted, planes, self.color)
        else:
            cv2.split(fitted, list(planes))

    def _opaque(self, frame: Frame) -> Planes:
        """An I420 frame's planes, what is transparent in them black."""
        if frame.alpha is None:
            return frame.planes
        black, over = Plate(frame.size, self.format, self.color).solid((0, 0, 0)), new_planes(self.format, frame.size)
        Blender(over).over(frame.planes, frame.alpha, black, over)
        return over


class Still:
    """A background that does not move. Implements ``scene.Backdrop``."""

    problem = ""

    def __init__(self, planes: Planes) -> None:
        self._planes = planes

    def planes_at(self, time_ns: int) -> tuple[Plane, ...]:  # noqa: ARG002 - it looks the same at any time
        """See ``scene.Backdrop``."""
        return self._planes

    def close(self) -> None:
        """Nothing to free."""


class Moving:
    """A clip that plays in a loop from the first time asked for, decoded by a thread of its own.

    Implements ``scene.Backdrop``. Live (``wait`` false): ``planes_at`` never waits; where the decoder is late the
    last picture stays. In files (``wait`` true): it waits for the very picture, so that every run gives the same.

    Parameters
    ----------
    open_reader: opens the clip from its start; frames as ``Plate.lay`` takes them. Called again for every round.
    Raises InputError when the clip holds no frame.
    """

    def __init__(self, open_reader: Callable[[], Reader], plate: Plate, fit: Fit, *, wait: bool) -> None:
        self._open, self._plate, self._fit, self._wait = open_reader, plate, fit, wait
        self._free = [new_planes(plate.format, plate.size) for _ in range(_AHEAD + 1)]
        self._ready: deque[tuple[int, Planes]] = deque()  # due time in ns from the start of the first round, planes
        self._changed = threading.Condition()
        self._closed, self._error = False, ""
        self._start: int | None = None
        self._thread = threading.Thread(target=self._decode, name="background clip", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._error, _FIRST_S)
            if not self._ready:
                self._closed = True
                raise InputError(self._error or f"the clip gives no picture within {_FIRST_S:.0f} s")
        self._shown = self._ready.popleft()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def planes_at(self, time_ns: int) -> tuple[Plane, ...]:
        """See ``scene.Backdrop``."""
        if self._start is None:
            self._start = time_ns
        with self._changed:
            due = self._due(time_ns - self._start)
            self._advance(due)
            while self._wait and not self._ready and not self._error:
                self._changed.wait_for(lambda: self._ready or self._error)
                self._advance(due)
        return self._shown

    def _due(self, due: int) -> int:
        """The time in the clip; one that is late live is not played faster than it was made: its clock is set back."""
        if self._wait or self._start is None or not self._ready or due - self._ready[0][0] <= _LATE_NS:
            return due
        self._start += due - self._ready[0][0]
        return self._ready[0][0]

    def _advance(self, due: int) -> None:
        """Show the newest picture whose time has come."""
        while self._ready and self._ready[0][0] <= due:
            self._free.append(self._shown)
            self._shown = self._ready.popleft()[1]
            self._changed.notify_all()

    @property
    def problem(self) -> str:
        """See ``scene.Backdrop``."""
        return f"the background stands still: {self._error}" if self._error else ""

    def close(self) -> None:
        """See ``scene.Backdrop``. Ends the decoder."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _decode(self) -> None:
        """The thread: round after round, a few frames ahead."""
        begin, frames = 0, 1
        try:
            while frames:
                begin, frames = self._round(begin)
        except InputError as error:
            if self._start is not None:
                _log.warning("the background stands still: %s", error)
            self._fail(error.message)
        finally:
            self._fail("the clip holds no picture")

    def _fail(self, why: str) -> None:
        with self._changed:
            self._error = self._error or why
            self._changed.notify_all()

    def _round(self, begin: int) -> tuple[int, int]:
        """Play the clip once; return when it ended and how many frames it had (0 also when closed)."""
        last = frames = 0
        with self._open() as reader:
            step = round(1_000_000_000 / reader.rate) if reader.rate else 100_000_000
            for frame in reader:
                planes = self._place()
                if planes is None:
                    return begin, 0
                self._plate.lay(frame, self._fit, planes)
                last, frames = frame.captured_ns, frames + 1
                with self._changed:
                    self._ready.append((begin + last, (*planes,)))  # another tuple for another picture
                    self._changed.notify_all()
        return begin + last + step, frames

    def _place(self) -> Planes | None:
        """Planes to decode into, as soon as there are some; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free)
            return None if self._closed else self._free.pop()
