"""The card that viewers see when there is no picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgcamd.canvas.background import Plate
from bgcamd.canvas.card import Cards, draw_card
from bgcamd.frame import BT601, PixelFormat, Size


def ink_box(card: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(card.max(axis=2) > 120)
    return columns.min(), rows.min(), columns.max(), rows.max()


@pytest.mark.parametrize("size", [Size(1280, 720), Size(640, 480), Size(320, 240), Size(720, 1280)])
def test_the_text_is_in_the_middle_and_inside(size: Size) -> None:
    card = draw_card(size, "Camera paused", ("bgcam resume shows the picture again, as it was before it was paused.",))
    left, top, right, bottom = ink_box(card)
    assert abs((left + right) - size.width) < size.width * 0.1
    assert abs((top + bottom) - size.height) < size.height * 0.2
    assert left > 0
    assert right < size.width - 1


def test_the_ground_is_of_one_hue_from_top_to_bottom() -> None:
    card = Cards(Plate(Size(320, 240), PixelFormat.I420, BT601)).frame("No camera")
    luma, cb, cr = (plane[:, 0] for plane in card.planes)
    assert luma[0] > luma[-1] + 10
    assert len({*cb.tolist()}) == len({*cr.tolist()}) == 1


@settings(max_examples=20)
@given(st.text(max_size=200), st.sampled_from([Size(64, 48), Size(2, 2), Size(640, 360)]))
def test_any_text_and_size_makes_a_card(text: str, size: Size) -> None:
    assert draw_card(size, text, (text,)).shape == (size.height, size.width, 3)


def test_the_same_card_is_drawn_once() -> None:
    cards = Cards(Plate(Size(64, 48), PixelFormat.I420, BT601))
    first = cards.frame("No camera", ("why",))
    first.planes[0][:] = 77
    assert (cards.frame("No camera", ("why",)).planes[0] == 77).all()
    assert (cards.frame("No camera", ("another",)).planes[0] != 77).any()
