"""Where the network looks: round the person, seldom moved, at the whole when in doubt."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.frame import GLANCE, Plane, Region, Size
from bgcamd.gaze import Gaze

HD = Size(1280, 720)


def seen(*boxes: tuple[int, int, int, int], strength: int = 255) -> Plane:
    """A glance with persons in boxes of left, top, right, bottom."""
    alpha = np.zeros((GLANCE.height, GLANCE.width), np.uint8)
    for left, top, right, bottom in boxes:
        alpha[top:bottom, left:right] = strength
    return alpha


def holds(region: Region | None, left: int, top: int, right: int, bottom: int) -> bool:
    """Whether a region of an HD frame holds a box of the glance; 8 px of the frame are one of it."""
    assert region is not None
    across = region.left <= left * 8 and right * 8 <= region.left + region.width
    return across and region.top <= top * 8 and bottom * 8 <= region.top + region.height


def test_somebody_far_away_is_looked_at_closely_and_with_a_margin() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((70, 40, 86, 80)))
    assert holds(gaze.region, 69, 37, 87, 83)
    assert gaze.region is not None
    assert gaze.region.width * gaze.region.height < 0.12 * HD.width * HD.height


def test_somebody_who_fills_the_frame_is_seen_with_all_of_it() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((10, 4, 150, 90)))
    assert gaze.region is None


def test_nobody_lets_it_look_at_the_whole_again() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((70, 40, 86, 80)))
    gaze.follow(seen())
    assert gaze.region is None


def test_a_crumb_is_nobody_and_a_second_person_is_somebody() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((70, 40, 86, 80), (5, 5, 8, 8)))
    assert not holds(gaze.region, 5, 5, 8, 8)
    gaze = Gaze(HD)
    gaze.follow(seen((70, 40, 86, 80), (30, 50, 40, 80)))
    assert holds(gaze.region, 30, 40, 86, 80)


def test_a_little_movement_moves_nothing_and_a_larger_one_does() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((70, 40, 86, 80)))
    first = gaze.region
    gaze.follow(seen((71, 40, 87, 80)))
    assert gaze.region == first
    gaze.follow(seen((76, 40, 92, 80)))
    assert gaze.region != first
    assert holds(gaze.region, 76, 40, 92, 80)


def test_who_is_cut_off_by_the_crop_gets_half_as_much_room_again() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((70, 60, 86, 90)))
    assert gaze.region is not None
    top = round(gaze.region.top / 8)
    gaze.follow(seen((70, top, 86, 90)))  # who has stood up: more of them than the crop holds
    assert holds(gaze.region, 70, top - (90 - top) // 2, 86, 90)
    for _ in range(12):
        gaze.follow(seen((70, top, 86, 90)))
    assert gaze.region is not None
    assert gaze.region.top > (top - 10) * 8


def test_who_is_hardly_seen_for_a_moment_stays_in_sight() -> None:
    gaze = Gaze(HD)
    both, one = seen((20, 40, 36, 80), (110, 40, 126, 80)), seen((20, 40, 36, 80))
    gaze.follow(both)
    for _ in range(10):
        gaze.follow(one)
    assert holds(gaze.region, 110, 40, 126, 80)
    for _ in range(5):
        gaze.follow(one)
    assert not holds(gaze.region, 110, 40, 126, 80)


def test_between_the_whole_and_a_large_crop_it_does_not_flip() -> None:
    gaze, sizes = Gaze(HD), []
    for top in (16, 15, 14, 16, 13, 16, 14) * 3:  # a head that bobs; with its margin about eight tenths of the frame
        gaze.follow(seen((8, top, 148, 90)))
        sizes.append(gaze.region)
    assert len({region is None for region in sizes}) == 1


def test_now_and_then_the_whole_is_looked_at_too_while_it_looks_closely() -> None:
    gaze = Gaze(HD)
    assert not gaze.wide
    wide = []
    for _ in range(60):
        gaze.follow(seen((70, 40, 86, 80)))
        wide.append(gaze.wide)
    assert sum(wide) == 4


def test_what_is_unsure_is_followed_only_by_who_sees_the_whole() -> None:
    gaze = Gaze(HD)
    gaze.follow(seen((70, 40, 86, 80), strength=150))
    assert gaze.region is not None
    gaze.follow(seen((70, 40, 86, 80), strength=150))
    assert gaze.region is None


@given(
    st.lists(st.tuples(*[st.integers(0, 159), st.integers(0, 89)] * 2), max_size=4),
    st.tuples(st.integers(2, 2000), st.integers(2, 2000)),
)
def test_a_region_lies_in_the_frame_and_begins_at_even_numbers(
    boxes: list[tuple[int, int, int, int]], size: tuple[int, int]
) -> None:
    gaze = Gaze(Size(*size))
    for box in boxes:
        gaze.follow(seen(box))
        if (region := gaze.region) is not None:
            assert min(region.left, region.top) >= 0
            assert region.left + region.width <= size[0]
            assert region.top + region.height <= size[1]
            assert (region.left % 2, region.top % 2) == (0, 0)
            assert min(region.width, region.height) >= 1
