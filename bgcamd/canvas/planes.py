"""Working memory: the planes of one picture, and how a picture of one shape is laid into another."""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.errors import UsageError
from bgcamd.frame import PixelFormat, Plane, Size
from bgcamd.scene import Fit

Planes = tuple[Plane, ...]
Rect = tuple[float, float, float, float]
"""left, top, right, bottom as shares of the width and height, 0..1"""


def new_planes(format: PixelFormat, size: Size, memory: Plane | None = None) -> Planes:  # noqa: A002
    """Fresh planes in one contiguous block of memory, in the order Y, U, V (I420) or R, G, B (RGBP).

    The block is ``planes[0].base``, uint8 (height * 3 // 2, width) or (height * 3, width), so that a sink can
    write it in one piece. It lies at the start of ``memory``, uint8 (n,), where that is given, else it is new and
    zero. Raises UsageError for an I420 size that is not even.
    """
    width, height = size
    if format is PixelFormat.I420 and (width % 2 or height % 2):
        raise UsageError(f"{size} can't be a video's size", "width and height must be even")
    shapes = _SHAPES[format](width, height)
    rows = sum(h * w for h, w in shapes) // width
    if memory is None:
        block = np.zeros((rows, width), np.uint8)
    else:  # by way of the buffer, so that it is nobody's view, and the planes' base
        block = np.asarray(memory[: rows * width].data.cast("B", (rows, width)))
    flat, planes, start = block.reshape(-1), [], 0
    for h, w in shapes:
        planes.append(flat[start : start + h * w].reshape(h, w))
        start += h * w
    return tuple(planes)


_SHAPES = {
    PixelFormat.I420: lambda w, h: [(h, w), (h // 2, w // 2), (h // 2, w // 2)],
    PixelFormat.RGBP: lambda w, h: [(h, w)] * 3,
}


def fill(planes: Planes, samples: tuple[int, ...]) -> None:
    """Set every sample of each plane to its value."""
    for plane, sample in zip(planes, samples, strict=True):
        plane.fill(sample)


def lay(source: Planes, target: Planes, fit: Fit, black: tuple[int, ...]) -> None:
    """Scale ``source`` into ``target`` (planes of the same format, the first at full size) as ``fit`` says.

    Planes may also be packed, (h, w, channels). ``black`` holds the sample of each plane, for bars.
    """
    if fit is Fit.TILE:
        _tile(source, target)
        return
    cut, place = _rects(source[0].shape, target[0].shape, fit)
    if place != _WHOLE:
        fill(target, black)
    for src, dst in zip(source, target, strict=True):
        _scale(_part(src, cut), _part(dst, place))


_WHOLE: Rect = (0.0, 0.0, 1.0, 1.0)


def _rects(source: tuple[int, ...], target: tuple[int, ...], fit: Fit) -> tuple[Rect, Rect]:
    """Which part of the source is shown, and in which part of the target."""
    if fit is Fit.STRETCH:
        return _WHOLE, _WHOLE
    (sh, sw), (th, tw) = source[:2], target[:2]
    across, down = sw * th, sh * tw  # both are the aspect ratio of their picture, times sh * th
    wide = _centred(min(1.0, down / across), min(1.0, across / down))
    if fit is Fit.COVER:
        return wide, _WHOLE
    return _WHOLE, _centred(min(1.0, across / down), min(1.0, down / across))


def _centred(width: float, height: float) -> Rect:
    return (1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2


def _part(plane: Plane, rect: Rect) -> Plane:
    """The rectangle of a plane, at least one sample; chroma follows luma because the shares are the same."""
    h, w = plane.shape[:2]
    left, top = min(round(rect[0] * w), w - 1), min(round(rect[1] * h), h - 1)
    return plane[top : max(round(rect[3] * h), top + 1), left : max(round(rect[2] * w), left + 1)]


def _scale(source: Plane, target: Plane) -> None:
    h, w = target.shape[:2]
    if source.shape == target.shape:
        np.copyto(target, source)
        return
    shrinking = source.shape[0] > h or source.shape[1] > w
    how = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    if target.flags.c_contiguous:
        cv2.resize(source, (w, h), dst=target, interpolation=how)
    else:
        target[:] = cv2.resize(source, (w, h), interpolation=how)


def _tile(source: Planes, target: Planes) -> None:
    for src, dst in zip(source, target, strict=True):
        rows, columns = src.shape[:2]
        for top in range(0, dst.shape[0], rows):
            for left in range(0, dst.shape[1], columns):
                part = dst[top : top + rows, left : left + columns]
                part[:] = src[: part.shape[0], : part.shape[1]]
