"""Finding cameras and virtual cameras, and what is said when there is none."""

from __future__ import annotations

import pytest

from bgcamd.errors import SinkError, SourceError
from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import LABEL
from bgcamd.video.v4l2.devices import (
    describe,
    find_again,
    find_camera,
    find_loopback,
    find_named,
    list_devices,
)
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback

YUYV = {PixelFormat.YUYV: {Size(640, 480): [30]}}
METADATA = 0x0080_0000  # V4L2_CAP_META_CAPTURE: the second node of a webcam


def test_every_device_says_what_it_is() -> None:
    kernel = FakeKernel(FakeLoopback(), FakeCamera(YUYV, name="HD Webcam"))
    webcam, loopback = list_devices(kernel)
    assert (webcam.node, webcam.name, webcam.driver) == ("/dev/video0", "HD Webcam", "uvcvideo")
    assert (webcam.capture, webcam.output, webcam.loopback) == (True, False, False)
    assert webcam.formats == (PixelFormat.YUYV,)
    assert (loopback.node, loopback.name, loopback.bus) == ("/dev/video10", LABEL, "platform:v4l2loopback-010")
    assert (loopback.capture, loopback.output, loopback.loopback) == (False, True, True)
    assert kernel.descriptors == 0


def test_a_device_that_can_not_be_asked_is_listed_with_the_reason() -> None:
    (device,) = list_devices(FakeKernel(FakeCamera(YUYV, denied=True, name="HD Webcam")))
    assert device.name == "HD Webcam"
    assert isinstance(device.error, PermissionError)


def test_the_virtual_camera_is_found_by_its_label_not_by_its_number() -> None:
    kernel = FakeKernel(
        FakeCamera(YUYV, name="HD Webcam"), FakeLoopback(node="/dev/video9", name="OBS"), FakeLoopback()
    )
    assert find_loopback(kernel=kernel) == "/dev/video10"
    assert find_loopback("OBS", kernel) == "/dev/video9"


def test_the_virtual_camera_is_found_while_somebody_writes_to_it() -> None:
    assert find_loopback(kernel=FakeKernel(FakeLoopback(held=True))) == "/dev/video10"


def test_a_denied_virtual_camera_is_found_so_that_opening_it_tells_why() -> None:
    assert find_loopback(kernel=FakeKernel(FakeLoopback(denied=True))) == "/dev/video10"


def test_a_real_camera_of_that_name_is_no_virtual_one() -> None:
    with pytest.raises(SinkError, match="module v4l2loopback is not loaded"):
        find_loopback(kernel=FakeKernel(FakeCamera(YUYV, name=LABEL)))


def test_without_the_module_both_commands_are_told() -> None:
    with pytest.raises(SinkError) as caught:
        find_loopback(kernel=FakeKernel())
    assert 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="Virtual BG Camera" max_buffers=4' in str(
        caught.value
    )
    assert "sudo apt install v4l2loopback-dkms" in str(caught.value)


def test_a_virtual_camera_of_another_name_is_named() -> None:
    with pytest.raises(
        SinkError, match=r'no virtual camera is called "Virtual BG Camera"; .*/dev/video10 "OBS"'
    ) as caught:
        find_loopback(kernel=FakeKernel(FakeLoopback(name="OBS")))
    assert "--output /dev/video10" in caught.value.hint
    assert "modprobe -r v4l2loopback && sudo modprobe v4l2loopback" in caught.value.hint


def test_the_first_camera_that_we_can_read_is_taken() -> None:
    kernel = FakeKernel(
        FakeCamera(YUYV, node="/dev/video0", caps=METADATA | vd.CAP_STREAMING),
        FakeCamera({PixelFormat.GREY: {Size(640, 480): [30]}}, node="/dev/video1", name="infrared"),
        FakeCamera(YUYV, node="/dev/video2", denied=True),
        FakeCamera(YUYV, node="/dev/video3"),
    )
    assert find_camera(kernel) == "/dev/video3"


def test_ten_comes_after_nine() -> None:
    kernel = FakeKernel(FakeCamera(YUYV, node="/dev/video10"), FakeCamera(YUYV, node="/dev/video9"))
    assert find_camera(kernel) == "/dev/video9"


class Phone(FakeCamera):
    """A phone's picture, played into a v4l2loopback device."""

    driver = "v4l2 loopback"


def test_our_own_virtual_camera_is_never_read_and_others_come_last() -> None:
    ours, phone = Phone(YUYV, node="/dev/video0", name=LABEL), Phone(YUYV, node="/dev/video1", name="phone")
    assert find_camera(FakeKernel(ours, phone)) == "/dev/video1"
    assert find_camera(FakeKernel(ours, phone, FakeCamera(YUYV, node="/dev/video2"))) == "/dev/video2"
    with pytest.raises(SourceError, match="no camera found"):
        find_camera(FakeKernel(ours))


def test_no_camera_at_all_says_what_else_there_is() -> None:
    with pytest.raises(SourceError, match=r"no camera found.*--camera demo:"):
        find_camera(FakeKernel(FakeLoopback()))


def test_only_a_denied_camera_says_how_to_get_it() -> None:
    with pytest.raises(SourceError, match=r"Permission denied.*usermod -aG video"):
        find_camera(FakeKernel(FakeCamera(YUYV, denied=True)))


def two_cameras() -> FakeKernel:
    first = FakeCamera(YUYV, node="/dev/video0", name="HD Webcam", bus="usb-0000:00:14.0-5")
    second = FakeCamera(YUYV, node="/dev/video2", name="HD Webcam", bus="usb-0000:00:14.0-6")
    return FakeKernel(first, second, FakeCamera(YUYV, node="/dev/video4", name="Document Cam", bus="usb-1"))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("Document Cam", "/dev/video4"),
        ("document", "/dev/video4"),
        ("usb-0000:00:14.0-6", "/dev/video2"),
        ("14.0-5", "/dev/video0"),
        ("video2", "/dev/video2"),
    ],
)
def test_a_camera_is_found_by_name_or_bus_or_a_part_that_only_one_has(text: str, node: str) -> None:
    assert find_named(text, two_cameras()) == node


@pytest.mark.parametrize(("text", "said"), [("HD Webcam", "2 cameras are called"), ("Leica", "no camera is called")])
def test_a_name_that_is_not_one_cameras_is_told_with_those_there_are(text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        find_named(text, two_cameras())
    assert "usb-0000:00:14.0-6" in caught.value.message


def test_a_camera_that_comes_back_under_another_number_is_known_by_its_bus() -> None:
    known = describe("/dev/video2", two_cameras())
    moved = FakeCamera(YUYV, node="/dev/video7", name="HD Webcam", bus="usb-0000:00:14.0-6")
    other = FakeCamera(YUYV, node="/dev/video2", name="HD Webcam", bus="usb-0000:00:14.0-5")
    assert find_again(known, FakeKernel(moved, other)) == "/dev/video7"


def test_a_camera_that_comes_back_at_another_plug_is_known_by_its_name() -> None:
    known = describe("/dev/video4", two_cameras())
    moved = FakeCamera(YUYV, node="/dev/video9", name="Document Cam", bus="usb-9")
    assert find_again(known, FakeKernel(moved)) == "/dev/video9"


def test_another_camera_is_never_taken_for_the_one_that_is_gone() -> None:
    known = describe("/dev/video0", two_cameras())
    with pytest.raises(SourceError, match=r"HD Webcam .* is gone"):
        find_again(known, FakeKernel(FakeCamera(YUYV, node="/dev/video0", name="Document Cam")))
