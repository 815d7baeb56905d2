"""Pictures stored lying or mirrored: EXIF orientations and display matrices, and how to set planes upright."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


class Turn(NamedTuple):
    """Where a stored pixel goes: first x and y change places if ``swap``, then ``flip_x``, then ``flip_y``."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False


UPRIGHT = Turn()

EXIF = {
    1: UPRIGHT,
    2: Turn(flip_x=True),
    3: Turn(flip_x=True, flip_y=True),
    4: Turn(flip_y=True),
    5: Turn(swap=True),
    6: Turn(swap=True, flip_x=True),
    7: Turn(swap=True, flip_x=True, flip_y=True),
    8: Turn(swap=True, flip_y=True),
}
"""The values of EXIF's tag 0x0112 (EXIF 2.32, 4.6.4 A)."""


def turn_of_matrix(data: bytes) -> Turn:
    """Read libavutil's display matrix: nine int32, rows (a b u)(c d v)(x y w); x' = ax + cy, y' = bx + dy.

    Anything but the eight turns by right angles counts as the nearest of them; a matrix of another length as none.
    """
    if len(data) != 36:
        return UPRIGHT
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(data, np.int32))
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    return Turn(swap, flip_x=(c if swap else a) < 0, flip_y=(b if swap else d) < 0)


def turned(plane: NDArray[T], turn: Turn) -> NDArray[T]:
    """Return ``plane`` (h, w, ...) set upright: itself when there is nothing to do, else a contiguous copy."""
    if turn == UPRIGHT:
        return plane
    if turn.swap:
        plane = plane.swapaxes(0, 1)
    if turn.flip_x:
        plane = plane[:, ::-1]
    if turn.flip_y:
        plane = plane[::-1]
    return np.ascontiguousarray(plane)
