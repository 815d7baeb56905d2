"""bgcam devices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bgcamd.cli import devices as module
from bgcamd.cli import main
from bgcamd.doctor.fake import FakeMachine
from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback

OFFER = {
    PixelFormat.MJPG: {Size(1920, 1080): [30], Size(1280, 720): [60, 30]},
    PixelFormat.YUYV: {Size(640, 480): [30]},
}


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path, FakeKernel(FakeCamera(OFFER, name="HD Webcam", bus="usb-1"), FakeLoopback()))


def listed(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(module, "Machine", lambda **_: machine)
    result = CliRunner().invoke(main, ["devices", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_cameras_with_their_formats_and_virtual_ones_are_listed_apart(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listed(machine, monkeypatch).splitlines() == [
        "Cameras:",
        "  /dev/video0   HD Webcam  [usb-1]",
        "      MJPG  1920x1080@30  1280x720@60",
        "      YUYV  640x480@30",
        "Virtual cameras:",
        "  /dev/video10  Virtual BG Camera  [platform:v4l2loopback-010]",
        "      nobody writes to it, no app shows it now",
    ]


def test_who_has_one_open_is_told(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.start(42, "zoom", "/dev/video0")
    assert "      open in zoom (pid 42)\n" in listed(machine, monkeypatch)


def test_without_the_module_the_cure_is_told(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.kernel = FakeKernel(FakeCamera(OFFER))
    machine.unload()
    assert "modprobe v4l2loopback" in listed(machine, monkeypatch)


def test_what_may_not_be_opened_is_told_so_and_no_module_missed(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.kernel = FakeKernel(FakeLoopback(denied=True))
    said = listed(machine, monkeypatch)
    assert "  /dev/video10  Virtual BG Camera\n      can't be opened: Permission denied\n" in said
    assert "modprobe" not in said


def test_machines_get_all_of_it(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.start(42, "zoom", "/dev/video0")
    camera, virtual = json.loads(listed(machine, monkeypatch, "--json"))
    assert camera["name"] == "HD Webcam"
    assert camera["formats"][0] == {
        "fourcc": "MJPG",
        "readable": True,
        "sizes": [{"size": "1920x1080", "fps": 30.0}, {"size": "1280x720", "fps": 60.0}],
    }
    assert camera["holders"] == [{"pid": 42, "program": "zoom"}]
    assert (camera["writer"], camera["error"]) == (None, None)
    assert (virtual["writer"], virtual["readers"]) == ("nobody", 0)
