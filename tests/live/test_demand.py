"""The camera is on while somebody watches, and a little longer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bgcamd.live.demand import Demand


class Clock:
    """A time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_camera_lingers_after_the_last_one_left() -> None:
    clock, viewers = Clock(), [0]
    demand = Demand(lambda: viewers[0] > 0, 5, clock)
    assert not demand.wanted()
    viewers[0] = 1
    assert demand.wanted()
    viewers[0] = 0
    clock.now += 4.9
    assert demand.wanted()
    clock.now += 0.2
    assert not demand.wanted()


def test_always_on_asks_nobody() -> None:
    assert Demand(lambda: 1 // 0 > 0, None).wanted()


def test_a_snapshot_wakes_it_for_a_while() -> None:
    clock = Clock()
    demand = Demand(lambda: False, 5, clock)
    demand.wake(2)
    assert demand.wanted()
    clock.now += 2.1
    assert not demand.wanted()


@pytest.mark.parametrize("linger_s", [0.05])
def test_unwatched_the_camera_is_closed_and_a_card_written_now_and_then(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.screen.watched = False
    while live.capture.state.state != "off":
        threading.Event().wait(0.01)
    assert live.loop.state == "idle"
    assert live.camera.closed == live.camera.opened
    live.screen.wait_for(live.is_card, after=len(live.screen.seen))
    live.screen.watched = True
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert live.camera.opened == 2


def test_without_lingering_it_is_on_while_somebody_watches() -> None:
    clock, viewers = Clock(), [1]
    demand = Demand(lambda: viewers[0] > 0, 0, clock)
    assert demand.wanted()
    viewers[0] = 0
    assert not demand.wanted()
