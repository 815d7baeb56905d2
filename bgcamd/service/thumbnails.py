"""Small pictures of backgrounds, for who is to choose among them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np

from bgcamd.errors import InputError, UsageError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.prepare import LIVE_PIXELS
from bgcamd.scene import Background, Clip, Picture
from bgcamd.video.files.images import DAMAGE, HINT, brief, decoded, opened
from bgcamd.video.files.paths import open_reader

SIZE = Size(320, 180)
_KEPT = 64  # of some 15 KB
_QUALITY = 80


class Thumbnails:
    """Makes them, one at a time, and keeps the last ones. Any thread may ask."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[Path, int, int], bytes] = OrderedDict()
        self._making = threading.Lock()

    def of(self, shown: Background) -> bytes:
        """A JPEG of ``SIZE`` that shows the middle of a picture, or of a clip's first frame.

        Raises InputError where it can't be read, UsageError for what is no picture.
        """
        if not isinstance(shown, Picture | Clip):
            raise UsageError("only pictures and clips have a small picture")
        try:
            status = shown.path.stat()
        except OSError as error:
            raise InputError(f"can't read {shown.path}: {error.strerror}") from error
        key = shown.path, status.st_mtime_ns, status.st_size
        with self._making:
            if key not in self._made:
                self._made[key] = _jpeg(_picture(shown.path) if isinstance(shown, Picture) else _first(shown.path))
            self._made.move_to_end(key)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
            return self._made[key]


def _picture(path: Path) -> Frame:
    with opened(path, most=LIVE_PIXELS) as image:
        try:
            image.draft("RGB", (2 * SIZE.width, 2 * SIZE.height))  # a JPEG is decoded small
            return decoded(image)
        except DAMAGE as error:
            raise InputError(f"can't read {path}: the picture is damaged: {brief(error)}", HINT) from error


def _first(path: Path) -> Frame:
    with open_reader(path, format=PixelFormat.RGB24) as reader:
        for frame in reader:
            rgb = frame.planes[0].copy()
            alpha = None if frame.alpha is None else frame.alpha.copy()
            return Frame((rgb,), PixelFormat.RGB24, frame.size, alpha=alpha)
    raise InputError(f"{path} holds no picture", HINT)


def _jpeg(frame: Frame) -> bytes:
    """What is transparent becomes black, as it does when it is shown."""
    rgb = _cut(frame.planes[0])
    small = cv2.resize(rgb, SIZE, interpolation=cv2.INTER_AREA)
    if frame.alpha is not None:
        alpha = cv2.resize(_cut(frame.alpha), SIZE, interpolation=cv2.INTER_AREA)
        small = cv2.multiply(small, cv2.merge([alpha] * 3), scale=1 / 255)
    return cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[
        1
    ].tobytes()


def _cut(plane: Plane) -> Plane:
    """The largest part of ``SIZE``'s shape, from the middle."""
    height, width = plane.shape[:2]
    scale = min(width / SIZE.width, height / SIZE.height)
    wide, high = max(round(SIZE.width * scale), 1), max(round(SIZE.height * scale), 1)
    top, left = (height - high) // 2, (width - wide) // 2
    return np.ascontiguousarray(plane[top : top + high, left : left + wide])
