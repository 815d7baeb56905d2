"""What is wrong is said in one line with its cure, and never as a traceback."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from conftest import Say
from guest import Guest
from service import Service

STILL_RUNNING = 124  # timeout's status: bgcamd goes on, shows a card, and tries again
SETTINGS = 78


@dataclass(frozen=True)
class Wrong:
    """Options that a user starts bgcamd with, what it says, the cure it names, and its exit status."""

    options: str
    said: str
    cure: str
    status: int = STILL_RUNNING
    user: str = "desk"


WRONG = {
    "no-right-to-the-camera": Wrong(
        "--camera /dev/video20 --output null:", "can't open the camera: Permission denied", "-aG video", user="visitor"
    ),
    "no-right-to-the-virtual-camera": Wrong(
        "--camera demo: --output loopback:", "can't open the virtual camera", "-aG video", user="visitor"
    ),
    "no-such-camera": Wrong(
        "--camera /dev/video33 --output null:", "/dev/video33: can't open", "another with --camera"
    ),
    "no-such-virtual-camera": Wrong("--output loopback:Another", 'no virtual camera is called "Another"', "modprobe"),
    "too-long-a-label": Wrong(f"--output loopback:{'x' * 32}", "the label is too long", "at most 31 bytes", SETTINGS),
    "an-odd-size": Wrong("--size 641x481", "must be even both ways", "", SETTINGS),
    "a-rate-that-no-camera-has": Wrong("--fps 1000", "frames per second from 1 to 240", "", SETTINGS),
}


@pytest.fixture(scope="module")
def models(guest: Guest) -> str:
    """The fetched models, for everybody to read."""
    guest.run("cp -r /var/lib/bgcamd/models /tmp/models; chmod -R a+rX /tmp/models")
    return "/tmp/models"


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_one_line_says_what_is_wrong_and_what_to_do(
    guest: Guest, empty_webcam: str, models: str, say: Say, wrong: Wrong
) -> None:
    done = guest.call(f"BGCAMD_MODELS={models} timeout 4 bgcamd --socket ~/own.sock {wrong.options}", user=wrong.user)
    lines = [line for line in done.output.splitlines() if wrong.said in line]
    say(" ".join(lines))
    assert len(lines) == 1, done.output
    assert wrong.cure in done.output
    assert "Traceback" not in done.output
    assert done.status == wrong.status


def test_who_is_not_in_the_group_may_not_change_the_picture(guest: Guest, service: Service, say: Say) -> None:
    service.start()
    done = service.refused("set --blur", user="visitor")
    say(" ".join(done.output.split()))
    assert "usermod -aG video" in done.output
