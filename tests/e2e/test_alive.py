"""What a machine does to a program that runs for months: it sleeps, its clock jumps, its disk fills, it is upgraded."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from conftest import BUSY, Say
from guest import Guest
from looks import watching
from service import Service

GAP_S = 2.0  # the longest time without a picture
WATCHDOG_S = 20
STATE = "/var/lib/bgcamd"
UPGRADE = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/share/wheels make -C /share/bgcamd install"


@pytest.fixture
def daemon(service: Service, webcam: str) -> Service:
    """bgcamd, which shows a person before a colour."""
    service.start(camera={"address": webcam}, scene={"color": "#808080"})
    return service


def pid(guest: Guest) -> str:
    """The daemon's."""
    return guest.run("systemctl show -P MainPID bgcamd").strip()


@pytest.fixture
def no_watchdog(guest: Guest, service: Service) -> Iterator[None]:
    """As in a machine that sleeps, whose clock for the watchdog stands still, too."""
    folder = "/run/systemd/system/bgcamd.service.d"
    guest.run(f"mkdir -p {folder}; echo '[Service]\nWatchdogSec=0' >{folder}/50.conf; systemctl daemon-reload")
    yield
    guest.run(f"rm -r {folder}; systemctl daemon-reload")


def test_asleep_for_half_a_minute_it_goes_on_when_it_wakes(
    guest: Guest, no_watchdog: None, daemon: Service, say: Say
) -> None:
    with watching(guest, seconds=40, patience=40) as seen:
        daemon.wait_for_state("live")
        before = pid(guest)
        guest.run(f"kill -STOP {before}")
        time.sleep(30)
        woken = float(guest.run(f"cut -d' ' -f1 /proc/uptime; kill -CONT {before}"))
    looks = seen()
    back = looks.first_live(woken)
    say(f"asleep for {looks.longest_gap:.1f} s; live {back:.2f} s after it woke")
    assert pid(guest) == before
    assert looks.longest_gap > 25, "it did sleep"
    assert back < GAP_S
    assert not looks.cards[-1]


def test_one_that_hangs_is_started_again(guest: Guest, daemon: Service, say: Say) -> None:
    with watching(guest, seconds=35, patience=35) as seen:
        daemon.wait_for_state("live")
        hung = pid(guest)
        stopped = float(guest.run(f"cut -d' ' -f1 /proc/uptime; kill -STOP {hung}"))
        guest.wait_for(f"[ $(systemctl show -P MainPID bgcamd) -ne {hung} ]", timeout=60)
        daemon.wait_for_state("live")
    looks = seen()
    say(f"a loop that hangs: no picture for {looks.gap_after(stopped):.1f} s, with the watchdog at {WATCHDOG_S} s")
    assert looks.gap_after(stopped) < WATCHDOG_S + 10
    assert not looks.cards[-1]


@pytest.mark.parametrize("jump", ["+1 hour", "-1 hour"])
def test_a_clock_that_jumps_is_not_noticed(guest: Guest, daemon: Service, say: Say, jump: str) -> None:
    with watching(guest, seconds=6) as seen:
        daemon.wait_for_state("live")
        jumped = float(guest.run(f"cut -d' ' -f1 /proc/uptime; date -s '{jump}' >/dev/null"))
        time.sleep(2)
        state = daemon.status()
    back = "-1 hour" if jump.startswith("+") else "+1 hour"
    guest.run(f"date -s '{back}' >/dev/null")
    after = seen().after(jumped)
    say(f"clock {jump}: no picture for {after.longest_gap:.2f} s at most; {state['fps']:.1f} fps, {state['problems']}")
    assert state["state"] == "live"
    assert after.longest_gap < 0.5 * BUSY
    assert not after.cards.any()


@pytest.fixture
def full_disk(guest: Guest, daemon: Service) -> Iterator[None]:
    """The state folder has no room for anything more than the scene that is in it."""
    owner = "uid=$(id -u bgcamd),gid=$(id -g bgcamd)"
    guest.run(f"mount -t tmpfs -o size=64k,mode=700,{owner} full {STATE}")
    daemon.bgcam("set --color blue")
    guest.run(f"dd if=/dev/zero of={STATE}/filler bs=1k count=64 2>/dev/null || df {STATE}")
    yield
    guest.run(f"umount -l {STATE}")


def test_a_full_disk_costs_the_picture_that_is_sent_and_nothing_else(
    guest: Guest, daemon: Service, full_disk: None, say: Say
) -> None:
    guest.run("install -o desk /share/coral.jpg /home/desk/coral.jpg")
    with watching(guest, seconds=6) as seen:
        daemon.wait_for_state("live")
        before = daemon.status()["scene"]
        refused = daemon.refused("set --replace coral.jpg")
        said = " ".join(refused.output.split())
        assert daemon.status()["scene"] == before
        daemon.bgcam("set --color red")
        kept = guest.run(f"cat {STATE}/scene.json")
    say(said)
    assert "no space left" in said.lower()
    assert "Traceback" not in said
    assert daemon.status()["scene"]["color"] == "#ff0000"
    assert "#ff0000" in kept, "it outlives a restart"
    assert seen().longest_gap < 0.5 * BUSY


def test_an_upgrade_is_a_restart_to_who_watches(guest: Guest, daemon: Service, say: Say) -> None:
    with watching(guest, seconds=240, to_the_end=False) as seen:
        daemon.wait_for_state("live")
        before = pid(guest)
        began = guest.clock()
        guest.run(UPGRADE, timeout=300)
        daemon.wait_for_state("live")
    looks = seen()
    say(f"make install while it runs: no picture for {looks.gap_after(began):.2f} s at most (goal {GAP_S:.0f})")
    assert pid(guest) != before
    assert looks.gap_after(began) < GAP_S * BUSY
    assert not looks.cards[-1]


def test_another_network_takes_over_between_two_pictures(guest: Guest, daemon: Service, say: Say) -> None:
    fetch = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/share/wheels bgcam models fetch selfie-landscape"
    guest.run(f"{fetch}; chmod -R a+rX {STATE}/models", timeout=120)
    with watching(guest, seconds=12) as seen:
        daemon.wait_for_state("live")
        swapped = guest.clock()
        daemon.bgcam("set --model selfie-landscape")
        engine = daemon.status()["engine"]
    after = seen().after(swapped)
    say(f"now {engine}: no picture for {after.longest_gap:.2f} s at most (goal {GAP_S:.0f})")
    assert "landscape" in engine
    assert after.longest_gap < GAP_S
    assert not after.cards.any()


def test_the_module_can_not_be_taken_away_while_it_is_used_and_can_when_the_service_is_stopped(
    guest: Guest, service: Service, vivid: str, say: Say
) -> None:
    service.start(camera={"address": vivid}, scene={"keep": True})
    with watching(guest, seconds=4) as seen:
        service.wait_for_state("live")
        done = guest.call("modprobe -r v4l2loopback")
    say(f"modprobe -r: {done.output.strip()}")
    assert done.status != 0
    assert seen().longest_gap < 0.5 * BUSY
    guest.run("systemctl stop bgcamd.service")
    guest.wait_for("modprobe -r v4l2loopback")
    guest.run("modprobe v4l2loopback; udevadm settle; systemctl start bgcamd")
    with watching(guest, seconds=4) as seen:
        service.wait_for_state("live")
    say(f"reloaded, and the service started: {len(seen().times)} pictures in 4 s")


def test_another_size_is_set_by_a_restart(guest: Guest, daemon: Service, say: Say) -> None:
    """The device that systemd keeps has the old one."""
    format_ = "v4l2-ctl -d /dev/video10 --get-fmt-video | grep -oE '[0-9]+/[0-9]+'"
    before = guest.run(format_).strip()
    daemon.configure(camera={"address": "v4l2:", "size": "640x360"})
    guest.run("systemctl restart bgcamd")
    after = guest.run(format_).strip()
    say(f"{before}, then {after}; {daemon.status()['problems']}")
    assert (before, after) == ("1280/720", "640/360")
