"""A made-up machine: a Debian 12 with a webcam and the virtual camera, on which all is well until a test breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding
from bgcamd.frame import PixelFormat, Size
from bgcamd.service.dispatch import Interface, Reply, Service
from bgcamd.service.listen import listen
from bgcamd.service.server import Server
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback

OFFER = {
    PixelFormat.MJPG: {Size(1920, 1080): [30], Size(1280, 720): [30, 15], Size(640, 480): [30]},
    PixelFormat.YUYV: {Size(640, 480): [30], Size(1280, 720): [10]},
}


@pytest.fixture
def camera() -> FakeCamera:
    return FakeCamera(OFFER, name="HD Webcam", bus="usb-0000:00:14.0-1")


@pytest.fixture
def loopback() -> FakeLoopback:
    return FakeLoopback()


@pytest.fixture
def machine(tmp_path: Path, camera: FakeCamera, loopback: FakeLoopback) -> FakeMachine:
    return FakeMachine(tmp_path / "root", FakeKernel(camera, loopback))


Found = Callable[[Iterable[Finding]], dict[str, Finding]]


@pytest.fixture
def found() -> Found:
    """Makes findings easy to look up: the last of each check, by its name."""
    return lambda findings: {finding.check: finding for finding in findings}


@pytest.fixture
def answering(machine: FakeMachine, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Call it with the keys of a status, to have a daemon that answers with them on the machine's socket."""
    with ExitStack() as stack:

        def start(**status: object) -> None:
            machine.socket = tmp_path / "d.sock"
            interface = Interface("org.bgcam", {"GetStatus": lambda: Reply({"status": status})})
            listener = stack.enter_context(listen(machine.socket))
            stack.enter_context(Server(listener, Service([interface])))

        yield start
