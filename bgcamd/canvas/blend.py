"""Compositing: out = α·F + (1 − α)·B, once (Porter and Duff's "over" with straight colours, 1984)."""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.canvas.planes import Planes
from bgcamd.frame import Plane


class Blender:
    """Blends planes of one layout; keeps its scratch memory from frame to frame."""

    def __init__(self, like: Planes) -> None:
        self._near = tuple(np.empty_like(plane) for plane in like)
        self._far = tuple(np.empty_like(plane) for plane in like)
        self._room = {plane.shape: np.empty_like(plane) for plane in like}
        self._alpha = {plane.shape: np.empty_like(plane) for plane in like[1:] if plane.shape != like[0].shape}

    def over(self, front: Planes, alpha: Plane, back: Planes, out: Planes) -> None:
        """Lay ``front`` over ``back`` into ``out``; alpha is uint8 (h, w), 255 = front.

        Each product is rounded to 8 bits, so a sample is off by 1 of 255 at most. Subsampled planes use the
        mean of alpha over their sample's block.
        """
        shares = {alpha.shape: alpha}
        for shape, small in self._alpha.items():
            cv2.resize(alpha, shape[::-1], dst=small, interpolation=cv2.INTER_AREA)
            shares[shape] = small
        for shape, share in shares.items():
            cv2.bitwise_not(share, dst=self._room[shape])
        for f, b, o, near, far in zip(front, back, out, self._near, self._far, strict=True):
            cv2.multiply(f, shares[f.shape], dst=near, scale=1 / 255)
            cv2.multiply(b, self._room[f.shape], dst=far, scale=1 / 255)
            cv2.add(near, far, dst=o)
