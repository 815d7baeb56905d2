"""A soft matte brought onto the picture's edges."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bgcamd.canvas.edges import Sharpener
from bgcamd.frame import Size


def sharpened(alpha: np.ndarray, picture: np.ndarray, softness: float) -> np.ndarray:
    """The result as 0..1."""
    height, width = alpha.shape
    return Sharpener(Size(width, height)).sharpened(alpha, picture, softness) / np.float32(255)


def person(shift: int = 0) -> np.ndarray:
    """A disc, 1 inside, (128, 128); shift: how many pixels too far to the right."""
    x, y = np.meshgrid(np.arange(128) - 64 - shift, np.arange(128) - 64)
    return (np.hypot(x, y) < 40).astype(np.float32)


def room_and_person() -> np.ndarray:
    return np.where(person()[..., None] > 0, (200, 150, 120), (40, 60, 90)).astype(np.uint8)


def test_a_soft_shifted_outline_moves_onto_the_edge_in_the_picture() -> None:
    soft = cv2.GaussianBlur(person(shift=1), (0, 0), 3)
    before, after = np.abs(soft - person()), np.abs(sharpened(soft, room_and_person(), 2.0) - person())
    assert after.mean() < 0.5 * before.mean()


def test_an_even_picture_moves_no_outline() -> None:
    soft = cv2.GaussianBlur(person(), (0, 0), 3)
    after = sharpened(soft, np.full((128, 128, 3), 99, np.uint8), 2.0)
    assert ((after > 0.5) == (soft > 0.5)).mean() > 0.98


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(1, 4))
def test_it_is_an_alpha_whatever_comes_in(width: int, height: int, seed: int, softness: float) -> None:
    rng = np.random.default_rng(seed)
    alpha = rng.random((height, width), np.float32)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = sharpened(alpha, picture, softness)
    assert out.shape == alpha.shape


def test_what_was_given_is_not_changed_and_the_memory_used_again() -> None:
    sharpener, soft, picture = Sharpener(Size(128, 128)), cv2.GaussianBlur(person(), (0, 0), 3), room_and_person()
    kept = soft.copy(), picture.copy()
    first = sharpener.sharpened(soft, picture, 2.0)
    assert sharpener.sharpened(soft, picture, 2.0) is first
    assert (soft == kept[0]).all()
    assert (picture == kept[1]).all()


@given(st.booleans(), st.integers(0, 2**32 - 1))
def test_everybody_or_nobody_stays_so(everybody: bool, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    alpha = np.full((32, 32), float(everybody), np.float32)
    assert np.allclose(sharpened(alpha, picture, 2.0), alpha, atol=1e-3)
