"""The newest picture as JPEG, for several viewers, encoded once and only if somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from bgcamd.frame import Frame, PixelFormat, Plane, Size

_QUALITY = 80


class NewestJpeg:
    """Takes frames from one thread, and gives JPEG files to others, which encode them in their own time.

    Parameters
    ----------
    size: of the frames; an odd last column or row is not shown.
    """

    def __init__(self, size: Size) -> None:
        self._size = size
        width, height = size.width & ~1, size.height & ~1
        # Copied into one while the other is encoded: Y above U above V, as OpenCV wants them.
        self._written, self._encoding = (np.zeros((height * 3 // 2, width), np.uint8) for _ in range(2))
        self._changed = threading.Condition()
        self._encoder = threading.Lock()
        self._viewers = 0
        self._number = 0
        self._closed = False
        self._jpeg: tuple[int, bytes] = (0, b"")

    def put(self, frame: Frame) -> None:
        """Copy an I420 frame if anybody watches. Waits for nothing longer than an exchange of two references."""
        if frame.format is not PixelFormat.I420 or frame.size != self._size:
            raise ValueError(f"the preview takes {self._size} I420, not {frame.size} {frame.format.name}")
        with self._changed:
            if self._viewers:
                _stack(frame.planes, self._written)
                self._number += 1
                self._changed.notify_all()

    @contextmanager
    def watched(self, limit: int) -> Iterator[int | None]:
        """Be a viewer. Gives the number of the newest frame before, or None if there are ``limit`` viewers."""
        with self._changed:
            admitted = self._viewers < limit
            self._viewers += admitted
            number = self._number
        try:
            yield number if admitted else None
        finally:
            with self._changed:
                self._viewers -= admitted

    def after(self, number: int, timeout_s: float) -> tuple[int, bytes] | None:
        """The newest frame's number and JPEG, once it is newer than ``number``; None when none came or closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number, timeout_s)
            if self._closed or self._number <= number:
                return None
        with self._encoder:
            if self._jpeg[0] <= number:  # else another viewer has done it while we waited
                with self._changed:
                    self._written, self._encoding = self._encoding, self._written
                    newest = self._number
                self._jpeg = (newest, _encode(self._encoding))
            return self._jpeg

    @property
    def viewers(self) -> int:
        """How many watch now."""
        return self._viewers

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def close(self) -> None:
        """Wake all viewers, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _stack(planes: tuple[Plane, ...], target: Plane) -> None:
    height, width = target.shape[0] * 2 // 3, target.shape[1]
    np.copyto(target[:height], planes[0][:height, :width])
    chroma = target[height:].reshape(2, height // 2, width // 2)
    for plane, stacked in zip(planes[1:], chroma, strict=True):
        np.copyto(stacked, plane[: height // 2, : width // 2])


def _encode(stacked: Plane) -> bytes:
    rgb = cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_I420)
    return cv2.imencode(".jpg", rgb, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
