"""Any source's frame to the canvas's own planes. The CPU's counterpart of the take kernels.

Everything is written into planes of the raw frame's own size; YUV of another colour description than the
canvas's is changed on the way.
"""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.canvas.color import rgb_to_yuv, yuv_to_yuv
from bgcamd.canvas.planes import Planes
from bgcamd.errors import SourceError
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Plane, Size


class IntoI420:
    """Converts frames to I420 planes of one colour; keeps its scratch memory from frame to frame."""

    def __init__(self, color: Color) -> None:
        self._color = color
        self._scratch: tuple[Plane, Plane] | None = None

    def convert(self, raw: Frame, planes: Planes) -> None:
        """Write ``raw`` into I420 ``planes`` of its own (even) size.

        Raises SourceError for a damaged JPEG, TypeError for a format that no source of ours gives.
        """
        match raw.format:
            case PixelFormat.YUYV:
                self._yuyv(raw.planes[0], planes)
            case PixelFormat.NV12:
                np.copyto(planes[0], raw.planes[0])
                cv2.split(raw.planes[1], list(planes[1:]))
            case PixelFormat.I420:
                for target, source in zip(planes, raw.planes, strict=True):
                    np.copyto(target, source)
            case PixelFormat.MJPG:
                self._mjpg(raw.planes[0], planes)
            case PixelFormat.RGB24:
                rgb_into_i420(raw.planes[0], planes, self._color)
            case PixelFormat.GREY:
                rgb_into_i420(cv2.merge([raw.planes[0]] * 3), planes, self._color)
            case _:
                raise TypeError(f"no conversion from {raw.format.name} to I420")
        if raw.format in _YUV:
            _recolor(planes, raw.color, self._color)

    def _yuyv(self, packed: Plane, planes: Planes) -> None:
        h, w = packed.shape[:2]
        if self._scratch is None or self._scratch[0].shape != (h, w):
            self._scratch = np.empty((h, w), np.uint8), np.empty((h // 2, w), np.uint8)
        chroma, mean = self._scratch
        cv2.split(packed, [planes[0], chroma])
        rows = chroma.reshape(h // 2, 2, w)
        cv2.addWeighted(rows[:, 0], 0.5, rows[:, 1], 0.5, 0, dst=mean)  # 4:2:2 to 4:2:0: the mean of two rows
        cv2.split(mean.reshape(h // 2, w // 2, 2), list(planes[1:]))

    def _mjpg(self, data: Plane, planes: Planes) -> None:
        try:
            bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except cv2.error:  # no bytes at all, or a header that declares more pixels than OpenCV reads
            bgr = None
        if bgr is None or bgr.shape[:2] != planes[0].shape:
            raise SourceError("the camera sent a damaged JPEG frame")
        if self._color == BT601:  # the one that OpenCV knows
            cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420, dst=planes[0].base)
        else:
            rgb_into_i420(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), planes, self._color)


def check_planes(raw: Frame) -> None:
    """Raise SourceError where the planes are not as large as the frame says: the rest would be of a frame before."""
    (width, height), found = raw.size, tuple(plane.shape for plane in raw.planes)
    half = (height + 1) // 2, (width + 1) // 2
    wanted: dict[PixelFormat, tuple[tuple[int, ...], ...]] = {
        PixelFormat.I420: ((height, width), half, half),
        PixelFormat.NV12: ((height, width), (*half, 2)),
        PixelFormat.YUYV: ((height, width, 2),),
        PixelFormat.RGB24: ((height, width, 3),),
        PixelFormat.GREY: ((height, width),),
    }
    if found != wanted.get(raw.format, found):
        raise SourceError(f"the camera sent a frame that is not {raw.size} {raw.format.name}, as it should be")


_YUV = frozenset({PixelFormat.YUYV, PixelFormat.NV12, PixelFormat.I420})
_PICTURES = frozenset({PixelFormat.RGB24, PixelFormat.GREY})


def even(raw: Frame) -> Frame:
    """View an RGB24 or GREY picture without the last column or row of an odd size, which 4:2:0 has no place for."""
    width, height = raw.size.width & ~1, raw.size.height & ~1
    if raw.size == (width, height) or raw.format not in _PICTURES or not (width and height):
        return raw
    planes = tuple(plane[:height, :width] for plane in raw.planes)
    alpha = None if raw.alpha is None else raw.alpha[:height, :width]
    captured_ns, sequence = raw.captured_ns, raw.sequence
    return Frame(
        planes,
        raw.format,
        Size(width, height),
        color=raw.color,
        alpha=alpha,
        captured_ns=captured_ns,
        sequence=sequence,
    )


def into_rgb(raw: Frame, planes: Planes) -> None:
    """Write an RGB24 or GREY frame into R, G, B ``planes`` of its own size."""
    if raw.format is PixelFormat.RGB24:
        cv2.split(raw.planes[0], list(planes))
    elif raw.format is PixelFormat.GREY:
        for plane in planes:
            np.copyto(plane, raw.planes[0])
    else:
        raise TypeError(f"no conversion from {raw.format.name} to RGB planes")


def rgb_into_i420(rgb: Plane, planes: Planes, color: Color) -> None:
    """Write a packed (h, w, 3) picture into I420 planes; chroma is the mean of each 2x2 block."""
    yuv = cv2.transform(rgb, rgb_to_yuv(color))
    y, u, v = cv2.split(yuv)
    np.copyto(planes[0], y)
    _halve(u, planes[1])
    _halve(v, planes[2])


def _halve(plane: Plane, target: Plane) -> None:
    cv2.resize(plane, (target.shape[1], target.shape[0]), dst=target, interpolation=cv2.INTER_AREA)


def _recolor(planes: Planes, source: Color, target: Color) -> None:
    """Change the meaning of the samples in place."""
    if source == target:
        return
    matrix = yuv_to_yuv(source, target)
    if source.matrix == target.matrix:  # the range alone: a factor and an offset for each plane
        for row, plane in enumerate(planes):
            cv2.addWeighted(plane, matrix[row, row], plane, 0, matrix[row, 3], dst=plane)
        return
    h, w = planes[0].shape
    wide = [cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR) for plane in planes[1:]]
    y, u, v = cv2.split(cv2.transform(cv2.merge([planes[0], *wide]), matrix))
    np.copyto(planes[0], y)
    _halve(u, planes[1])
    _halve(v, planes[2])
