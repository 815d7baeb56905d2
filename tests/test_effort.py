"""How much work a frame is worth: what is pinned stays, what is automatic holds the frame rate and is in no hurry."""

from __future__ import annotations

from bgcamd.effort import HIGH, LOW, MEDIUM, Governor

PERIOD = 33_333_333


class Camera:
    """Frames at an even rate; the work on each takes a share of the time between two."""

    def __init__(self, governor: Governor) -> None:
        self.governor, self.now = governor, 1_000_000_000_000

    def send(self, frames: int, load: float) -> None:
        for _ in range(frames):
            self.now += PERIOD
            self.governor.frame(self.now, int(load * PERIOD))


def test_a_pinned_quality_stays_whatever_happens() -> None:
    for quality, effort in (("low", LOW), ("medium", MEDIUM), ("high", HIGH)):
        governor = Governor(quality)  # type: ignore[arg-type]
        Camera(governor).send(1000, 2.0)
        assert governor.effort is effort
        assert governor.why == "pinned"


def test_automatic_is_medium_where_there_is_time() -> None:
    governor = Governor()
    Camera(governor).send(1000, 0.5)
    assert governor.effort is MEDIUM
    assert governor.why == "there is time for it"


def test_too_much_work_makes_it_low_within_seconds_and_says_why() -> None:
    governor = Governor()
    Camera(governor).send(130, 0.9)
    assert governor.effort is LOW
    assert governor.why == "medium took 90% of the time between two frames"


def test_one_slow_frame_in_thirty_changes_nothing() -> None:
    governor = Governor()
    camera = Camera(governor)
    for _ in range(20):
        camera.send(29, 0.4)
        camera.send(1, 5.0)
    assert governor.effort is MEDIUM


def test_it_comes_back_only_after_a_long_easy_time() -> None:
    governor = Governor()
    camera = Camera(governor)
    camera.send(130, 0.9)
    camera.send(200, 0.2)
    assert governor.effort is LOW
    camera.send(200, 0.2)
    assert governor.effort is MEDIUM


def test_what_is_neither_too_much_nor_easy_keeps_it_low() -> None:
    governor = Governor()
    camera = Camera(governor)
    camera.send(130, 0.9)
    camera.send(3000, 0.5)
    assert governor.effort is LOW


def test_a_pause_is_no_slow_frame_rate() -> None:
    governor = Governor()
    camera = Camera(governor)
    camera.send(30, 0.9)
    camera.now += 60_000_000_000
    camera.send(100, 0.9)
    assert governor.effort is LOW


def test_without_carrying_nothing_is_carried_however_slow_it_is() -> None:
    governor = Governor(carry=False)
    Camera(governor).send(130, 0.9)
    assert (governor.effort.name, governor.effort.carry) == ("low", 0)
