"""The proof can fail: where the room is shown, wholly or a little, it is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fault_house import House
from fault_room import GREY_LUMA, SIZE, picture, trace

from bgcamd.canvas.background import Plate
from bgcamd.canvas.card import Cards
from bgcamd.frame import BT601, Matte, PixelFormat


def planes(y: Any, u: Any, v: Any) -> tuple[Any, ...]:
    return y, u[::2, ::2], v[::2, ::2]


SHAPES = ((96, 128), GREY_LUMA), ((48, 64), 128), ((48, 64), 128)
GREY = tuple(np.full(shape, sample, np.uint8) for shape, sample in SHAPES)


@pytest.mark.parametrize("plane", ["all", "luma", "chroma"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.12])
def test_a_room_that_is_laid_over_the_background_is_found_however_thin(share: float, plane: str) -> None:
    room = planes(*picture(3))
    mixed = [cv2.addWeighted(r, share, g, 1 - share, 0) for r, g in zip(room, GREY, strict=True)]
    shown = {"all": mixed, "luma": [mixed[0], *GREY[1:]], "chroma": [GREY[0], *mixed[1:]]}[plane]
    assert trace(GREY) == ""
    assert trace(tuple(shown)) != ""


@pytest.mark.parametrize("side", [16, 24])
def test_a_small_part_of_the_room_is_found_wherever_it_is(side: int) -> None:
    room = planes(*picture(0))
    rng = np.random.default_rng(side)
    for top, left in rng.integers((0, 80), (96 - side, 128 - side), (20, 2)) & ~1:  # beside the person
        shown = [plane.copy() for plane in GREY]
        for ours, theirs in zip(shown, room, strict=True):
            half = len(GREY[0]) // len(ours)
            part = np.s_[top // half : (top + side) // half, left // half : (left + side) // half]
            ours[part] = theirs[part]
        assert trace(tuple(shown)) != ""


def test_no_card_is_taken_for_the_room() -> None:
    cards = Cards(Plate(SIZE, PixelFormat.I420, BT601))
    for title, lines in (("Starting…", ()), ("No camera", ("/dev/video0: the camera is lost", "plug it in again"))):
        assert trace(cards.frame(title, lines).planes) == ""


def test_who_keeps_the_room_is_seen_in_it(tmp_path: Path) -> None:
    with House(tmp_path, settings={"scene.color": None, "scene.keep": True}) as house:
        start = house.live()
        house.see(lambda _: True)
    assert len(house.traces(start)) >= 2
    assert house.traces_in_page() != []


def test_a_network_that_takes_all_for_the_person_shows_the_room_and_is_found(tmp_path: Path) -> None:
    def all_of_it(matte: Matte) -> Matte:
        matte.alpha.fill(1)
        return matte

    with House(tmp_path) as house:
        house.live()
        assert house.traces() == []
        house.engine.changes = all_of_it
        house.see(lambda picture: trace(picture.planes) != "")


def test_under_a_blur_a_room_that_is_not_blurred_is_found(tmp_path: Path) -> None:
    def all_of_it(matte: Matte) -> Matte:
        matte.alpha.fill(1)
        return matte

    with House(tmp_path, settings={"scene.color": None, "scene.blur": 50}) as house:
        house.live()
        house.see(lambda picture: trace(picture.planes) != "")  # its colour may be seen
        assert house.traces(blurred=True) == []
        house.engine.changes = all_of_it
        house.see(lambda picture: trace(picture.planes, blurred=True) != "")
