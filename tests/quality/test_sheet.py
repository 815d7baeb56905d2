"""The contact sheet."""

from __future__ import annotations

import numpy as np
import pytest

from bgcamd.frame import Plane
from bgcamd.quality.sheet import Sheet

RED, BLUE, MAGENTA = (255, 0, 0), (0, 0, 255), (255, 0, 255)


def person(left: int, width: int = 320, height: int = 200) -> Plane:
    matte = np.zeros((height, width), np.uint8)
    matte[40:, left : left + 100] = 255
    return matte


def has(sheet: Plane, colour: tuple[int, int, int]) -> bool:
    return bool((sheet == colour).all(axis=-1).any())


def drawn(*shifts: int, most: int = 6) -> Plane:
    sheet = Sheet(most)
    for number, shift in enumerate(shifts):
        sheet.add(number, f"shift {shift}", shift, picture=None, alpha=person(100 + shift), true=person(100))
    return sheet.draw()


def test_is_sixteen_hundred_wide_and_shows_the_difference_in_colour() -> None:
    sheet = drawn(20)
    assert (sheet.shape[1], sheet.dtype) == (1600, np.uint8)
    assert has(sheet, RED)
    assert has(sheet, BLUE)
    assert has(sheet, MAGENTA)


def test_where_nothing_is_wrong_nothing_is_red_or_blue() -> None:
    sheet = drawn(0)
    assert not has(sheet, RED)
    assert not has(sheet, BLUE)


def test_only_the_worst_are_drawn_and_the_worst_first() -> None:
    assert np.array_equal(drawn(3, 9, 1, 20, most=2), drawn(20, 9))


def test_of_a_group_only_the_worst_is_drawn() -> None:
    sheet = Sheet()
    for shift in (2, 30, 4):
        sheet.add(7, f"shift {shift}", shift, picture=None, alpha=person(100 + shift), true=person(100))
    assert np.array_equal(sheet.draw(), drawn(30))


def test_the_picture_is_seen_through_the_matte() -> None:
    sheet, green = Sheet(), np.full((200, 320, 3), (0, 255, 0), np.uint8)
    sheet.add(0, "green", 1, picture=green, alpha=person(100), true=person(100))
    counts = [(strip == (0, 255, 0)).all(axis=-1).sum() for strip in np.array_split(sheet.draw(), 6, axis=1)]
    whole, alpha, checker, magenta, true, difference = counts
    assert whole > 2 * checker > 0
    assert magenta == pytest.approx(checker, rel=0.05)
    assert alpha == true == difference == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 40), (2000, 5), (300, 900)])
def test_pictures_of_any_shape_fit(width: int, height: int) -> None:
    sheet, matte = Sheet(), np.full((height, width), 128, np.uint8)
    sheet.add(0, "odd", 1, picture=None, alpha=matte, true=255 - matte)
    assert sheet.draw().shape[1] == 1600
