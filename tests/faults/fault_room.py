"""A room that nobody may see, as a camera sends it, and who finds a trace of it in a picture.

The room is magenta all over, with diagonal stripes of light and dark that move now and then; the person is a white
block in it, with the true edge on even samples. Nothing else is magenta, and nothing else has such stripes: not the
person, not the backgrounds, which are grey, not the cards. So every sample of a picture, of each of its planes, tells.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import PixelFormat, Plane, Size

SIZE = Size(128, 96)
PERIOD = 8  # px, of the stripes, along either axis
LUMA, CONTRAST = 100, 40  # of the stripes, and by how much they are lighter and darker
MAGENTA = (200, 215)
"""U and V of the room; 128 is grey."""
PERSON = np.s_[32:, 48:80]
PERSON_LUMA = 235
GREY, GREY_LUMA = (89, 89, 89), 92  # a background, R, G, B, and its Y

_STILL = 5  # frames in which the stripes rest, so that a matte may do for the next frame, too
_HUE = 8  # off grey: a tenth of the room
_WINDOW, _STEP = 16, 8
_FAINT = 0.08  # of the stripes' contrast
_ALIKE = 0.8  # how much of what varies in a part of the picture is these stripes, where they are more than faint
_LIGHT, _SOFT = 165, 6  # what is lighter is the person or writing; so many px round it the outline may be soft


def picture(number: int, size: Size = SIZE) -> tuple[Plane, Plane, Plane]:
    """Y, U and V, each (height, width), of the camera's frame of that number."""
    across, down = np.meshgrid(np.arange(size.width), np.arange(size.height))
    stripes = LUMA + CONTRAST * np.sin(2 * np.pi * (across + down + number // _STILL) / PERIOD)
    y, u, v = np.rint(stripes).astype(np.uint8), *(np.full(stripes.shape, chroma, np.uint8) for chroma in MAGENTA)
    person = _scaled(size)
    y[person], u[person], v[person] = PERSON_LUMA, 128, 128
    return y, u, v


def _scaled(size: Size) -> tuple[slice, slice]:
    """Where the person is in a frame of another size: on even samples."""
    rows, columns = PERSON
    top = rows.start * size.height // SIZE.height & ~1
    left, right = (side * size.width // SIZE.width & ~1 for side in (columns.start, columns.stop))
    return np.s_[top:, left:right]


@cache
def sent(number: int, format: PixelFormat, size: Size = SIZE) -> bytes:  # noqa: A002 - the field's standard name
    """The frame as a camera of that format sends it."""
    y, u, v = picture(number, size)
    if format is PixelFormat.MJPG:
        bgr = cv2.cvtColor(cv2.merge([y, v, u]), cv2.COLOR_YCrCb2BGR)
        return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, 95))[1].tobytes()
    if format is PixelFormat.NV12:
        return y.tobytes() + cv2.merge([u[::2, ::2], v[::2, ::2]]).tobytes()
    packed = np.stack([y, u], axis=-1)
    packed[:, 1::2, 1] = v[:, ::2]
    return packed.tobytes()


def trace(planes: tuple[Plane, ...], *, blurred: bool = False) -> str:
    """What there is of the room in an I420 picture of ``SIZE``; "" for nothing.

    blurred: its colour may be seen, but none of what could be recognised: the stripes.
    """
    y, u, v = planes
    near = cv2.dilate((y > _LIGHT).astype(np.uint8), np.ones((2 * _SOFT + 1,) * 2, np.uint8))
    if not blurred and (found := _hue(u, v, near)):
        return f"{found} samples of its colour"
    strongest = _stripes(y, near)
    return f"{strongest:.0%} of its stripes" if strongest > _FAINT else ""


def _hue(u: Plane, v: Plane, near: Plane) -> int:
    apart = cv2.resize(near, u.shape[::-1], interpolation=cv2.INTER_AREA) == 0
    return int(((v > 128 + _HUE) & (u > 128 + _HUE // 2) & apart).sum())


def _stripes(plane: Plane, near: Plane) -> float:
    """The most of the stripes' contrast that any part of the picture has, where it has little else."""
    parts, apart = _windows(plane.astype(np.float32)), _windows(near).max(axis=1) == 0
    if not apart.any():
        return 0.0
    parts = parts[apart]
    parts -= parts.mean(axis=1, keepdims=True)
    strength = np.abs(parts @ _wave()) * 2 / parts.shape[1]
    varies = np.maximum((parts * parts).mean(axis=1), 1e-6)
    alike = strength * strength / 2 / varies > _ALIKE
    return float(np.max(strength * alike / CONTRAST))


def _windows(plane: NDArray[np.generic]) -> NDArray[np.float32]:
    whole = np.lib.stride_tricks.sliding_window_view(plane, (_WINDOW, _WINDOW))[::_STEP, ::_STEP]
    return np.array(whole.reshape(-1, _WINDOW * _WINDOW), np.float32)


@cache
def _wave() -> NDArray[np.complex64]:
    across, down = np.meshgrid(np.arange(_WINDOW), np.arange(_WINDOW))
    wave: NDArray[np.complex64] = np.exp(-2j * np.pi * (across + down) / PERIOD).reshape(-1).astype(np.complex64)
    return wave


def is_live(planes: tuple[Plane, ...]) -> bool:
    """Whether the person is in the picture, where the camera sees them."""
    return bool(planes[0][60:90, 56:72].mean() > PERSON_LUMA - 30)


def is_card(planes: tuple[Plane, ...]) -> bool:
    """Whether it is a card: dark, and darker at the bottom, whatever is written on it."""
    corners = planes[0][:8, :8], planes[0][-8:, -8:]
    return bool(all(corner.mean() < 60 for corner in corners) and corners[0].mean() > corners[1].mean() + 5)
