"""Mattes in time: steady where nothing moves, free where something does, and carried along with a moving crop."""

from __future__ import annotations

import numpy as np
import pytest

from bgcamd.canvas.steady import Map, Steady
from bgcamd.frame import Plane, Region, Size

SIZE = Size(64, 64)
WHOLE = Region(0, 0, 640, 640)


def picture(seed: int = 1) -> Plane:
    """A picture of coarse blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def flat(value: float) -> Map:
    return np.full((64, 64), value, np.float32)


def test_the_first_matte_is_taken_as_it_is() -> None:
    assert (Steady(SIZE).steadied(flat(0.3), picture(), WHOLE, 70) == np.float32(0.3)).all()


def test_flicker_on_a_still_picture_is_smoothed_by_the_strength() -> None:
    steady = Steady(SIZE)
    steady.steadied(flat(0.0), picture(), WHOLE, 70)
    assert steady.steadied(flat(1.0), picture(), WHOLE, 70) == pytest.approx(flat(1 - 0.7 * 0.95), abs=1e-5)


def test_where_the_picture_changes_nothing_of_the_past_is_left() -> None:
    steady = Steady(SIZE)
    steady.steadied(flat(1.0), picture(), WHOLE, 100)
    moved = picture()
    moved[:32] = 255 - moved[:32] // 2
    left = steady.steadied(flat(0.0), moved, WHOLE, 100)
    assert left[:28].max() < 0.01
    assert left[40:].min() > 0.94


def test_noise_of_a_camera_is_no_movement() -> None:
    noise = np.random.default_rng(2)
    steady, still = Steady(SIZE), np.full((64, 64, 3), 100, np.uint8)
    for value in (0.0, 1.0):
        noisy = np.clip(still + noise.normal(0, 4, still.shape), 0, 255).astype(np.uint8)
        result = steady.steadied(flat(value), noisy, WHOLE, 100)
    assert result.mean() < 0.3


def test_forgotten_is_forgotten() -> None:
    steady = Steady(SIZE)
    steady.steadied(flat(1.0), picture(), WHOLE, 100)
    steady.forget()
    assert (steady.steadied(flat(0.0), picture(), WHOLE, 100) == 0).all()


def test_the_memory_moves_along_with_the_region() -> None:
    steady, ramp = Steady(SIZE), np.linspace(0, 255, 64)
    wide = np.stack([ramp * np.ones((64, 1)), ramp[:, None] * np.ones(64), np.full((64, 64), 90.0)], axis=2).astype(
        np.uint8
    )
    matte = np.zeros((64, 64), np.float32)
    matte[16:48, 16:48] = 1
    steady.steadied(matte, wide, WHOLE, 100)
    middle = Region(160, 160, 320, 320)
    close = np.repeat(np.repeat(wide[16:48, 16:48], 2, axis=0), 2, axis=1)
    seen = steady.steadied(flat(0.5), close, middle, 100)
    inner = seen[12:52, 12:52]
    assert np.median(inner) > 0.9


@pytest.mark.parametrize("shade", [0, 255])
def test_what_was_not_in_the_last_region_is_taken_as_it_is(shade: int) -> None:
    """Whatever its colour: somebody in black who stands up has a head at once."""
    steady, even = Steady(SIZE), np.full((64, 64, 3), shade, np.uint8)
    steady.steadied(flat(0.0), even, Region(160, 320, 320, 320), 100)
    seen = steady.steadied(flat(1.0), even, Region(160, 160, 320, 320), 100)
    assert seen[:26].min() > 0.99  # the upper half, but for what lies next to the memory
    assert seen[40:].max() < 0.1
