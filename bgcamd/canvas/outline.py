"""From a network's matte to a small alpha: of two looks, steady, on the picture's edges, as the user wants it."""

from __future__ import annotations

from functools import lru_cache
from math import erf, exp, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.canvas.edges import Sharpener
from bgcamd.canvas.steady import Steady
from bgcamd.frame import GLANCE, Matte, Plane, Region, Size
from bgcamd.scene import USUAL_EDGE, Edge

Map = NDArray[np.float32]

_AGREED = 0.75  # how much of two looks' mean is their geometric mean, which drops what only one of them sees
_REACH = 0.03  # of the picture's height: a feather, or a shift, of 100
_FINEST, _COARSEST = 0.3, 40.0  # sigma of a blur, px of the matte: less does nothing, and more leaves nobody in it


class Outline:
    """Draws outlines for frames of one size; keeps its memory from frame to frame."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._steady: Steady | None = None
        self._sharpener: Sharpener | None = None
        self._kept: Map | None = None

    def forget(self) -> None:
        """The next matte has nothing to do with the last."""
        self._kept = None
        if self._steady is not None:
            self._steady.forget()

    def keep(self, alpha: Map) -> None:
        """Keep the answer to a mirrored look for the next ``drawn``."""
        self._kept = cv2.flip(alpha, 1)

    def drawn(self, matte: Matte, picture: Plane, region: Region, edge: Edge, *, sharpen: bool = True) -> Plane:
        """Return the alpha, uint8 of the matte's shape, 255 = person; ours until the next call.

        Parameters
        ----------
        picture: uint8 (h, w, 3), what the network saw.
        region: of the frame that it saw.
        sharpen: whether it is steadied and brought onto the picture's edges, or only made as steep as it should be.
        """
        alpha = self._joined(matte.alpha)
        if self._steady is not None and not (sharpen and edge.smooth):
            self._steady.forget()  # what it remembers will be old
        if not sharpen:
            alpha, slope = _as_sure(alpha, edge.threshold / 100), matte.softness
            steep = cv2.addWeighted(alpha, 255 * slope, alpha, 0, 255 * (0.5 - 0.5 * slope), dtype=cv2.CV_8U)
            return self._edged(steep, region, edge)
        if alpha.shape != picture.shape[:2]:
            return self._edged(cv2.convertScaleAbs(alpha, alpha=255), region, edge)
        size = Size(alpha.shape[1], alpha.shape[0])
        if self._steady is None or self._sharpener is None or self._steady.size != size:
            self._steady, self._sharpener = Steady(size), Sharpener(size)
        if edge.smooth:
            alpha = self._steady.steadied(alpha, picture, region, edge.smooth)
        alpha = _as_sure(alpha, edge.threshold / 100)
        if matte.softness > 1:
            small = self._sharpener.sharpened(alpha, picture, matte.softness)
        else:
            small = cv2.convertScaleAbs(alpha, alpha=255)
        return self._edged(small, region, edge)

    def _joined(self, alpha: Map) -> Map:
        kept, self._kept = self._kept, None
        if kept is None or kept.shape != alpha.shape:
            return alpha
        both: Map = np.sqrt(alpha * kept) * np.float32(_AGREED) + (alpha + kept) * np.float32(0.5 - 0.5 * _AGREED)
        return both

    def _edged(self, small: Plane, region: Region, edge: Edge) -> Plane:
        """Softer, further out or further in."""
        if not edge.feather and not edge.shift:
            return small
        size = Size(small.shape[1], small.shape[0])
        if edge.shift:
            across, down = spread(edge.shift, size, region, self._size, at_least=1)
            small = cv2.LUT(_blurred(small, across, down), moved(shifted(edge.shift, size, region, self._size), down))
        if edge.feather:
            small = _blurred(small, *spread(edge.feather, size, region, self._size))
        return small


def _as_sure(alpha: Map, middle: float) -> Map:
    """Two lines, 0 to 0, ``middle`` to 1/2, 1 to 1."""
    if middle == USUAL_EDGE.threshold / 100:
        return alpha
    low, high = alpha * np.float32(0.5 / middle), (alpha - 1) * np.float32(0.5 / (1 - middle)) + 1
    return np.where(alpha < np.float32(middle), low, high)


def spread(percent: int, small: Size, region: Region, frame: Size, at_least: float = 0) -> tuple[float, float]:
    """How far a feather or a shift reaches in the small alpha of a region: a Gaussian's sigmas, across and down, px."""
    across, down = small.width / region.width, small.height / region.height  # the small alpha's pixels for a frame's
    sigma = max(abs(percent) / 100 * _REACH * frame.height, at_least / down)
    return min(max(sigma * across, _FINEST), _COARSEST), min(max(sigma * down, _FINEST), _COARSEST)


def shifted(percent: int, small: Size, region: Region, frame: Size) -> float:
    """How far a shift reaches in the small alpha of a region, px, outward; no further than ``spread`` does."""
    distance = percent / 100 * _REACH * frame.height * small.height / region.height
    return min(max(distance, -_COARSEST), _COARSEST)


def _blurred(small: Plane, across: float, down: float) -> Plane:
    blurred: Plane = cv2.GaussianBlur(small, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REPLICATE)
    return blurred


@lru_cache(maxsize=16)
def moved(distance: float, sigma: float) -> Plane:
    """A table from a blurred edge to a sharp one that is ``distance`` further out; both in px.

    A step blurred by a Gaussian is Φ(x/σ), whose slope is φ(x/σ)/σ: the table takes its value at -distance to 1/2, with
    a slope that makes an edge of two pixels, and that keeps 0 at 0 and 1 at 1.
    """
    middle = 0.5 * (1 - erf(distance / sigma / sqrt(2)))
    density = exp(-((distance / sigma) ** 2) / 2) / sqrt(2 * pi)
    slope = max(sigma / (2 * density), 0.5 / min(middle, 1 - middle))
    steps = np.arange(256) / 255
    table: Plane = np.clip(np.rint(255 * ((steps - middle) * slope + 0.5)), 0, 255).astype(np.uint8)
    return table


def small_of_frame(alpha: Map, region: Region, frame: Size) -> Plane:
    """A matte of a region as a small alpha of the whole frame, of ``GLANCE``'s size; 0 outside."""
    height, width = alpha.shape
    across = frame.width / GLANCE.width * width / region.width
    down = frame.height / GLANCE.height * height / region.height
    left, top = -region.left * width / region.width, -region.top * height / region.height
    matrix = np.array([[across, 0, left + 0.5 * across - 0.5], [0, down, top + 0.5 * down - 0.5]])
    small = cv2.warpAffine(alpha, matrix, GLANCE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    glance: Plane = cv2.convertScaleAbs(small, alpha=255)
    return glance
