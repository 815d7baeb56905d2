"""The small alpha: two looks joined, sharpened about a threshold, moved in and out, softened."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.canvas.outline import Outline, small_of_frame
from bgcamd.frame import GLANCE, Matte, Plane, Region, Size
from bgcamd.scene import Edge

FRAME = Size(640, 640)
WHOLE = Region(0, 0, 640, 640)
GREY = np.full((64, 64, 3), 128, np.uint8)
PLAIN = Edge(smooth=0)


def half(soft: int = 0) -> np.ndarray:
    """A person who fills the left half, with a ramp of ``soft`` pixels on either side of the edge."""
    line = np.clip((32 - np.arange(64) - 0.5) / (2 * soft) + 0.5, 0, 1) if soft else (np.arange(64) < 32).astype(float)
    return np.tile(line, (64, 1)).astype(np.float32)


def drawn(edge: Edge, matte: Matte, picture: Plane = GREY) -> Plane:
    return Outline(FRAME).drawn(matte, picture, WHOLE, edge).copy()


def reach(alpha: Plane) -> float:
    """How many columns of the matte are person."""
    return float(alpha[32].astype(float).sum() / 255)


def test_a_hard_matte_passes_unchanged() -> None:
    assert (drawn(PLAIN, Matte(half())) == half() * 255).all()


def test_a_shift_moves_the_edge_by_its_share_of_the_height() -> None:
    # 100 is 3 % of 640 px: 19.2 px, and a pixel of the matte is 10.
    assert reach(drawn(Edge(smooth=0, shift=100), Matte(half()))) == pytest.approx(32 + 1.92, abs=0.25)
    assert reach(drawn(Edge(smooth=0, shift=-100), Matte(half()))) == pytest.approx(32 - 1.92, abs=0.25)


def test_a_feather_softens_the_edge_where_it_is() -> None:
    soft = drawn(Edge(smooth=0, feather=100), Matte(half()))
    assert reach(soft) == pytest.approx(32, abs=0.1)
    assert ((soft[32] > 5) & (soft[32] < 250)).sum() >= 4


def test_a_threshold_asks_for_more_or_less() -> None:
    matte = Matte(half(8), softness=2)
    sure, usual, any_ = (reach(drawn(Edge(smooth=0, threshold=share), matte)) for share in (80, 50, 20))
    assert sure < usual - 2 < usual + 2 < any_


def test_what_only_one_of_two_looks_sees_is_mostly_dropped() -> None:
    outline, both = Outline(FRAME), half()
    one = both.copy()
    one[:, 48:] = 1
    outline.keep(one[:, ::-1])
    joined = outline.drawn(Matte(both), GREY, WHOLE, PLAIN)
    assert (joined[:, :32] == 255).all()
    assert joined[:, 48:].max() <= 33  # an eighth


def test_a_kept_look_is_for_one_matte_alone() -> None:
    outline = Outline(FRAME)
    outline.keep(np.zeros((64, 64), np.float32))
    outline.drawn(Matte(half()), GREY, WHOLE, PLAIN)
    assert (outline.drawn(Matte(half()), GREY, WHOLE, PLAIN) == half() * 255).all()


def test_forgetting_drops_a_kept_look_and_what_is_steady() -> None:
    outline = Outline(FRAME)
    outline.drawn(Matte(half()), GREY, WHOLE, Edge())
    outline.keep(np.zeros((64, 64), np.float32))
    outline.forget()
    assert (outline.drawn(Matte(half()[:, ::-1].copy()), GREY, WHOLE, Edge()) == half()[:, ::-1] * 255).all()


@given(
    st.builds(
        Edge,
        feather=st.integers(0, 100),
        shift=st.integers(-100, 100),
        threshold=st.integers(1, 99),
        smooth=st.integers(0, 100),
    ),
    st.sampled_from([1.0, 2.0, 2.5]),
)
def test_nobody_stays_nobody_and_everybody_everybody(edge: Edge, softness: float) -> None:
    for value in (0.0, 1.0):
        alpha = drawn(edge, Matte(np.full((64, 64), value, np.float32), softness))
        assert np.abs(alpha.astype(int) - round(255 * value)).max() <= 1


def test_a_glance_shows_a_region_in_its_place() -> None:
    small = small_of_frame(np.ones((8, 8), np.float32), Region(320, 160, 160, 320), FRAME)
    assert small.shape == (GLANCE.height, GLANCE.width)
    assert (small[30:60, 84:116] == 255).all()
    assert small[:, :76].max() == small[:, 124:].max() == small[:19].max() == 0


def test_every_step_of_a_shift_moves_the_edge_a_little_further() -> None:
    soft = Matte(half(4))
    reached = [reach(drawn(Edge(smooth=0, shift=shift), soft)) for shift in range(-60, 61, 6) if shift]
    steps = np.diff(reached)
    assert (steps > 0.02).all()
    assert (steps < 1).all()  # the one over 0 is a double one


def test_without_sharpening_a_soft_matte_is_only_made_steeper() -> None:
    outline, striped = Outline(FRAME), np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (1, 64, 3))
    seen = [outline.drawn(Matte(half(8), 2.0), GREY, WHOLE, Edge(), sharpen=False).copy()]
    seen.append(outline.drawn(Matte(half(8), 2.0), striped, WHOLE, Edge(), sharpen=False).copy())
    assert (seen[0] == seen[1]).all()
    assert seen[0] == pytest.approx(np.clip(half(8) * 2 - 0.5, 0, 1) * 255, abs=1)


@pytest.mark.parametrize(("edge", "sharpen"), [(PLAIN, True), (Edge(), False)], ids=["not steady", "low quality"])
def test_what_is_remembered_is_of_the_last_matte_or_forgotten(edge: Edge, sharpen: bool) -> None:
    outline, everybody, nobody = Outline(FRAME), np.ones((64, 64), np.float32), np.zeros((64, 64), np.float32)
    outline.drawn(Matte(everybody), GREY, WHOLE, Edge())
    outline.drawn(Matte(nobody), GREY, WHOLE, edge, sharpen=sharpen)
    assert not outline.drawn(Matte(nobody), GREY, WHOLE, Edge()).any()
