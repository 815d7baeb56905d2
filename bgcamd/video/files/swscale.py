"""Between our planes and libav's frames: views where the layout allows, swscale where colours must change."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from bgcamd.frame import Color, Frame, PixelFormat, Plane, Size

_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_MATRIX = {"bt601": Colorspace.ITU601, "bt709": Colorspace.ITU709}
_RGB = ("rgb24", "rgba", "gbrp", "gbrap")
_COLOURLESS = Color("bt601", full_range=True)


def samples(frame: VideoFrame, index: int, channels: int = 1) -> Plane:
    """View one plane of an 8-bit libav frame, (h, w) or (h, w, channels); it keeps libav's buffer alive."""
    plane = frame.planes[index]
    stride, width, height = abs(plane.line_size), plane.width, plane.height
    rows: Plane = np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(
        height, stride
    )  # bottom-up frames have a negative line size
    rows = rows[::-1] if plane.line_size < 0 else rows
    cut = rows[:, : width * channels]
    return cut if channels == 1 else cut.reshape(height, width, channels)


def convert(
    frame: VideoFrame, pixels: str, *, source: Color, target: Color, size: Size, scaler: VideoReformatter | None = None
) -> VideoFrame:
    """Return ``frame`` as libav format ``pixels``, scaled to ``size``, its colours changed from source to target.

    Full range is meant where either side is RGB, whatever its ``Color`` says. The same frame comes back when
    nothing is to be done. scaler: keeps swscale's tables from frame to frame; for one thread at a time.
    """
    return (scaler or VideoReformatter()).reformat(
        frame,
        width=size.width,
        height=size.height,
        format=pixels,
        src_colorspace=_MATRIX[source.matrix],
        dst_colorspace=_MATRIX[target.matrix],
        src_color_range=_range(source, rgb=frame.format.is_rgb),
        dst_color_range=_range(target, rgb=pixels in _RGB),
        interpolation=_EXACT,
        threads=1,  # swscale would start one a core, anew for each scaler
    )


def pack(frame: Frame) -> tuple[VideoFrame, Color]:
    """Copy a frame of ours (I420, GREY, RGB24 or RGBP, with or without alpha) into a libav frame of the same size.

    Returns it with the colour that its samples have. GREY counts as full range (0 = black, 255 = white).

    Raises
    ------
    ValueError: another format, which is a mistake of the caller.
    """
    planes, alpha = frame.planes, frame.alpha
    if frame.format is PixelFormat.I420:
        return _planar("yuv420p" if alpha is None else "yuva420p", frame.size, (*planes, alpha)), frame.color
    if frame.format is PixelFormat.RGBP:
        red, green, blue = planes
        return _planar("gbrp" if alpha is None else "gbrap", frame.size, (green, blue, red, alpha)), _COLOURLESS
    if frame.format is PixelFormat.GREY and alpha is None:
        return _planar("gray", frame.size, planes), _COLOURLESS
    picture = interleaved(frame)
    packed = VideoFrame(*frame.size, "rgb24" if picture.shape[2] == 3 else "rgba")
    samples(packed, 0, picture.shape[2])[:] = picture
    return packed, _COLOURLESS


def interleaved(frame: Frame) -> Plane:
    """Return R, G, B and, where the frame has one, straight alpha: uint8 (h, w, 3 or 4).

    The frame's own array for RGB24 without alpha, else a new one. Raises ValueError as ``pack``.
    """
    if frame.format is PixelFormat.RGB24:
        colours = frame.planes[0]
        return colours if frame.alpha is None else _merged(*cv2.split(colours), frame.alpha)
    if frame.format is PixelFormat.RGBP:
        return _merged(*frame.planes, *_some(frame.alpha))
    if frame.format is PixelFormat.GREY:
        return _merged(*frame.planes * 3, *_some(frame.alpha))
    if frame.format is PixelFormat.I420:
        packed, color = pack(frame)
        alpha = frame.alpha is not None
        rgb = convert(packed, "rgba" if alpha else "rgb24", source=color, target=color, size=frame.size)
        return samples(rgb, 0, 4 if alpha else 3)
    raise ValueError(f"frames of format {frame.format.name} are not for files")


def as_i420(frame: Frame, color: Color) -> Frame:
    """Return an RGB, GREY or I420 frame as I420 of ``color``, in new memory; its alpha is taken over.

    The last column or row of an odd size is left out.
    """
    size = Size(frame.size.width & ~1, frame.size.height & ~1)
    packed, source = pack(cropped(frame, size))
    yuv = convert(packed, "yuv420p" if frame.alpha is None else "yuva420p", source=source, target=color, size=size)
    planes = tuple(samples(yuv, index) for index in range(3))
    alpha = None if frame.alpha is None else frame.alpha[: size.height, : size.width]
    return Frame(
        planes,
        PixelFormat.I420,
        size,
        color=color,
        alpha=alpha,
        captured_ns=frame.captured_ns,
        sequence=frame.sequence,
    )


def cropped(frame: Frame, size: Size) -> Frame:
    """View the upper left ``size`` (even for I420) of a frame of any planar format or RGB24."""
    if frame.size == size:
        return frame
    width, height = size
    planes = [plane[:height, :width] for plane in frame.planes]
    if frame.format is PixelFormat.I420:
        planes[1:] = [plane[: height // 2, : width // 2] for plane in planes[1:]]
    alpha = None if frame.alpha is None else frame.alpha[:height, :width]
    return Frame(tuple(planes), frame.format, size, color=frame.color, alpha=alpha, captured_ns=frame.captured_ns)


def _planar(pixels: str, size: Size, planes: tuple[Plane | None, ...]) -> VideoFrame:
    packed = VideoFrame(*size, pixels)
    for index, plane in enumerate(planes):
        if plane is not None:
            samples(packed, index)[:] = plane
    return packed


def _merged(*planes: Plane) -> Plane:
    merged: Plane = cv2.merge([np.ascontiguousarray(plane) for plane in planes])
    return merged


def _some(alpha: Plane | None) -> tuple[Plane, ...]:
    return () if alpha is None else (alpha,)


def _range(color: Color, *, rgb: bool) -> ColorRange:
    return ColorRange.JPEG if rgb or color.full_range else ColorRange.MPEG
