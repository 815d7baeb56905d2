"""From an I420 frame to the pixels of a window: scaled to fit, the aspect kept."""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.frame import Frame, Plane, Region, Size


def fitted(picture: Size, window: Size) -> Region:
    """The largest part in the window's middle that has the picture's shape; width and height are even, 2 at least."""
    scale = min(window.width / picture.width, window.height / picture.height)
    width, height = (max(2, round(side * scale) & ~1) for side in picture)
    return Region((window.width - width) // 2, (window.height - height) // 2, width, height)


class Painter:
    """Scales and converts, in memory that is laid out once for a size."""

    def __init__(self) -> None:
        self._yuv = np.empty((0, 0), np.uint8)
        self._bgra = np.empty((0, 0, 4), np.uint8)

    def paint(self, frame: Frame, size: Size) -> Plane:
        """Return an I420 frame, BT.601, as B, G, R, 255: uint8 (height, width, 4), ours until the next call.

        The planes are scaled, not the pixels: half as many samples.
        """
        width, height = size
        if self._bgra.shape[:2] != (height, width):
            self._yuv = np.empty((height * 3 // 2, width), np.uint8)
            self._bgra = np.empty((height, width, 4), np.uint8)
        smaller = width < frame.size.width
        chroma = self._yuv[height:].reshape(2, height // 2, width // 2)
        for source, target in zip(frame.planes, (self._yuv[:height], *chroma), strict=True):
            where = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            cv2.resize(source, (target.shape[1], target.shape[0]), dst=target, interpolation=where)
        cv2.cvtColor(self._yuv, cv2.COLOR_YUV2BGRA_I420, dst=self._bgra)
        return self._bgra
