"""Counts and times."""

from __future__ import annotations

from bgcamd.stats import STAGES, Stats

SECOND = 1_000_000_000


def test_frames_per_second_are_those_of_the_last_two_seconds() -> None:
    stats = Stats()
    for n in range(100):
        stats.written(0, n * SECOND // 25)
    assert stats.fps(99 * SECOND // 25) == 25.0
    assert stats.fps(20 * SECOND) == 0.0
    assert stats.frames == 100


def test_the_age_is_from_camera_to_write() -> None:
    stats = Stats()
    for ms in range(1, 101):
        stats.written(5 * SECOND, 5 * SECOND + ms * 1_000_000)
    assert stats.age_ms() == {"p50": 50.0, "p95": 95.0}


def test_old_samples_give_way() -> None:
    stats = Stats(keep=10)
    for age in [1000] * 50 + [5] * 10:
        stats.written(0, age * 1_000_000)
    assert stats.age_ms() == {"p50": 5.0, "p95": 5.0}


def test_nothing_measured_is_zero_and_all_stages_are_there() -> None:
    stats = Stats()
    assert list(stats.stages()) == list(STAGES)
    assert set(stats.stages()["infer"].values()) == {0.0}
    assert stats.fps(SECOND) == 0.0
    assert stats.cpu_ms("infer") == 0.0


def test_a_stage_measures_wall_clock_and_cpu_apart() -> None:
    stats = Stats()
    with stats.stage("take"):
        sum(range(200_000))
    times = stats.stages()["take"]
    assert times["wall_p50"] > 0
    assert times["cpu_p50"] > 0
