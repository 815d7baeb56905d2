"""What people use the virtual camera with: a browser, and PipeWire, which hands cameras to sandboxed programs."""

from __future__ import annotations

import json

import cv2
import numpy as np
from conftest import Say
from guest import Guest
from pictures import FACE, WALLS, difference
from service import Service

FRAMES = 90


def test_chromium_shows_the_camera_chosen_by_its_label(guest: Guest, service: Service, webcam: str, say: Say) -> None:
    service.start(camera={"address": webcam}, scene={"color": "#00b140"})
    browse = f"python3 /share/inside/browser.py 'Virtual BG Camera' {FRAMES} /share/chromium.png"
    answer = json.loads(guest.run(browse, user="desk", timeout=120))
    assert "error" not in answer, answer["error"]
    times = answer["times"][FRAMES // 2 :]
    rate = (len(times) - 1) / (times[-1] - times[0]) * 1000
    say(f"Chromium has {answer['cameras']}, took {answer['label']}: {rate:.1f} pictures a second")
    seen = cv2.imread(str(guest.share / "chromium.png"))
    green = np.full_like(seen, (0x40, 0xB1, 0x00))
    walls = {side: round(difference(seen[wall], green[wall]), 1) for side, wall in WALLS.items()}
    face = difference(seen[FACE], green[FACE])
    say(f"of 255, off the green by {walls}, the face by {face:.0f}; look at it: {guest.share}/chromium.png")
    assert max(walls.values()) < 6
    assert face > 50


def test_pipewire_lists_it_as_a_camera(guest: Guest, service: Service, webcam: str, say: Say) -> None:
    service.start(camera={"address": webcam})
    cameras = "wpctl status | sed -n '/^Video/,/^Settings/p' | sed -n '/Sources:/,/Source endpoints:/p'"
    listed = guest.wait_for(f"runuser -u desk -- env XDG_RUNTIME_DIR=/run/user/1000 {cameras} | grep V4L2")
    say("PipeWire's cameras: " + ", ".join(line.strip(" │*") for line in listed.splitlines()))
    assert "Virtual BG Camera (V4L2)" in listed
