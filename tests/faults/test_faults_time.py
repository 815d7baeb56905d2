"""Clocks that jump, and people who move: what is remembered of a frame is of no use for one that is different."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from conftest import Begin
from fault_house import House, Written
from fault_room import SIZE

from bgcamd.effort import Quality
from bgcamd.matting.fake import Fault as Wrong

HOUR = 3600


def aside(data: bytes, columns: int) -> bytes:
    """A YUYV picture, turned by so many columns: the person is elsewhere, and where they were is the room."""
    packed = np.frombuffer(data, np.uint8).reshape(SIZE.height, SIZE.width, 2)
    return np.roll(packed, columns, axis=1).tobytes()


def person_aside(seen: Written) -> bool:
    return bool(seen.planes[0][60:90, 24:40].mean() > 200)


def test_a_wall_clock_that_jumps_changes_nothing(patient: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    start = patient.live()
    monkeypatch.setattr(time, "time", lambda: rng.uniform(0, 4e9))
    for _ in range(30):
        patient.live()
    assert not any(each.card for each in patient.written[start:])
    patient.camera.unplug()
    patient.card()
    patient.replug()
    patient.live()


def test_after_an_hour_without_a_frame_the_next_is_seen_as_what_it_is(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a suspend, were the monotonic clock to run on in it; in the meantime somebody has moved."""
    house = begin()
    house.live()
    before = house.status()["quality"]
    house.filming = False
    real, real_ns = time.monotonic, time.monotonic_ns
    monkeypatch.setattr(time, "monotonic", lambda: real() + HOUR)
    monkeypatch.setattr(time, "monotonic_ns", lambda: real_ns() + HOUR * 1_000_000_000)
    house.spoils = lambda data: aside(data, -32)
    house.filming = True
    house.see(person_aside)
    status = house.until("live")
    assert status["quality"] == before
    assert status["problems"] == []


def test_frames_from_before_a_suspend_that_the_driver_still_has_are_no_older_than_the_last_picture(
    house: House,
) -> None:
    """On Linux the monotonic clock stands still in a suspend. What is in the buffers then is shown at most once."""
    house.filming = False
    time.sleep(0.02)
    start = len(house.written)
    for _ in range(6):  # more than there are buffers
        house.shoot()
    house.spoils = lambda data: aside(data, -32)
    house.filming = True
    place = house.see(person_aside, start)
    assert place - start <= 6 + 2  # each once, and what was on its way; fewer where the loop was slower than we are


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
def test_who_moves_takes_the_mask_along_and_leaves_no_room_behind(begin: Begin, quality: Quality) -> None:
    house = begin(quality=quality)
    house.live()
    house.spoils = lambda data: aside(data, house.number * 2 % SIZE.width)
    start = len(house.written)
    while len(house.written) < start + 100:
        house.see(lambda _: True)


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
def test_who_jumps_takes_the_mask_along(begin: Begin, quality: Quality) -> None:
    house = begin(quality=quality)
    house.live()
    house.spoils = lambda data: aside(data, house.number // 7 % 4 * 32)
    start = len(house.written)
    while len(house.written) < start + 100:
        house.see(lambda _: True)


def test_the_card_comes_after_two_seconds_of_a_hang_and_until_then_the_last_picture_stays(patient: House) -> None:
    last = patient.live()
    hanging = patient.engine
    hanging.fault = Wrong.STALL
    place = patient.see(lambda seen: seen.card, last)
    assert place == hanging.failed_at
    assert patient.written[place - 1].live
