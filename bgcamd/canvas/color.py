"""The arithmetic between RGB and YUV, as 3x4 matrices for ``cv2.transform``.

Source of the formulas: ITU-R BT.601-7 and BT.709-6, with JFIF's full range as BT.601's.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import Color

_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # weights of red and of blue

Matrix = NDArray[np.float64]


@cache
def rgb_to_yuv(color: Color) -> Matrix:
    """float64 (3, 4): R, G, B, 1 of 0..255 to Y, U, V of 0..255, chroma around 128."""
    red, blue = _LUMA[color.matrix]
    luma, chroma, foot = (1.0, 1.0, 0.0) if color.full_range else (219 / 255, 224 / 255, 16.0)
    y = np.array([red, 1 - red - blue, blue])
    u = (np.array([0, 0, 1]) - y) / (2 * (1 - blue)) * chroma
    v = (np.array([1, 0, 0]) - y) / (2 * (1 - red)) * chroma
    return np.column_stack([np.stack([y * luma, u, v]), [foot, 128.0, 128.0]])


@cache
def yuv_to_rgb(color: Color) -> Matrix:
    """float64 (3, 4): the inverse of ``rgb_to_yuv``."""
    forth = rgb_to_yuv(color)
    back = np.linalg.inv(forth[:, :3])
    return np.column_stack([back, -back @ forth[:, 3]])


@cache
def yuv_to_yuv(source: Color, target: Color) -> Matrix:
    """float64 (3, 4): YUV samples of one colour description to those of another."""
    first, then = yuv_to_rgb(source), rgb_to_yuv(target)
    return np.column_stack([then[:, :3] @ first[:, :3], then[:, :3] @ first[:, 3] + then[:, 3]])


def solid(rgb: tuple[int, int, int], color: Color) -> tuple[int, int, int]:
    """The Y, U, V samples of one colour."""
    yuv = rgb_to_yuv(color) @ np.array([*rgb, 1.0])
    y, u, v = (round(float(sample)) for sample in np.clip(yuv, 0, 255))
    return y, u, v
