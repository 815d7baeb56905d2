"""Where a frame's planes lie in a camera's buffer, and what its samples mean."""

from __future__ import annotations

import mmap

import numpy as np

from bgcamd.frame import JPEG, Color, PixelFormat, Plane, Size
from bgcamd.video.v4l2 import videodev2 as vd


def stride(pix: vd.PixFormat, format: PixelFormat) -> int:  # noqa: A002 - the field's standard name
    """Bytes from one line to the next, of YUYV or of NV12's Y."""
    return int(max(pix.bytesperline, pix.width * (2 if format is PixelFormat.YUYV else 1)))


def bytes_needed(pix: vd.PixFormat, format: PixelFormat) -> int:  # noqa: A002
    """How many bytes of a buffer a whole frame fills at least; 1 for MJPG."""
    if format is PixelFormat.MJPG:
        return 1
    line, last = stride(pix, format), pix.width * (2 if format is PixelFormat.YUYV else 1)
    lines = pix.height if format is PixelFormat.YUYV else pix.height + (pix.height + 1) // 2
    return int(line * (lines - 1) + last)


def planes(memory: mmap.mmap, pix: vd.PixFormat, format: PixelFormat) -> tuple[Plane, ...]:  # noqa: A002
    """Return the planes as PixelFormat describes them, all views of ``memory``; for MJPG the whole of it.

    As long as one of them lives, ``memory.close()`` raises BufferError.
    """
    # frombuffer alone holds the export; ndarray(buffer=memory) would let it be unmapped under the array
    held = np.frombuffer(memory, np.uint8)
    if format is PixelFormat.MJPG:
        return (held,)
    line, size = stride(pix, format), Size(pix.width, pix.height)
    if format is PixelFormat.YUYV:
        return (_view(held, (size.height, size.width, 2), 0, (line, 2, 1)),)
    chroma = ((size.height + 1) // 2, (size.width + 1) // 2, 2)
    luma = _view(held, (size.height, size.width), 0, (line, 1))
    return luma, _view(held, chroma, line * size.height, (line, 2, 1))


def color(pix: vd.PixFormat, format: PixelFormat) -> Color:  # noqa: A002
    """Read the colour that the driver tells, its defaults filled in as <linux/videodev2.h> says.

    The macros are V4L2_MAP_YCBCR_ENC_DEFAULT and V4L2_MAP_QUANTIZATION_DEFAULT. JPEG is what it is.
    """
    if format is PixelFormat.MJPG:
        return JPEG
    by_colorspace = pix.colorspace in (vd.COLORSPACE_REC709, vd.COLORSPACE_DCI_P3)
    hd = pix.ycbcr_enc in (vd.YCBCR_ENC_709, vd.YCBCR_ENC_XV709) or (not pix.ycbcr_enc and by_colorspace)
    full = pix.quantization == vd.QUANTIZATION_FULL_RANGE or (
        pix.quantization == vd.QUANTIZATION_DEFAULT and pix.colorspace == vd.COLORSPACE_JPEG
    )
    return Color("bt709" if hd else "bt601", full_range=full)


def _view(held: Plane, shape: tuple[int, ...], offset: int, strides: tuple[int, ...]) -> Plane:
    return np.ndarray(shape, np.uint8, held, offset, strides)
