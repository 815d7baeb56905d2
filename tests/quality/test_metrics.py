"""The metrics on mattes small enough to be worked out by hand, and what holds for all."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bgcamd.quality.metrics import MatteArray, boundary_f, conn, dtssd, grad, iou, mad, mad_at_edge, mse

ERRORS = [mad, mse, grad, conn]
SHARES = [iou, boundary_f]


def square(left: int, *, size: int = 100, side: int = 40) -> MatteArray:
    """A white square ``left`` pixels from the left edge, 30 from the top."""
    matte = np.zeros((size, size), np.float32)
    matte[30 : 30 + side, left : left + side] = 1
    return matte


def half(columns: int) -> MatteArray:
    """The left ``columns`` of 50x100 are person."""
    matte = np.zeros((50, 100), np.float32)
    matte[:, :columns] = 1
    return matte


def grey(level: float) -> MatteArray:
    return np.full((50, 100), level, np.float32)


mattes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24).flatmap(
    lambda shape: st.tuples(*[arrays(np.float32, shape, elements=st.integers(0, 4).map(lambda n: n / 4))] * 2)
)


class TestIdentical:
    @pytest.mark.parametrize("metric", ERRORS)
    @pytest.mark.parametrize("matte", [square(20), grey(0), grey(0.3), grey(1)])
    def test_mattes_have_no_error(self, metric: Callable[..., float], matte: MatteArray) -> None:
        assert metric(matte, matte.copy()) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("metric", SHARES)
    @pytest.mark.parametrize("matte", [square(20), grey(0), grey(1)])
    def test_mattes_have_all_in_common(self, metric: Callable[..., float], matte: MatteArray) -> None:
        assert metric(matte, matte.copy()) == 1

    def test_changes_do_not_flicker(self) -> None:
        assert dtssd(square(22), square(22), square(20), square(20)) == 0


class TestMeans:
    def test_mad_is_the_mean_difference_in_thousandths(self) -> None:
        assert mad(grey(0.25), grey(0.5)) == pytest.approx(250)

    def test_mse_is_the_mean_square_in_thousandths(self) -> None:
        assert mse(grey(0.25), grey(0.5)) == pytest.approx(62.5)

    def test_a_square_moved_by_four_pixels_differs_in_eight_columns(self) -> None:
        assert mad(square(24), square(20)) == pytest.approx(1000 * 8 * 40 / 10_000)


class TestNearTheEdge:
    def test_ten_columns_on_either_side_count(self) -> None:
        pred = half(50)
        pred[:, 40:60] = 1 - pred[:, 40:60]
        assert mad_at_edge(pred, half(50)) == pytest.approx(1000)

    def test_the_eleventh_column_does_not_count(self) -> None:
        pred = half(50)
        pred[:, :40], pred[:, 60:] = 0, 1
        assert mad_at_edge(pred, half(50)) == 0

    def test_one_wrong_column_of_twenty(self) -> None:
        assert mad_at_edge(half(51), half(50)) == pytest.approx(1000 / 20)

    @pytest.mark.parametrize("truth", [grey(0), grey(0.4), grey(1)])
    def test_without_an_edge_there_is_no_value(self, truth: MatteArray) -> None:
        assert mad_at_edge(half(50), truth) is None


class TestGrad:
    def test_a_ramp_against_nothing(self) -> None:
        """Per pixel (s·Σbell·Σx·slope)²; the bell is exp(-x²/2σ²) on -4..4, the slope x times it, each of norm 1."""
        x = np.arange(-4, 5)
        bell = np.exp(-(x**2) / (2 * 1.4**2))
        slope = x * bell
        gain = bell.sum() / math.sqrt((bell**2).sum()) * (x * slope).sum() / math.sqrt((slope**2).sum())
        ramp = np.tile(np.linspace(0, 1, 101, dtype=np.float32), (50, 1))
        middle, border = 50 * (101 - 8) * (gain / 100) ** 2 / 1000, 50 * 8 * (gain / 100) ** 2 / 1000
        assert middle < grad(ramp, grey(0)[:, :1].repeat(101, 1)) < middle + border

    def test_a_blurred_edge_is_worse_than_a_shift_in_level(self) -> None:
        soft = half(50)
        soft[:, 45:55] = np.linspace(1, 0, 10)
        assert grad(soft, half(50)) > 0
        assert grad(half(50) * 0.5 + 0.25, half(50) * 0.5) == pytest.approx(0, abs=1e-9)

    def test_does_not_stretch_a_faint_matte(self) -> None:
        assert grad(half(50) * 0.01, half(50)) > grad(half(50), half(50))


class TestConn:
    def test_an_island_counts_with_its_pixels(self) -> None:
        pred = square(20)
        pred[5:10, 5:15] = 1
        assert conn(pred, square(20)) == pytest.approx(50 / 1000)

    def test_a_part_that_both_have_but_that_is_cut_off_is_no_error(self) -> None:
        both = square(20)
        both[5:10, 5:15] = 1
        assert conn(both, both.copy()) == 0

    def test_differences_below_fifteen_hundredths_are_let_pass(self) -> None:
        assert conn(grey(0.1), grey(0)) == 0
        assert conn(grey(0.2), grey(0)) == pytest.approx(0.2 * 5000 / 1000)

    def test_touching_by_a_corner_is_not_connected(self) -> None:
        true = np.zeros((20, 20), np.float32)
        true[:10, :10] = 1
        true[10:13, 10:13] = 1
        pred = true.copy()
        pred[10:13, 10:13] = 0.5
        assert conn(pred, true) == pytest.approx(9 * 0.5 / 1000)


class TestIou:
    def test_a_square_moved_by_half_shares_a_third(self) -> None:
        assert iou(square(40), square(20)) == pytest.approx(1 / 3)

    def test_half_grey_is_background(self) -> None:
        assert iou(grey(0.5), grey(0)) == 1
        assert iou(grey(0.51), grey(0)) == 0


class TestBoundaryF:
    def test_a_move_within_the_tolerance_is_none(self) -> None:
        assert boundary_f(square(22), square(20)) == 1  # 0.8 % of a diagonal of 141 px, rounded up, is 2

    def test_one_pixel_more_is_seen(self) -> None:
        assert 0.5 < boundary_f(square(23), square(20)) < 1

    def test_a_contour_that_is_not_there_costs_precision_only(self) -> None:
        both = square(5, side=20) + square(70, side=20)
        assert boundary_f(both, square(5, side=20)) == pytest.approx(2 / 3, abs=0.01)

    def test_somebody_where_nobody_is(self) -> None:
        assert boundary_f(square(20), np.zeros((100, 100), np.float32)) == 0


class TestDtssd:
    def test_a_flicker_of_the_whole_matte(self) -> None:
        assert dtssd(grey(0.75), grey(0.5), grey(0.25), grey(0.5)) == pytest.approx(50)

    def test_a_tenth_of_the_pixels_that_flickers(self) -> None:
        assert dtssd(half(60), half(50), half(50), half(50)) == pytest.approx(100 * math.sqrt(0.1))

    def test_a_steady_error_is_no_flicker(self) -> None:
        assert dtssd(grey(0.9), grey(0.6), grey(0.7), grey(0.4)) == pytest.approx(0, abs=1e-4)


@given(mattes)
def test_errors_are_finite_and_not_negative_and_the_same_either_way(pair: tuple[MatteArray, MatteArray]) -> None:
    for metric in ERRORS:
        assert 0 <= metric(*pair) < math.inf
        assert metric(*pair) == pytest.approx(metric(*reversed(pair)))
    assert mad(*pair) <= 1000
    assert mse(*pair) <= mad(*pair) + 1e-3


@given(mattes)
def test_shares_lie_between_nothing_and_all_and_are_the_same_either_way(pair: tuple[MatteArray, MatteArray]) -> None:
    for metric in SHARES:
        assert 0 <= metric(*pair) <= 1
        assert metric(*pair) == pytest.approx(metric(*reversed(pair)))


@given(mattes)
def test_near_the_edge_lies_between_nothing_and_all(pair: tuple[MatteArray, MatteArray]) -> None:
    value = mad_at_edge(*pair)
    assert value is None or 0 <= value <= 1000
