"""The camera is on while somebody looks at the virtual camera, and off else."""

from __future__ import annotations

import time

import pytest
from conftest import BUSY, Say
from guest import Guest
from looks import Looks, watching
from service import Service

LINGER_S = 2
IDLE_S = 5


@pytest.fixture
def daemon(service: Service, webcam: str) -> Service:
    """bgcamd with nobody looking."""
    service.start(camera={"address": webcam, "linger": LINGER_S})
    service.wait_for_state("idle")
    return service


def test_without_a_reader_the_camera_is_off_and_the_cpu_idle(guest: Guest, daemon: Service, say: Say) -> None:
    assert not holds_the_camera(guest)
    used = min(used_while_idle(guest) for _ in range(3))  # what else this machine does is counted, too, now and then
    say(f"idle: {used:.2f} % of a core over {IDLE_S} s (goal 1), the camera is not open")
    assert used < 1 * BUSY


def test_programs_that_only_look_at_the_device_start_nothing(guest: Guest, daemon: Service, say: Say) -> None:
    guest.run("for i in $(seq 10); do v4l2-ctl -d /dev/video10 --all >/dev/null; : </dev/video10; done", user="desk")
    states = {daemon.status()["state"] for _ in range(5)}
    say(f"after ten probes: {states}")
    assert states == {"idle"}
    assert not holds_the_camera(guest)


def test_a_reader_turns_it_on_and_it_goes_off_after_the_last_has_left(guest: Guest, daemon: Service, say: Say) -> None:
    with watching(guest, seconds=4) as seen:
        guest.wait_for(f"ls -l /proc/{pid(guest)}/fd | grep -q /dev/video20", timeout=5)
    left = time.monotonic()
    looks: Looks = seen()
    first = looks.first_live()
    guest.wait_for(f"! ls -l /proc/{pid(guest)}/fd | grep -q /dev/video20", timeout=LINGER_S + 10)
    off = time.monotonic() - left
    say(f"first live picture after {first:.2f} s (goal 1); camera off {off:.1f} s after the reader left ({LINGER_S})")
    assert first < 1 * BUSY
    assert LINGER_S - 1 < off < LINGER_S + 3


def used_while_idle(guest: Guest) -> float:
    """The processor time that the daemon takes, in percent of a core."""
    before = cpu_s(guest)
    time.sleep(IDLE_S)
    return (cpu_s(guest) - before) / IDLE_S * 100


def pid(guest: Guest) -> str:
    """The daemon's."""
    return guest.run("systemctl show -P MainPID bgcamd").strip()


def holds_the_camera(guest: Guest) -> bool:
    """Whether one of the daemon's file descriptors is the camera."""
    return "/dev/video20" in guest.run(f"ls -l /proc/{pid(guest)}/fd")


def cpu_s(guest: Guest) -> float:
    """The processor time that the daemon has used."""
    fields = guest.run(f"cat /proc/{pid(guest)}/stat; getconf CLK_TCK").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / int(fields[-1])
