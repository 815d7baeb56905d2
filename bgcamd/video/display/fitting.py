"""From an I420 frame to the pixels of a window: scaled to fit, the aspect kept."""

from __future__ import annotations

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from bgcamd.frame import BT601, JPEG, Frame, Plane, Region, Size
from bgcamd.video.files.swscale import convert, pack, samples


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
        self._scaler = VideoReformatter()

    def paint(self, frame: Frame, size: Size) -> Plane:
        """Return an I420 frame as B, G, R, 255: uint8 (height, width, 4), ours until the next call. size: even."""
        if frame.color != BT601:
            picture, color = pack(frame)
            wide = convert(picture, "bgr0", source=color, target=JPEG, size=size, scaler=self._scaler)
            return samples(wide, 0, 4)
        if self._bgra.shape[:2] != (size.height, size.width):
            self._yuv = np.empty((size.height * 3 // 2, size.width), np.uint8)
            self._bgra = np.empty((size.height, size.width, 4), np.uint8)
        self._scale(frame, size)
        cv2.cvtColor(self._yuv, cv2.COLOR_YUV2BGRA_I420, dst=self._bgra)
        return self._bgra

    def _scale(self, frame: Frame, size: Size) -> None:
        """Scale the planes, which have half the samples that pixels would have."""
        luma, chroma = self._yuv[: size.height], self._yuv[size.height :]
        targets = (luma, *chroma.reshape(2, size.height // 2, size.width // 2))
        how = cv2.INTER_AREA if size.width < frame.size.width else cv2.INTER_LINEAR
        for source, target in zip(frame.planes, targets, strict=True):
            cv2.resize(source, (target.shape[1], target.shape[0]), dst=target, interpolation=how)
