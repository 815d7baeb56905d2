"""The blurred room: what is behind the person, without the person's own colours bleeding into it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.canvas.planes import Planes
from bgcamd.frame import Plane

_SHRINK = 4  # the blur is computed on a picture this many times smaller each way
_PASSES = 3  # box filters in a row approach a Gaussian (central limit theorem)


class RoomBlur:
    """Blurs the part of the picture that alpha leaves out; keeps its memory from frame to frame."""

    def __init__(self, like: Planes) -> None:
        self._out = tuple(np.empty_like(plane) for plane in like)

    def blur(self, planes: Planes, alpha: Plane, strength: int) -> Planes:
        """Return the blurred planes, ours until the next call.

        The blur is a normalised convolution (Knutsson and Westin, 1993) with the weight 1 − α: a sample is the
        mean of the room around it, never of the person. strength 1..100 stands for a Gaussian's sigma of
        strength/1500 of the picture's height.
        """
        for plane, out in zip(planes, self._out, strict=True):
            sigma = strength / 1500 * plane.shape[0] / _SHRINK
            size = max(plane.shape[1] // _SHRINK, 1), max(plane.shape[0] // _SHRINK, 1)
            room = _room_weight(alpha, size)
            small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
            total, weight = _smooth(small * room, sigma), _smooth(room, sigma)
            mean = cv2.convertScaleAbs(cv2.divide(total, weight))
            cv2.resize(mean, plane.shape[::-1], dst=out, interpolation=cv2.INTER_LINEAR)
        return self._out


def _room_weight(alpha: Plane, size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (h, w), almost 0 on the person and a little around, 1 in the room."""
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    person = cv2.dilate(small, np.ones((3, 3), np.uint8)).astype(np.float32)
    room: NDArray[np.float32] = np.maximum(1 - person / np.float32(255), np.float32(1e-3))
    return room


def _smooth(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    width = max(3, int(math.sqrt(12 * sigma * sigma / _PASSES + 1)) | 1)
    for _ in range(_PASSES):
        plane = cv2.blur(plane, (width, width), borderType=cv2.BORDER_REPLICATE)
    return plane
