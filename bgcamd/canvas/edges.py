"""The network's soft outline brought onto the picture's own edges, at the network's own small size.

A guided filter (He, Sun and Tang, "Guided Image Filtering", 2013, eq. 14-19: three colour channels) widens a
transition that is too wide already, so the matte is made steeper before and after it: then the filter helps, with
less error near the edge than either alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import Plane, Size

Map = NDArray[np.float32]

_RADIUS, _EPS = 2, 5e-4  # of the filter; eps is a variance of colours of 0..1
_SHARE = 3 / 8  # the filter's size to the network's: as good as half, at a third of the cost


class Sharpener:
    """Sharpens mattes of one size; keeps its memory from frame to frame.

    Parameters
    ----------
    size: of the matte and of the picture that the network saw.
    """

    def __init__(self, size: Size) -> None:
        width, height = size
        self.size = size
        self._small = filter_size(size)
        self._parts: list[Map] = [np.empty((height, width), np.float32) for _ in range(4)]
        self._channels: list[Plane] = [np.empty((height, width), np.uint8) for _ in range(3)]
        self._steep, self._out = np.empty((height, width), np.float32), np.empty((height, width), np.uint8)

    def sharpened(self, alpha: Map, picture: Plane, softness: float) -> Plane:
        """Return alpha with its outline on the edges of ``picture``: uint8 (h, w), 255 = person; ours, for one call.

        Parameters
        ----------
        alpha: float32 (h, w), 0..1.
        picture: uint8 (h, w, 3), what the network saw.
        softness: how many times wider than the true edge the network's is; the slope becomes that much steeper,
            before and after the filter.
        """
        offset = 0.5 - 0.5 * softness  # of the line through (1/2, 1/2) with that slope
        steep = cv2.addWeighted(alpha, softness, alpha, 0, offset, dst=self._steep)
        np.clip(steep, 0, 1, out=steep)
        rough = cv2.resize(steep, self._small, interpolation=cv2.INTER_LINEAR)
        guide = cv2.split(cv2.resize(picture, self._small, interpolation=cv2.INTER_LINEAR))
        parts = _guided([channel * np.float32(1 / 255) for channel in guide], rough)
        for part, full in zip(parts, self._parts, strict=True):
            cv2.resize(part, self.size, dst=full, interpolation=cv2.INTER_LINEAR)
        *weights, out = self._parts
        for channel, weight in zip(cv2.split(picture, self._channels), weights, strict=True):
            cv2.multiply(weight, channel, dst=weight, scale=1 / 255, dtype=cv2.CV_32F)
            cv2.add(out, weight, dst=out)
        cv2.addWeighted(out, 255 * softness, out, 0, 255 * offset, dst=self._out, dtype=cv2.CV_8U)
        return self._out


def filter_size(size: Size) -> Size:
    """The size that the guided filter works in, for a matte of ``size``."""
    return Size(max(int(size.width * _SHARE), 1), max(int(size.height * _SHARE), 1))


def _guided(guide: list[Map], alpha: Map) -> list[Map]:
    """The filter's mean coefficients: alpha ≈ w0·R + w1·G + w2·B + b in every window; returns w0, w1, w2, b."""
    r, g, b = guide
    mr, mg, mb, ma = _mean(r), _mean(g), _mean(b), _mean(alpha)
    ca, cb, cc = _mean(r * alpha) - mr * ma, _mean(g * alpha) - mg * ma, _mean(b * alpha) - mb * ma
    eps = np.float32(_EPS)
    rr, gg, bb = _mean(r * r) - mr * mr + eps, _mean(g * g) - mg * mg + eps, _mean(b * b) - mb * mb + eps
    rg, rb, gb = _mean(r * g) - mr * mg, _mean(r * b) - mr * mb, _mean(g * b) - mg * mb
    # the inverse of the symmetric 3x3 covariance, by cofactors
    i0, i1, i2 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    i3, i4, i5 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1 / (rr * i0 + rg * i1 + rb * i2)
    w0 = (i0 * ca + i1 * cb + i2 * cc) * scale
    w1 = (i1 * ca + i3 * cb + i4 * cc) * scale
    w2 = (i2 * ca + i4 * cb + i5 * cc) * scale
    return [_mean(w0), _mean(w1), _mean(w2), _mean(ma - w0 * mr - w1 * mg - w2 * mb)]


def _mean(part: Map) -> Map:
    side = 2 * _RADIUS + 1
    mean: Map = cv2.blur(part, (side, side), borderType=cv2.BORDER_REFLECT)
    return mean
