from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.frame import BT601, BT709, JPEG, Color, Frame, PixelFormat, Size
from bgcamd.video.display.fitting import Painter, fitted

SIZES = st.builds(Size, st.integers(2, 4000), st.integers(2, 4000))
RED = {BT601: (81, 90, 240), BT709: (63, 102, 240), JPEG: (76, 85, 255)}
"""The samples of pure red."""


def plain(samples: tuple[int, ...], size: Size, color: Color = BT601) -> Frame:
    chroma = ((size.height + 1) // 2, (size.width + 1) // 2)
    shapes = ((size.height, size.width), chroma, chroma)
    planes = tuple(np.full(shape, sample, np.uint8) for shape, sample in zip(shapes, samples, strict=True))
    return Frame(planes, PixelFormat.I420, size, color=color)


@given(SIZES, SIZES)
def test_the_picture_lies_within_the_window_and_touches_two_of_its_sides(picture: Size, window: Size) -> None:
    left, top, width, height = fitted(picture, window)
    assert 0 <= left <= window.width - width
    assert 0 <= top <= window.height - height
    assert (width % 2, height % 2) == (0, 0)
    assert width >= window.width - 1 or height >= window.height - 1


@given(SIZES, SIZES)
def test_the_picture_keeps_its_shape(picture: Size, window: Size) -> None:
    _, _, width, height = fitted(picture, window)
    scale = min(window.width / picture.width, window.height / picture.height)
    assert abs(width - picture.width * scale) <= 2
    assert abs(height - picture.height * scale) <= 2


def test_a_wide_picture_in_a_high_window_has_bars_above_and_below() -> None:
    assert fitted(Size(1280, 720), Size(640, 640)) == (0, 140, 640, 360)


@pytest.mark.parametrize("color", RED)
@pytest.mark.parametrize("size", [Size(64, 32), Size(32, 16), Size(96, 48)])
def test_red_is_red_whatever_yuv_stands_for_it(color: Color, size: Size) -> None:
    pixels = Painter().paint(plain(RED[color], Size(64, 32), color), size)
    assert pixels.shape == (size.height, size.width, 4)
    assert np.abs(pixels[..., :3].astype(int) - (0, 0, 255)).max() <= 3


def test_a_frame_of_an_odd_size_fills_its_place() -> None:
    assert (Painter().paint(plain(RED[BT601], Size(63, 31)), Size(62, 30))[..., 2] > 250).all()


def test_what_is_left_in_the_frame_is_left_in_the_window() -> None:
    frame = plain((81, 128, 128), Size(64, 32))
    frame.planes[0][:, :32] = 200
    pixels = Painter().paint(frame, Size(128, 64))
    assert pixels[:, :60, 1].min() > 190
    assert pixels[:, 68:, 1].max() < 100


def test_the_memory_is_used_again_for_the_same_size() -> None:
    painter, frame = Painter(), plain(RED[BT601], Size(64, 32))
    assert painter.paint(frame, Size(32, 16)) is painter.paint(frame, Size(32, 16))
