"""The figures of a set."""

from __future__ import annotations

import numpy as np
import pytest

from bgcamd.frame import Plane
from bgcamd.quality.score import METRICS, Score


def half(columns: int) -> Plane:
    matte = np.zeros((50, 100), np.uint8)
    matte[:, :columns] = 255
    return matte


def test_every_metric_is_there_for_every_picture() -> None:
    score = Score(video=False)
    assert set(score.add("a", half(60), half(50))) == {metric.key for metric in METRICS}


def test_means_are_over_the_pictures_that_have_a_value() -> None:
    score = Score(video=False)
    score.add("right", half(50), half(50))
    score.add("wrong", half(60), half(50))
    score.add("nobody", half(0), half(0))
    means = score.means()
    assert means["mad"] == pytest.approx(100 / 3)
    assert means["made"] == pytest.approx(500 / 2)
    assert means["dtssd"] is None


def test_a_video_is_compared_from_frame_to_frame() -> None:
    score = Score(video=True)
    values = [score.add(str(columns), half(columns), half(50))["dtssd"] for columns in (50, 50, 60)]
    assert values == [None, 0, pytest.approx(100 * 0.1**0.5)]
    assert score.means()["dtssd"] == pytest.approx(50 * 0.1**0.5)


def test_an_empty_set_has_no_means() -> None:
    assert set(Score(video=True).means().values()) == {None}
