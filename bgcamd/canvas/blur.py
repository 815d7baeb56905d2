"""The blurred room: what is behind the person, without the person's own colours bleeding into it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.canvas.planes import Planes
from bgcamd.frame import Plane, Size

_COARSE = 2.5  # the picture is shrunk until the blur's sigma is about this many pixels,
_LEAST_FACTOR = 4  # and by this much at least, since nobody asks for a blur to see detail


class RoomBlur:
    """Blurs the part of the picture that alpha leaves out; keeps its full-size memory from frame to frame."""

    def __init__(self, like: Planes) -> None:
        self._out = tuple(np.empty_like(plane) for plane in like)

    def blur(self, planes: Planes, alpha: Plane, strength: int) -> Planes:
        """Return the blurred planes, ours until the next call.

        The blur is a normalised convolution (Knutsson and Westin, 1993) with the weight 1 − α: a sample is the
        mean of the room around it, never of the person. strength 1..100 stands for a Gaussian's sigma of
        strength/1500 of the picture's height. It is computed on a small picture, one for all planes.
        """
        size, sigma = coarse(Size(alpha.shape[1], alpha.shape[0]), strength)
        room = _room(alpha, size)
        weight = cv2.GaussianBlur(room, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        for plane, out in zip(planes, self._out, strict=True):
            total = cv2.GaussianBlur(shrunk(plane, size) * room, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
            mean = cv2.convertScaleAbs(cv2.divide(total, weight))
            cv2.resize(mean, plane.shape[::-1], dst=out, interpolation=cv2.INTER_LINEAR)
        return self._out


def coarse(size: Size, strength: int) -> tuple[Size, float]:
    """The small picture's size for pictures of ``size``, and the Gaussian's sigma on it."""
    sigma = strength / 1500 * size.height
    factor = max(sigma / _COARSE, _LEAST_FACTOR)
    return Size(max(round(size.width / factor), 1), max(round(size.height / factor), 1)), max(sigma / factor, 0.3)


def steps(start: Size, end: Size) -> list[Size]:
    """The sizes to shrink through, ``end`` the last, so that nothing aliases.

    Halving is the mean of each 2x2 block, and many times faster than INTER_AREA.
    """
    sizes, (width, height) = [end], start
    while width >= 2 * end.width and height >= 2 * end.height:
        width, height = width // 2, height // 2
        sizes.insert(-1, Size(width, height))
    return sizes


def _room(alpha: Plane, size: Size) -> NDArray[np.float32]:
    """float32 (h, w), almost 0 on the person and a little around, 1 in the room."""
    person = cv2.dilate(shrunk(alpha, size), np.ones((3, 3), np.uint8)).astype(np.float32)
    room: NDArray[np.float32] = np.maximum(1 - person / np.float32(255), np.float32(1e-3))
    return room


def shrunk(plane: Plane, size: Size) -> Plane:
    """Shrink a plane to ``size``, without aliasing."""
    for step in steps(Size(plane.shape[1], plane.shape[0]), size):
        plane = cv2.resize(plane, step, interpolation=cv2.INTER_LINEAR)
    return plane
