"""A reader never loses the virtual camera, whatever becomes of the real one or of bgcamd itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import BUSY, PLUG, Say
from guest import Guest
from looks import watching
from service import Service

UNPLUG = "echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind"  # from under whoever holds it, as USB does
CLOCK = "cut -d' ' -f1 /proc/uptime"  # monotonic, in seconds
AGAIN_S = 5.0  # bgcamd looks for a lost camera at least this often


@pytest.fixture
def daemon(service: Service, vivid: str) -> Iterator[Service]:
    """bgcamd, showing the camera's picture as it is."""
    service.start(camera={"address": vivid}, scene={"keep": True})
    yield service
    service.remove()


@pytest.mark.parametrize("number", [0, 7], ids=["under-the-same-number", "under-another"])
def test_unplugged_it_gives_way_to_a_card_until_it_is_back(
    guest: Guest, daemon: Service, say: Say, number: int
) -> None:
    with watching(guest, seconds=14) as seen:
        daemon.wait_for_state("live")
        unplugged = float(guest.run(f"{CLOCK}; {UNPLUG}"))
        daemon.wait_for_state("waiting")
        problems = daemon.status()["problems"]
        plugged = float(guest.run(f"modprobe -r vivid; {CLOCK}; {PLUG.format(number)}"))
        daemon.wait_for_state("live", timeout=AGAIN_S + 3)
    looks = seen()
    card, live = looks.first_card(unplugged), looks.first_live(plugged)
    say(f"card {card:.2f} s after the unplug (goal 0.5), live {live:.2f} s after replug as video{number}; {problems}")
    assert card < 0.5 * BUSY
    assert live < AGAIN_S + 1


@pytest.mark.parametrize(
    "ending",
    ["systemctl restart bgcamd", "systemctl kill --signal=KILL --kill-whom=main bgcamd"],
    ids=["restart", "kill"],
)
def test_a_reader_outlives_the_daemon(guest: Guest, daemon: Service, say: Say, ending: str) -> None:
    with watching(guest, seconds=10) as seen:
        daemon.wait_for_state("live")
        ended = float(guest.run(f"{CLOCK}; {ending}"))
    looks = seen()
    later = looks.times > ended + looks.longest_gap
    live = looks.first_live(ended + looks.longest_gap)
    say(f"{ending}: no picture for {looks.longest_gap:.2f} s at most (goal 2), live {live:.2f} s after that")
    assert looks.longest_gap < 2 * BUSY
    assert not looks.cards[later][-1]


def test_a_camera_that_another_program_holds_is_waited_for(
    guest: Guest, service: Service, vivid: str, say: Say
) -> None:
    with guest.background("holder", f"v4l2-ctl -d {vivid} --stream-mmap"):
        guest.wait_for("v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=1 2>&1 | grep -q busy")
        service.start(camera={"address": vivid}, scene={"keep": True})
        with watching(guest, seconds=2) as seen:
            pass
        problems = service.status()["problems"]
        say(f"while it is held: {problems}")
        assert seen().cards.all()
        assert any("busy" in problem for problem in problems)
    with watching(guest, seconds=AGAIN_S + 2) as seen:
        pass
    say(f"live {seen().first_live():.2f} s after it was let go")
