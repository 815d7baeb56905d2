"""A contact sheet of mattes, for eyes: figures alone have let many a bad edge pass."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bgcamd.frame import Plane

_WIDTH, _GAP, _LINE = 1600, 8, 20
_TALLEST = 300
_TITLES = ("picture", "alpha", "over a checker", "over magenta", "truth", "red: too much, blue: too little")
_CELL = (_WIDTH - _GAP * (len(_TITLES) + 1)) // len(_TITLES)
_PAPER, _INK = (32, 34, 38), (235, 238, 242)
_MAGENTA = (255, 0, 255)


class _Row(NamedTuple):
    badness: float
    caption: str
    pixels: Plane


class Sheet:
    """Keeps the worst pictures it is given, one of a group, and draws them: whole, and near where they are worst.

    most: how many rows there are at most.
    """

    def __init__(self, most: int = 6) -> None:
        self._most = most
        self._rows: dict[int, _Row] = {}

    def add(
        self, group: int, caption: str, badness: float, *, picture: Plane | None, alpha: Plane, true: Plane
    ) -> None:
        """Take one picture, if it is worse than what is kept; nothing given is held on to.

        Parameters
        ----------
        group: of pictures that look alike (neighbours in a clip); the worst of them is kept.
        picture: uint8 (h, w, 3), RGB; None = the truth stands in for it.
        alpha, true: uint8 (h, w), 255 = person.
        """
        if group in self._rows and self._rows[group].badness >= badness:
            return
        full = len(self._rows) == self._most and group not in self._rows
        mildest = min(self._rows, key=lambda key: self._rows[key].badness, default=group)
        if full and self._rows[mildest].badness >= badness:
            return
        if full:
            del self._rows[mildest]
        cells = _cells(_in_colour(true) if picture is None else picture, alpha, true)
        self._rows[group] = _Row(badness, caption, np.vstack([_strip(cells), _strip(_near_worst(cells, alpha, true))]))

    def draw(self) -> Plane:
        """Return the sheet, uint8 (height, width, 3), RGB, the worst first."""
        rows = sorted(self._rows.values(), reverse=True)
        height = _LINE + sum(_LINE + row.pixels.shape[0] for row in rows) + _GAP
        sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
        pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
        for index, title in enumerate(_TITLES):
            pen.text((_GAP + index * (_CELL + _GAP), 3), title, _INK, font)
        top = _LINE
        for row in rows:
            pen.text((_GAP, top + 3), row.caption, _INK, font)
            sheet.paste(Image.fromarray(row.pixels), (0, top + _LINE))
            top += _LINE + row.pixels.shape[0]
        return np.array(sheet)


def _cells(picture: Plane, alpha: Plane, true: Plane) -> list[Plane]:
    height, width = alpha.shape
    square = max(width // 40, 4)
    rows, columns = np.indices((height, width)) // square
    checker = np.where((rows + columns) % 2, 102, 153).astype(np.uint8)
    magenta = np.broadcast_to(np.array(_MAGENTA, np.uint8), picture.shape)
    over = [_over(picture, alpha, _in_colour(checker)), _over(picture, alpha, magenta)]
    return [picture, _in_colour(alpha), *over, _in_colour(true), _difference(alpha, true)]


def _over(picture: Plane, alpha: Plane, back: Plane) -> Plane:
    weight = alpha[..., None].astype(np.float32) / 255
    blend: Plane = (picture * weight + back * (1 - weight) + 0.5).astype(np.uint8)
    return blend


def _difference(alpha: Plane, true: Plane) -> Plane:
    """White where they agree."""
    too_much, too_little = cv2.subtract(alpha, true), cv2.subtract(true, alpha)
    both: Plane = 255 - np.dstack([too_little, cv2.add(too_much, too_little), too_much])
    return both


def _in_colour(plane: Plane) -> Plane:
    return np.dstack([plane] * 3)


def _near_worst(cells: list[Plane], alpha: Plane, true: Plane) -> list[Plane]:
    """A quarter of the width, or as much as fits at 1:1, of each cell, round where the two mattes differ most."""
    height, width = alpha.shape
    across = min(max(width // 4, _CELL), width)
    down = min(max(across * 5 // 8, 1), height)
    error: NDArray[np.float32] = cv2.boxFilter(cv2.absdiff(alpha, true), cv2.CV_32F, (across // 4 + 1, down // 4 + 1))
    y, x = divmod(int(error.argmax()), width)
    left, top = min(max(x - across // 2, 0), width - across), min(max(y - down // 2, 0), height - down)
    return [cell[top : top + down, left : left + across] for cell in cells]


def _strip(cells: list[Plane]) -> Plane:
    """The cells beside each other, scaled to fit."""
    height, width = cells[0].shape[:2]
    scale = min(_CELL / width, _TALLEST / height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    strip = np.full((size[1] + _GAP, _WIDTH, 3), _PAPER, np.uint8)
    for index, cell in enumerate(cells):
        left = _GAP + index * (_CELL + _GAP) + (_CELL - size[0]) // 2
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        strip[: size[1], left : left + size[0]] = cv2.resize(cell, size, interpolation=how)
    return strip
