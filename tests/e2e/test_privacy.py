"""What people trust it with: the room behind them is never seen, and panic means at once."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Say
from guest import Guest
from looks import Looks, watching
from service import Service

LINGER_S = 1
GREY = {"color": "#808080"}
GREY_FROM, WHITE_FROM = 90, 180  # brightness: cards are darker than the grey that is put behind, the room is white


@pytest.fixture
def daemon(service: Service, room: str) -> Service:
    """bgcamd, which hides the room behind grey."""
    service.start(camera={"address": room, "linger": LINGER_S}, scene=GREY)
    service.wait_for_state("idle")
    return service


def told(looks: Looks) -> str:
    """How many pictures were what."""
    cards, white = (looks.behind < GREY_FROM).sum(), (looks.behind >= WHITE_FROM).sum()
    return f"{len(looks.times)} pictures: {cards} cards, {len(looks.times) - cards - white} live, {white} of the room"


def test_the_start_of_a_session_never_shows_the_room(guest: Guest, daemon: Service, say: Say) -> None:
    for number in range(4):
        with watching(guest, seconds=3) as seen:
            pass
        looks = seen()
        say(f"session {number + 1}: {told(looks)}")
        assert looks.behind.max() < WHITE_FROM
        assert looks.behind[0] < GREY_FROM, "the first picture is the card"
        assert looks.behind[-1] > GREY_FROM, "the last one is live"
        daemon.wait_for_state("idle")


def test_the_test_can_tell_the_room(guest: Guest, daemon: Service, say: Say) -> None:
    daemon.bgcam("set --keep")
    with watching(guest, seconds=3) as seen:
        pass
    say(f"with --keep: {told(seen())}")
    assert seen().behind[-1] > WHITE_FROM


def test_after_panic_only_the_card_is_seen_until_resume_also_over_a_restart(
    guest: Guest, daemon: Service, room: str, say: Say
) -> None:
    with watching(guest, seconds=20) as seen:
        daemon.wait_for_state("live")
        guest.wait_for("sleep 1")
        daemon.bgcam("panic")
        off = guest.clock()
        assert not daemon.opened(room)
        guest.run("systemctl restart bgcamd", timeout=30)
        state = daemon.status()["state"]
        assert not daemon.opened(room)
        on = guest.clock()
        daemon.bgcam("resume")
        daemon.wait_for_state("live")
    looks = seen()
    paused = looks.after(off).behind[: int((looks.after(off).times < on).sum())]
    say(f"{told(looks)}; {len(paused)} from panic over a restart to resume, the brightest {paused.max():.0f}: {state}")
    assert state == "paused"
    assert len(paused) > 10
    assert paused.max() < GREY_FROM
    assert looks.behind.max() < WHITE_FROM
    assert looks.behind[-1] > GREY_FROM, "it is live again"


@pytest.mark.parametrize("choice", ["--text 'Back at three'", "--picture /share/coral.jpg", "--freeze"])
def test_who_pauses_chooses_what_is_seen_meanwhile(
    guest: Guest, daemon: Service, room: str, say: Say, choice: str
) -> None:
    with watching(guest, seconds=8) as seen:
        daemon.wait_for_state("live")
        guest.wait_for("sleep 1")
        daemon.bgcam(f"pause {choice}")
        off = guest.clock()
        assert not daemon.opened(room)
    looks = seen()
    paused = looks.after(off)
    moved = float(np.abs(np.diff(paused.looks.astype(int), axis=0)).max())
    say(f"pause {choice}: {told(looks)}; then {len(paused.times)} that differ by {moved:.0f} of 255")
    assert len(paused.times) > 10
    assert moved == 0
    assert looks.behind.max() < WHITE_FROM
    if choice == "--freeze":
        assert (paused.behind > GREY_FROM).all(), "it is what was live"
