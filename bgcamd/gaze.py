"""Where the network looks: at the person, not at the whole frame, where the person fills a small part of it.

A network of a fixed input size sees ten times more of somebody who stands at the far wall when it is shown a crop
round them. The crop follows the last matte; it moves seldom and by much rather than all the time, since every move
changes the outline a little.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import GLANCE, Plane, Region, Size

_SURE, _LIKELY = 178, 128  # of 255: what counts as person in a crop, and in a first look at the whole frame
_NEAR = 0.5  # px of the glance, from a side of the crop: who is so close to it goes on beyond it
_CRUMB = 0.1  # of the largest part: a smaller one is no second person
_LEAST = 0.002  # of the frame: a smaller one is nobody
_MARGIN = 0.10  # of the person's box, on every side
_STRETCH = 1.5  # the crop is at most so much wider or higher than the network's input is
_STILL = 0.04  # of the crop: as long as no side would move by more, none does
_WHOLE = 0.85  # of the frame: a crop that is larger is not worth its flicker;
_PART = 0.75  # and from the whole, one is that is smaller than this
_SHRINKING = 12  # frames: it grows at once, but shrinks only to what all of the last ones wanted
_SMALLEST = 64  # px, of a crop's side: the network sees no more of less
_WIDE = 15  # every so many frames somebody may have come in


class Gaze:
    """Follows a person through the frames of one size.

    Attributes
    ----------
    region: what to show the network next; None for the whole frame.
    """

    def __init__(self, size: Size) -> None:
        self._size = size
        self.region: Region | None = None
        self._frames = 0
        self._boxes: deque[NDArray[np.float64]] = deque(maxlen=_SHRINKING)

    @property
    def wide(self) -> bool:
        """Whether the network should also look at the whole of this frame, for who has come in."""
        return self.region is not None and self._frames % _WIDE == _WIDE - 1

    def follow(self, alpha: Plane) -> None:
        """Look at the small alpha of the last frame, uint8 of GLANCE's shape, and decide about the next."""
        self._frames += 1
        box = _box(alpha, _SURE if self.region is not None else _LIKELY)
        if box is None:
            self._boxes.clear()
            self.region = None
            return
        self._boxes.append(box if self.region is None else self._beyond(box, self.region))
        boxes = np.array(self._boxes)
        wanted = self._round(np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]))
        if wanted is None or self.region is None or _apart(wanted, self.region):
            self.region = wanted

    def _beyond(self, box: NDArray[np.float64], region: Region) -> NDArray[np.float64]:
        """The box, longer by half where it ends at a side of the region: the person goes on beyond it."""
        at_end = np.abs(box - np.divide(_sides(region), self._size * 2)) <= np.divide(_NEAR, GLANCE * 2)
        width, height = (box[2:] - box[:2]) / 2
        longer: NDArray[np.float64] = np.clip(box + at_end * (-width, -height, width, height), 0, 1)
        return longer

    def _round(self, box: NDArray[np.float64]) -> Region | None:
        """A crop with a margin round a box of shares of the frame; None where it is nearly the frame."""
        width, height = self._size
        left, top, right, bottom = box * (width, height, width, height)
        wide, high = (right - left) * (1 + 2 * _MARGIN), (bottom - top) * (1 + 2 * _MARGIN)
        middle = (left + right) / 2
        grown = max(high, wide / _STRETCH)
        upper = top - _MARGIN * (bottom - top) - 0.7 * (grown - high)  # a lying box is more often cut off above
        wide, high = min(max(wide, high / _STRETCH, _SMALLEST), width), min(max(grown, _SMALLEST), height)
        if wide * high > (_WHOLE if self.region is not None else _PART) * width * height:
            return None
        left, upper = min(max(middle - wide / 2, 0), width - wide), min(max(upper, 0), height - high)
        return _even(left, upper, wide, high, self._size)


def _apart(wanted: Region, now: Region) -> bool:
    """Whether a side would have to move by more than a little."""
    moves = [abs(a - b) for a, b in zip(_sides(wanted), _sides(now), strict=True)]
    return max(moves) > _STILL * max(now.width, now.height)


def _sides(region: Region) -> tuple[int, int, int, int]:
    return region.left, region.top, region.left + region.width, region.top + region.height


def _box(alpha: Plane, sure: int) -> NDArray[np.float64] | None:
    """left, top, right, bottom of all persons, as shares of the frame; None where there is nobody."""
    mask = cv2.threshold(alpha, sure, 1, cv2.THRESH_BINARY)[1]
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts = parts[1:]
    if len(parts):
        areas = parts[:, cv2.CC_STAT_AREA]
        parts = parts[(areas >= _CRUMB * areas.max()) & (areas >= _LEAST * alpha.size)]
    if not len(parts):
        return None
    left, top, wide, high = (parts[:, index] for index in range(4))
    height, width = alpha.shape
    return np.array([left.min() / width, top.min() / height, (left + wide).max() / width, (top + high).max() / height])


def _even(left: float, top: float, width: float, height: float, frame: Size) -> Region:
    """The smallest region of even numbers that holds it, within the frame, whose own end may be odd."""
    x, y = int(left) & ~1, int(top) & ~1
    right, bottom = -(-int(left + width) // 2) * 2, -(-int(top + height) // 2) * 2
    return Region(x, y, min(right, frame.width) - x, min(bottom, frame.height) - y)
