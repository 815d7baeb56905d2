"""Backgrounds made ready for a canvas: decoded, fitted, in its own planes. Built beside the loop, never in it."""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.canvas.blend import Blender
from bgcamd.canvas.color import solid
from bgcamd.canvas.convert import rgb_into_i420
from bgcamd.canvas.planes import Planes, fill, lay, new_planes
from bgcamd.frame import Color, Frame, PixelFormat, Plane, Size
from bgcamd.scene import Fit


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
