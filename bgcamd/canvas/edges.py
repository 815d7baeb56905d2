"""The network's soft outline brought onto the picture's own edges, at the network's own small size.

A guided filter (He, Sun and Tang, "Guided Image Filtering", 2013, eq. 14-19: three colour channels) widens a
transition that is too wide already, so the matte is made steeper before and after it: then the filter helps, with
less error near the edge than either alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import Plane

Map = NDArray[np.float32]

_RADIUS, _EPS = 2, 5e-4  # of the filter; eps is a variance of colours of 0..1
_SHARE = 3 / 8  # the filter's size to the network's: as good as half, at a third of the cost


def sharpened(alpha: Map, picture: Plane, softness: float) -> Map:
    """Return alpha, float32 (h, w), 0..1, with its outline on the edges of ``picture``.

    Parameters
    ----------
    alpha: float32 (h, w), 0..1.
    picture: uint8 (h, w, 3), what the network saw.
    softness: how many times wider than the true edge the network's is; the slope becomes that much steeper,
        before and after the filter.
    """
    h, w = alpha.shape
    size = (max(int(w * _SHARE), 1), max(int(h * _SHARE), 1))
    guide = [
        channel / np.float32(255) for channel in cv2.split(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    ]
    rough = cv2.resize(_steeper(alpha, softness), size, interpolation=cv2.INTER_AREA)
    *weights, out = (cv2.resize(part, (w, h)) for part in _guided(guide, rough))
    for channel, weight in zip(cv2.split(picture), weights, strict=True):
        out += weight * (channel / np.float32(255))
    return _steeper(out, softness)


def _steeper(alpha: Map, slope: float) -> Map:
    """The line through (1/2, 1/2) of that slope, cut to 0..1."""
    steep = alpha * np.float32(slope) + np.float32(0.5 - 0.5 * slope)
    return np.clip(steep, 0, 1, out=steep)


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
