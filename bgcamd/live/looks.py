"""What viewers see now, and what the camera saw, as JPEG for those who look on: encoded once, and only for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np

from bgcamd.errors import ControlError
from bgcamd.frame import Frame, PixelFormat, Plane, Size

MOST_LOOKERS = 4
_QUALITY = 80


class Look(NamedTuple):
    """One picture.

    number: counts up by one per picture that was there to be looked at.
    picture: what viewers see, a JPEG.
    before: the same moment before the background was replaced, a JPEG; None unless it was asked for, and while
        there is none to be seen: paused, without a matte, without a camera.
    """

    number: int
    picture: bytes
    before: bytes | None


class _Pair:
    """Room for a picture and for what it was before: Y above U above V, as OpenCV wants them."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.after, self.before = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        self.has_before = False


class Looks:
    """Takes frames from the loop's thread, and gives pictures to others, which encode them in their own time.

    Nobody who looks holds up the loop: while somebody does, it copies each frame, and waits for nothing longer than an
    exchange of references. Of those who look, each sees the newest picture, and skips what it is too slow for.

    Parameters
    ----------
    size: of the frames, which are I420; an odd last column or row is not shown.
    """

    def __init__(self, size: Size) -> None:
        self._size = size
        shape = (size.height & ~1) * 3 // 2, size.width & ~1
        self._written, self._encoding = _Pair(shape), _Pair(shape)  # copied into one while the other is encoded
        self._taken, self._fresh = np.zeros(shape, np.uint8), False  # the camera's picture, until its frame is shown
        self._changed, self._encoder = threading.Condition(), threading.Lock()
        self._lookers, self._lookers_before = 0, 0
        self._number = 0
        self._encoded = Look(0, b"", None)

    @property
    def watched(self) -> bool:
        """Whether anybody looks now."""
        return self._lookers > 0

    @property
    def before(self) -> Callable[[Frame], None] | None:
        """Takes the camera's picture, to go with the one shown next; None while nobody wants to see it."""
        return self._take if self._lookers_before else None

    def _take(self, frame: Frame) -> None:
        _stack(self._checked(frame), self._taken)
        self._fresh = True

    def shown(self, frame: Frame, *, live: bool) -> None:
        """Say what viewers see now. live: it is made of the camera's picture that was taken last."""
        fresh, self._fresh = self._fresh and live, False
        if not self._lookers:
            return
        planes = self._checked(frame)
        with self._changed:
            _stack(planes, self._written.after)
            self._written.has_before = fresh
            if fresh:
                self._written.before, self._taken = self._taken, self._written.before
            self._number += 1
            self._changed.notify_all()

    def _checked(self, frame: Frame) -> tuple[Plane, ...]:
        if frame.format is not PixelFormat.I420 or frame.size != self._size:
            raise ValueError(f"looked at is {self._size} I420, not {frame.size} {frame.format.name}")
        return frame.planes

    @contextmanager
    def looking(self, *, before: bool) -> Iterator[Callable[[float], Look | None]]:
        """Be one who looks. Gives a function that waits so many seconds for a picture newer than its last one.

        It returns None when none came. Raises ControlError where too many look already.
        """
        number = self._enter(before)

        def newest(timeout_s: float) -> Look | None:
            nonlocal number
            look = self._after(number, timeout_s, before)
            number = look.number if look else number
            return look

        try:
            yield newest
        finally:
            with self._changed:
                self._lookers -= 1
                self._lookers_before -= before

    def _enter(self, before: bool) -> int:
        """Count one more; return the number of the picture that is there already."""
        with self._changed:
            if self._lookers == MOST_LOOKERS:
                raise ControlError(f"{MOST_LOOKERS} look at the picture already", "close a preview page")
            self._lookers += 1
            self._lookers_before += before
            return self._number

    def _after(self, number: int, timeout_s: float, before: bool) -> Look | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._number > number, timeout_s):
                return None
        with self._encoder:
            self._encode_newest(before)
            found = self._encoded
        return found if before else found._replace(before=None)

    def _encode_newest(self, before: bool) -> None:
        with self._changed:
            if self._encoded.number != self._number:  # else another has done it while we waited
                self._written, self._encoding = self._encoding, self._written
            newest = self._number
        if self._encoded.number != newest:
            self._encoded = Look(newest, _jpeg(self._encoding.after), None)
        if before and self._encoding.has_before and self._encoded.before is None:
            self._encoded = self._encoded._replace(before=_jpeg(self._encoding.before))


def _stack(planes: tuple[Plane, ...], target: Plane) -> None:
    height, width = target.shape[0] * 2 // 3, target.shape[1]
    np.copyto(target[:height], planes[0][:height, :width])
    chroma = target[height:].reshape(2, height // 2, width // 2)
    for plane, stacked in zip(planes[1:], chroma, strict=True):
        np.copyto(stacked, plane[: height // 2, : width // 2])


def _jpeg(stacked: Plane) -> bytes:
    bgr = cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_I420)
    return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
