"""The person's own colour where the outline is soft, so that no fringe of the old room stays.

A soft pixel is I = α·F + (1 − α)·B of the person's colour F and the old room's B; drawn as it is before a new
background it would bring some of B along. Blur-fusion (Forte, "Approximate Fast Foreground Colour Estimation", 2021)
estimates both from the surroundings: F' and B', the means of what is surely person and surely room, and then
F = F' + α·(I − α·F' − (1 − α)·B'). Put into the composite, α·F + (1 − α)·New is

    α²·I + α·(1 − α)·G + (1 − α)·New,    G = (1 + α)·F' − α·B'

with a smooth G, which is computed on a small picture and enlarged.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.canvas.blur import shrunk
from bgcamd.canvas.planes import Planes
from bgcamd.frame import Plane, Size

Map = NDArray[np.float32]

_FACTOR = 4  # the small picture's size to the frame's
_STEP = 8  # px: a pixel of the small picture, and of small chroma
_RADIUS = 2  # px of it, how far around a pixel the surroundings are
_LITTLE = 1e-3  # of weight, where there is neither person nor room


class EdgeColour:
    """Estimates G for planes of one layout; keeps its full-size memory from frame to frame."""

    def __init__(self, like: Planes) -> None:
        self._out = tuple(np.empty_like(plane) for plane in like)

    def between(self, planes: Planes, alpha: Plane, back: Planes, light_wrap: int) -> Planes:
        """Return G for each plane, uint8, where alpha is soft; elsewhere anything. Ours until the next call.

        Parameters
        ----------
        back: the new background.
        light_wrap: 0..100, how much of the new background's own colour G takes on.
        """
        height, width = alpha.shape
        size = Size(max(width // _FACTOR, 1), max(height // _FACTOR, 1))
        box = _box(alpha)
        few = tuple(slice(side.start // _FACTOR, side.stop // _FACTOR) for side in box) if box else np.s_[:, :]
        share = shrunk(alpha, size)[few].astype(np.float32) * np.float32(1 / 255)
        person, room = share * share, (1 - share) * (1 - share)
        persons, rooms = 1 / (_mean(person) + _LITTLE), 1 / (_mean(room) + _LITTLE)
        for plane, behind, out in zip(planes, back, self._out, strict=True):
            small = shrunk(plane, size)[few].astype(np.float32)
            own, old = _mean(small * person) * persons, _mean(small * room) * rooms
            between = own + share * (own - old)
            if light_wrap:
                between += (shrunk(behind, size)[few] - between) * np.float32(light_wrap / 100)
            step = height // len(plane)
            part = out[tuple(slice(side.start // step, side.stop // step) for side in box)] if box else out
            samples = cv2.convertScaleAbs(np.maximum(between, 0))
            cv2.resize(samples, part.shape[::-1], dst=part, interpolation=cv2.INTER_LINEAR)
        return self._out


def _box(alpha: Plane) -> tuple[slice, slice] | None:
    """The rows and columns that have to be computed, in steps that fit the small picture; None for all."""
    if any(side % _STEP for side in alpha.shape):
        return None
    left, top, width, height = cv2.boundingRect(alpha)
    rows, columns = _widened(top, height, alpha.shape[0]), _widened(left, width, alpha.shape[1])
    return rows, columns


def _widened(start: int, length: int, most: int) -> slice:
    margin = (_RADIUS + 2) * _FACTOR
    first, last = max(start - margin, 0) // _STEP * _STEP, -(-(start + length + margin) // _STEP) * _STEP
    return slice(first, min(last, most))


def _mean(part: Map) -> Map:
    side = 2 * _RADIUS + 1
    mean: Map = cv2.blur(part, (side, side), borderType=cv2.BORDER_REPLICATE)
    return mean
