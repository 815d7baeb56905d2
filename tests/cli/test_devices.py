"""bgcam devices."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from bgcamd.cli import devices as module
from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2.devices import list_devices
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback

YUYV = {PixelFormat.YUYV: {Size(640, 480): [30]}}


def listed(monkeypatch: pytest.MonkeyPatch, *words: str, kernel: FakeKernel) -> str:
    monkeypatch.setattr(module, "list_devices", lambda: list_devices(kernel))
    result = CliRunner().invoke(module.devices, words)
    assert result.exit_code == 0
    return result.output


def test_cameras_and_virtual_ones_are_listed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel(FakeCamera(YUYV, name="HD Webcam", bus="usb-1"), FakeLoopback())
    assert listed(monkeypatch, kernel=kernel).splitlines() == [
        "Cameras:",
        "  /dev/video0   HD Webcam  [usb-1] YUYV",
        "Virtual cameras:",
        "  /dev/video10  Virtual BG Camera  [platform:v4l2loopback-010]",
    ]


def test_without_the_module_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "modprobe v4l2loopback" in listed(monkeypatch, kernel=FakeKernel(FakeCamera(YUYV)))


def test_what_may_not_be_opened_is_told_so_and_no_module_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = listed(monkeypatch, kernel=FakeKernel(FakeLoopback(denied=True)))
    assert "Virtual BG Camera  (Permission denied)" in said
    assert "modprobe" not in said


def test_machines_get_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (camera,) = json.loads(listed(monkeypatch, "--json", kernel=FakeKernel(FakeCamera(YUYV, name="HD Webcam"))))
    assert camera["name"] == "HD Webcam"
    assert camera["formats"] == ["YUYV"]
    assert camera["error"] is None
