"""A source's frame, of any format and size, into a canvas's own planes, on the CPU."""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.canvas.color import solid
from bgcamd.canvas.convert import IntoI420, check_planes, even, into_rgb
from bgcamd.canvas.planes import Planes, lay, new_planes
from bgcamd.frame import Color, Frame, PixelFormat, Plane, Size
from bgcamd.scene import Fit


class Taker:
    """Converts, scales to cover, and flips; keeps its scratch memory from frame to frame.

    Parameters
    ----------
    size, format, color: of the planes that are written.
    """

    def __init__(self, size: Size, format: PixelFormat, color: Color) -> None:  # noqa: A002
        self._size, self._format = size, format
        self._black = solid((0, 0, 0), color) if format is PixelFormat.I420 else (0, 0, 0)
        self._into_i420 = IntoI420(color)
        self._raw: Planes = ()  # a raw frame of another size, or one to be mirrored, is converted here first

    def take(self, raw: Frame, planes: Planes, *, mirror: bool) -> Plane | None:
        """Write ``raw`` into ``planes``; return its own alpha, brought into the same shape, or None where it has none.

        Raises SourceError for a damaged frame.
        """
        check_planes(raw)
        if self._format is PixelFormat.I420:
            raw = even(raw)
        same = raw.size == self._size
        source = planes if same and not mirror else self._raw_planes(raw.size)
        if self._format is PixelFormat.I420:
            self._into_i420.convert(raw, source)
        else:
            into_rgb(raw, source)
        if not same:
            lay(source, planes, Fit.COVER, self._black)
            source = planes
        if mirror:
            for plane, flipped in zip(source, planes, strict=True):
                cv2.flip(plane, 1, dst=flipped)
        return None if raw.alpha is None else self._own_alpha(raw.alpha, mirror)

    def _own_alpha(self, alpha: Plane, mirror: bool) -> Plane:
        """A frame's alpha, scaled and flipped as its planes are."""
        fitted = np.empty((self._size.height, self._size.width), np.uint8)
        lay((alpha,), (fitted,), Fit.COVER, (0,))
        return cv2.flip(fitted, 1) if mirror else fitted

    def _raw_planes(self, size: Size) -> Planes:
        if not self._raw or self._raw[0].shape != (size.height, size.width):
            self._raw = new_planes(self._format, size)
        return self._raw
