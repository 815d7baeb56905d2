"""Small pictures of backgrounds, for who is to choose among them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import cv2

from bgcamd.canvas.planes import Planes
from bgcamd.errors import InputError, UsageError
from bgcamd.scene import Background, Clip, Picture

_KEPT = 64  # of some 15 KB
_QUALITY = 80


class Thumbnails:
    """Makes them, one at a time, and keeps the last ones. Any thread may ask.

    Parameters
    ----------
    small: reads a picture, or a clip's first frame, as small R, G, B planes. Raises InputError.
    """

    def __init__(self, small: Callable[[Path], Planes]) -> None:
        self._small = small
        self._made: OrderedDict[tuple[Path, int, int], bytes] = OrderedDict()
        self._making = threading.Lock()

    def of(self, shown: Background) -> bytes:
        """A JPEG that shows the middle of a picture, or of a clip's first frame.

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
                self._made[key] = _jpeg(self._small(shown.path))
            self._made.move_to_end(key)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
            return self._made[key]


def _jpeg(planes: Planes) -> bytes:
    red, green, blue = planes
    return cv2.imencode(".jpg", cv2.merge((blue, green, red)), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
