"""Memory that the daemon and a decoder share: places for pictures of one plate."""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np

from bgcamd.canvas.background import Plate
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.frame import JPEG, PixelFormat, Size

_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_PAGE = mmap.PAGESIZE
SMALL = Size(320, 180)
"""The size of a small picture."""
SMALL_PLATE = Plate(SMALL, PixelFormat.RGBP, JPEG)


def new_memory(plate: Plate, places: int) -> int:
    """A descriptor of memory for so many pictures, the caller's to close.

    Its size can't be changed any more: who can write there can't take it away while we read.
    """
    fd = os.memfd_create("bgcamd-pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, places * _stride(plate))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def places_in(fd: int, plate: Plate, places: int) -> list[Planes]:
    """The planes of every place, mapped until the last of them is forgotten; ``fd`` may be closed. Raises ValueError
    where it is smaller than that.
    """
    stride = _stride(plate)
    whole = np.frombuffer(mmap.mmap(fd, places * stride), np.uint8)
    parts = [whole[start : start + stride] for start in range(0, places * stride, stride)]
    return [new_planes(plate.format, plate.size, part) for part in parts]


def _stride(plate: Plate) -> int:
    """Bytes from one picture to the next: whole pages, so that a plane begins where it is read fast."""
    samples = plate.size.width * plate.size.height
    length = samples * 3 // 2 if plate.format is PixelFormat.I420 else samples * 3
    return -(-length // _PAGE) * _PAGE
