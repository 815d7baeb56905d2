"""The virtual camera itself may be missing or taken: bgcamd says so, waits, and goes on when it is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Say
from guest import Guest
from looks import watching
from service import Service

FORBID = "/etc/modprobe.d/forbid.conf"


@pytest.fixture
def no_module(guest: Guest) -> Iterator[None]:
    """v4l2loopback is not loaded, and can't be."""
    guest.wait_for("! [ -d /sys/module/v4l2loopback ] || modprobe -r v4l2loopback")
    guest.run(f"echo install v4l2loopback /bin/false >{FORBID}")
    yield
    guest.run(f"rm -f {FORBID}; modprobe v4l2loopback; udevadm settle")


def test_without_the_module_it_waits_for_it(guest: Guest, service: Service, no_module: None, say: Say) -> None:
    service.start()
    say(f"no module: {service.status()['problems']}")
    assert any("v4l2loopback is not loaded" in problem for problem in service.status()["problems"])
    guest.run(f"rm {FORBID}; modprobe v4l2loopback")
    guest.wait_for("! bgcam status --json | grep -q 'not loaded'")
    with watching(guest, seconds=3) as seen:
        pass
    say(f"module loaded: {len(seen().times)} pictures in 3 s; restarts: {restarts(guest)}")
    assert restarts(guest) == 0


def test_while_another_program_writes_to_it_it_waits(guest: Guest, service: Service, loopback: str, say: Say) -> None:
    other = f"ffmpeg -loglevel error -re -f lavfi -i color=red:size=640x480:rate=10 -pix_fmt yuv420p -f v4l2 {loopback}"
    with guest.background("other", other):
        guest.wait_for(f"v4l2-ctl -d {loopback} --get-fmt-video | grep 640/480")
        service.start()
        problems = service.status()["problems"]
        say(f"held by another: {problems}")
        assert any("another program writes to it" in problem for problem in problems)
    guest.wait_for("! bgcam status --json | grep -q 'another program'")
    assert restarts(guest) == 0


def restarts(guest: Guest) -> int:
    """How often systemd had to start it again."""
    return int(guest.run("systemctl show -P NRestarts bgcamd"))
