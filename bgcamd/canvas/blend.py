"""Compositing: out = α·F + (1 − α)·B, once (Porter and Duff's "over" with straight colours, 1984)."""

from __future__ import annotations

import cv2
import numpy as np

from bgcamd.canvas.planes import Planes
from bgcamd.frame import Plane


class Blender:
    """Blends planes of one layout; keeps its scratch memory from frame to frame."""

    def __init__(self, like: Planes) -> None:
        self._near, self._far = np.empty_like(like[0]), np.empty_like(like[0])
        self._between, self._room = np.empty_like(like[0]), np.empty_like(like[0])
        self._alpha = {plane.shape: np.empty_like(plane) for plane in like[1:] if plane.shape != like[0].shape}

    def over(self, front: Planes, alpha: Plane, back: Planes, out: Planes, between: Planes | None = None) -> None:
        """Lay ``front`` over ``back`` into ``out``; alpha is uint8 (h, w), 255 = front.

        Each product is rounded to 8 bits, so a sample is off by 1 of 255 at most. Subsampled planes use the
        mean of alpha over their sample's block. between: G of ``edge_colour``, which makes it
        α²·F + α·(1 − α)·G + (1 − α)·B. Only the part where there is any of ``front`` is computed.
        """
        left, top, width, height = cv2.boundingRect(alpha)
        right, bottom = left + width + width % 2 + left % 2, top + height + height % 2 + top % 2
        left, top = left - left % 2, top - top % 2
        shares = {alpha.shape: alpha}
        for shape, small in self._alpha.items():
            shares[shape] = cv2.resize(alpha, shape[::-1], dst=small, interpolation=cv2.INTER_AREA)
        for number, (f, b, o) in enumerate(zip(front, back, out, strict=True)):
            np.copyto(o, b)
            step = len(alpha) // len(f)
            part = np.s_[top // step : -(-bottom // step), left // step : -(-right // step)]
            if width:
                g = None if between is None else between[number][part]
                self._blend(f[part], shares[f.shape][part], b[part], o[part], g)

    def _blend(self, front: Plane, alpha: Plane, back: Plane, out: Plane, between: Plane | None) -> None:
        part = np.s_[: front.shape[0], : front.shape[1]]
        near, far, middle, room = self._near[part], self._far[part], self._between[part], self._room[part]
        cv2.bitwise_not(alpha, dst=room)
        cv2.multiply(back, room, dst=far, scale=1 / 255)
        if between is None:
            cv2.multiply(front, alpha, dst=near, scale=1 / 255)
        else:
            cv2.multiply(alpha, room, dst=room, scale=1 / 255)
            cv2.multiply(between, room, dst=middle, scale=1 / 255)
            cv2.subtract(alpha, room, dst=room)
            cv2.multiply(front, room, dst=near, scale=1 / 255)
            cv2.add(far, middle, dst=far)
        cv2.add(near, far, dst=out)
