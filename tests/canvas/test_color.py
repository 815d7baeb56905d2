"""The matrices against the standards' own numbers, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.canvas.color import rgb_to_yuv, solid, yuv_to_rgb, yuv_to_yuv
from bgcamd.frame import BT601, BT709, JPEG, Color

# 75 % colour bars in 8 bits: the BT.601 and BT.709 values that broadcast test signals use
BARS = [
    ((191, 0, 0), BT601, (65, 100, 212)),
    ((0, 191, 0), BT601, (112, 72, 58)),
    ((0, 0, 191), BT601, (35, 212, 114)),
    ((191, 0, 0), BT709, (51, 109, 212)),
    ((0, 191, 0), BT709, (133, 63, 52)),
    ((0, 0, 191), BT709, (28, 212, 120)),
    ((255, 255, 255), BT601, (235, 128, 128)),
    ((255, 255, 255), JPEG, (255, 128, 128)),
    ((0, 0, 0), BT709, (16, 128, 128)),
]


@pytest.mark.parametrize(("rgb", "color", "yuv"), BARS)
def test_colour_bars_have_their_standard_samples(
    rgb: tuple[int, int, int], color: Color, yuv: tuple[int, int, int]
) -> None:
    assert solid(rgb, color) == yuv


@given(st.tuples(*[st.integers(0, 255)] * 3), st.sampled_from([BT601, BT709, JPEG]))
def test_there_and_back_is_the_same_colour(rgb: tuple[int, int, int], color: Color) -> None:
    yuv = rgb_to_yuv(color) @ np.array([*rgb, 1])
    assert np.allclose(yuv_to_rgb(color) @ np.array([*yuv, 1]), rgb)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_changing_the_description_keeps_the_colour(rgb: tuple[int, int, int]) -> None:
    yuv = np.array([*(rgb_to_yuv(JPEG) @ np.array([*rgb, 1])), 1])
    changed = np.array([*(yuv_to_yuv(JPEG, BT709) @ yuv), 1])
    assert np.allclose(yuv_to_rgb(BT709) @ changed, rgb)
