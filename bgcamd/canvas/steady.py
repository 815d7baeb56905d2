"""Mattes made steady in time, where the picture stands still: a moving hand leaves no ghost."""

from __future__ import annotations

from functools import reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import Plane, Region, Size

Map = NDArray[np.float32]

_MOST = 0.95  # of the memory: what was wrong once is not wrong for ever
_STILL = 0.03  # of the samples' range: at this change of colour a pixel's memory counts 1/e of what it can
_CELL = 3  # px of the half-size picture: noise is averaged, and motion spreads, over so many


class Steady:
    """Remembers mattes of one size; a recursive mean whose weight falls where the colours change.

    m' = m + w·(last − m), w = 0.95 · strength · exp(−(d / 0.03)²), d the largest change of the colours nearby, 0..1.
    """

    def __init__(self, size: Size) -> None:
        width, height = size
        self.size = size
        self._half = max(width // 2, 1), max(height // 2, 1)
        self._last: tuple[Map, Plane, Region] | None = None
        self._table = np.zeros(256, np.float32)
        self._strength = -1

    def forget(self) -> None:
        """The next matte has nothing to do with the last."""
        self._last = None

    def steadied(self, alpha: Map, picture: Plane, region: Region, strength: int) -> Map:
        """Return alpha (h, w), float32, made steady; ours until the next call.

        Parameters
        ----------
        picture: uint8 (h, w, 3), what the network saw.
        region: of the frame that both show; where it is another than the last time, the memory is moved along, and
            what was not in it then is taken as it is.
        strength: 0..100; how much of the memory is kept where nothing moves.
        """
        calm = cv2.blur(cv2.resize(picture, self._half, interpolation=cv2.INTER_LINEAR), (_CELL, _CELL))
        steady = alpha.copy()
        if self._last is not None:
            last, before, then = self._last
            change = cv2.absdiff(calm, before if then == region else self._moved(before, then, region))
            channels = list(cv2.split(change))
            if then != region:
                last = self._moved(last, then, region)
                channels.append(255 - self._moved(np.full(before.shape[:2], 255, np.uint8), then, region))
            weight = cv2.resize(self._weight(channels, strength), self.size, interpolation=cv2.INTER_LINEAR)
            steady += weight * (last - alpha)
        self._last = steady, calm, region
        return steady

    def _weight(self, changes: list[Plane], strength: int) -> Map:
        if strength != self._strength:
            self._strength, self._table = strength, kept_at(strength)
        change: Plane = reduce(cv2.max, changes)
        change = cv2.blur(cv2.dilate(change, np.ones((_CELL, _CELL), np.uint8)), (_CELL, _CELL))
        weight: Map = cv2.LUT(change, self._table)
        return weight

    @staticmethod
    def _moved(memory: Any, then: Region, now: Region) -> Any:
        """A map of one region as a map of another: bilinear, with zeros where there was none."""
        height, width = memory.shape[:2]
        across, down = now.width / then.width, now.height / then.height
        # From the middle of a pixel of the new map to that of the old one.
        left = (now.left - then.left) * width / then.width + 0.5 * across - 0.5
        top = (now.top - then.top) * height / then.height + 0.5 * down - 0.5
        matrix = np.array([[across, 0, left], [0, down, top]])
        return cv2.warpAffine(memory, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def kept_at(strength: int) -> Map:
    """How much of the memory is kept, float32 (256,), by the change of the colours."""
    change = np.arange(256, dtype=np.float32) / np.float32(255 * _STILL)
    table: Map = np.exp(-change * change) * np.float32(_MOST * strength / 100)
    return table
