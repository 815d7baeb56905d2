"""How one shape is laid into another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.canvas.planes import lay, new_planes
from bgcamd.errors import UsageError
from bgcamd.frame import PixelFormat, Size
from bgcamd.scene import Fit

sides = st.integers(1, 24).map(lambda n: 2 * n)


def striped(width: int, height: int) -> np.ndarray:
    """Columns of 10, 20, 30 … so that a cut or a scale shows."""
    return np.broadcast_to(np.arange(10, 10 + 2 * width, 2, dtype=np.uint8), (height, width)).copy()


def test_planes_lie_in_one_block_in_order() -> None:
    y, u, v = new_planes(PixelFormat.I420, Size(6, 4))
    block = y.base
    y[:], u[:], v[:] = 1, 2, 3
    assert block is not None
    assert block.shape == (6, 6)
    assert bytes(block.reshape(-1)) == b"\1" * 24 + b"\2" * 6 + b"\3" * 6


def test_planes_may_lie_in_given_memory() -> None:
    memory = np.full(40, 9, np.uint8)[:38]
    planes = new_planes(PixelFormat.I420, Size(6, 4), memory)
    for plane, sample in zip(planes, (1, 2, 3), strict=True):
        plane[:] = sample
    assert bytes(memory) == b"\1" * 24 + b"\2" * 6 + b"\3" * 6 + b"\t\t"
    assert all(
        plane.base is planes[0].base and plane.base.shape == (6, 6) for plane in planes if plane.base is not None
    )


@pytest.mark.parametrize("size", [Size(5, 4), Size(4, 5)])
def test_a_video_needs_even_sides(size: Size) -> None:
    with pytest.raises(UsageError, match=f"{size} can't be a video's size"):
        new_planes(PixelFormat.I420, size)


def test_cover_cuts_the_surplus_off_evenly() -> None:
    source, target = striped(40, 10), np.zeros((10, 20), np.uint8)
    lay((source,), (target,), Fit.COVER, (0,))
    assert (target == source[:, 10:30]).all()


def test_contain_keeps_everything_between_bars() -> None:
    source, target = np.full((10, 40), 200, np.uint8), np.full((40, 40), 99, np.uint8)
    lay((source,), (target,), Fit.CONTAIN, (16,))
    assert (target[15:25] == 200).all()
    assert (target[:15] == 16).all()
    assert (target[25:] == 16).all()


def test_tile_repeats_at_the_natural_size() -> None:
    source, target = striped(8, 4), np.zeros((10, 20), np.uint8)
    lay((source,), (target,), Fit.TILE, (0,))
    assert (target[:, :8] == target[:, 8:16]).all()
    assert (target[0, 16:] == source[0, :4]).all()


@given(sides, sides, sides, sides, st.sampled_from(list(Fit)))
def test_one_colour_stays_that_colour_in_any_shape(sw: int, sh: int, tw: int, th: int, fit: Fit) -> None:
    source, target = new_planes(PixelFormat.I420, Size(sw, sh)), new_planes(PixelFormat.I420, Size(tw, th))
    for plane, sample in zip(source, (100, 60, 200), strict=True):
        plane.fill(sample)
    lay(source, target, fit, (16, 128, 128))
    black = {16, 128} if fit is Fit.CONTAIN else set()
    for plane, sample in zip(target, (100, 60, 200), strict=True):
        assert set(np.unique(plane)) <= {sample} | black
        assert sample in plane
