from __future__ import annotations

from fractions import Fraction

import pytest

from bgcamd.video.display.figures import Figures

MS = 1_000_000
START = 1_000_000 * MS


def shown(figures: Figures, count: int, *, every_ms: int, age_ms: int, start: int = START) -> None:
    for number in range(count):
        now = start + number * every_ms * MS
        figures.shown(now - age_ms * MS, now)


def test_before_the_first_picture_there_is_no_rate() -> None:
    assert Figures(Fraction(30)).text == "0.0 of 30 fps"


def test_the_rate_and_the_age_are_told() -> None:
    figures = Figures(Fraction(30000, 1001))
    shown(figures, 20, every_ms=40, age_ms=55)
    assert figures.text == "25.0 of 29.97 fps, 55 ms"


def test_only_the_last_second_counts() -> None:
    figures = Figures(Fraction(30))
    shown(figures, 10, every_ms=100, age_ms=900)
    shown(figures, 51, every_ms=20, age_ms=10, start=START + 5000 * MS)
    assert figures.fps == pytest.approx(50)
    assert figures.latency_ms == 10


def test_one_late_picture_does_not_change_the_latency() -> None:
    figures = Figures(Fraction(30))
    shown(figures, 9, every_ms=30, age_ms=20)
    figures.shown(START, START + 300 * MS)
    assert figures.latency_ms == 20


@pytest.mark.parametrize("captured_ns", [0, START + 10_000 * MS])
def test_a_picture_whose_time_is_a_clip_s_own_has_no_latency(captured_ns: int) -> None:
    figures = Figures(Fraction(30))
    figures.shown(captured_ns, START)
    assert figures.latency_ms is None
    assert figures.text.endswith(" fps")
