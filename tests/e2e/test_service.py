"""The mission's own words: start the service, say which picture is behind, read the virtual camera."""

from __future__ import annotations

import re

import cv2
import pytest
from conftest import Say
from guest import Guest
from pictures import FACE, WALLS, Picture, difference
from service import Service

FRAMES = 100
START = 30  # at first a reader sees the card: the camera goes on when somebody watches


@pytest.fixture
def reef(guest: Guest) -> Picture:
    return cv2.resize(cv2.imread(str(guest.share / "coral.jpg")), (1280, 720), interpolation=cv2.INTER_AREA)


def person(guest: Guest) -> list[Picture]:
    """Every frame of the clip that the webcam plays."""
    clip = cv2.VideoCapture(str(guest.share / "person.avi"))
    return [frame for found, frame in iter(clip.read, (False, None)) if found]


def test_the_virtual_camera_is_listed_by_its_name(guest: Guest, loopback: str, say: Say) -> None:
    listed = guest.call("v4l2-ctl --list-devices").output
    say(" ".join(listed.split()))
    assert re.search(r"^Virtual BG Camera .*\n\s+/dev/video10$", listed, re.MULTILINE)


def test_a_reader_sees_the_person_before_the_reef(
    guest: Guest, service: Service, webcam: str, reef: Picture, say: Say
) -> None:
    service.start()
    guest.run("install -o desk /share/coral.jpg /home/desk/coral.jpg")
    service.bgcam("set --replace=coral.jpg")
    read = f"ffmpeg -loglevel error -f v4l2 -i /dev/video10 -frames:v {START + FRAMES} -c copy -y /dev/shm/seen.nut"
    guest.run(read, user="desk")
    say(service.bgcam("status"))

    times = guest.run("ffprobe -v error -show_entries packet=pts_time -of csv=p=0 /dev/shm/seen.nut").split()
    assert len(times) == START + FRAMES
    guest.run(
        "ffmpeg -loglevel error -sseof -0.1 -i /dev/shm/seen.nut -frames:v 1 -y /share/seen.png; rm /dev/shm/seen.nut"
    )
    seen = cv2.imread(str(guest.share / "seen.png"))
    assert seen.shape == reef.shape
    walls = {side: round(difference(seen[wall], reef[wall]), 1) for side, wall in WALLS.items()}
    face = min(difference(seen[FACE], frame[FACE]) for frame in person(guest))
    rate = FRAMES / (float(times[-1]) - float(times[START - 1]))
    say(f"{FRAMES} frames at {rate:.1f} a second; of 255, off the reef by {walls}, off the person's face by {face:.1f}")
    assert max(walls.values()) < 4
    assert face < 6
