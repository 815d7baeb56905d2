"""The numbers and layouts of the kernel interface, and what the real kernel answers without a camera."""

import ctypes
import errno
import os
import select
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bgcamd.errors import SinkError, SourceError
from bgcamd.frame import BT601, BT709, JPEG, Color, PixelFormat, Size
from bgcamd.video.v4l2 import ioctls, layout
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.camera import V4L2Camera
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel
from bgcamd.video.v4l2.kernel import LINUX, OS
from bgcamd.video.v4l2.loopback import LoopbackSink


def test_requests_are_those_of_the_header() -> None:
    """Printed by a C program from <linux/videodev2.h> on x86-64; arm64 has the same."""
    assert {name: getattr(vd, name) for name in dir(vd) if name.startswith("VIDIOC_")} == {
        "VIDIOC_QUERYCAP": 0x80685600,
        "VIDIOC_ENUM_FMT": 0xC0405602,
        "VIDIOC_G_FMT": 0xC0D05604,
        "VIDIOC_S_FMT": 0xC0D05605,
        "VIDIOC_REQBUFS": 0xC0145608,
        "VIDIOC_QUERYBUF": 0xC0585609,
        "VIDIOC_QBUF": 0xC058560F,
        "VIDIOC_DQBUF": 0xC0585611,
        "VIDIOC_STREAMON": 0x40045612,
        "VIDIOC_STREAMOFF": 0x40045613,
        "VIDIOC_G_PARM": 0xC0CC5615,
        "VIDIOC_S_PARM": 0xC0CC5616,
        "VIDIOC_TRY_FMT": 0xC0D05640,
        "VIDIOC_DQEVENT": 0x80885659,
        "VIDIOC_SUBSCRIBE_EVENT": 0x4020565A,
        "VIDIOC_ENUM_FRAMESIZES": 0xC02C564A,
        "VIDIOC_ENUM_FRAMEINTERVALS": 0xC034564B,
    }


@pytest.mark.parametrize(
    ("structure", "size", "offsets"),
    [
        (vd.Capability, 104, {"card": 16, "bus_info": 48, "capabilities": 84, "device_caps": 88}),
        (vd.FmtDesc, 64, {"description": 12, "pixelformat": 44}),
        (vd.FrmSizeEnum, 44, {"type": 8, "min_width": 12, "max_width": 16, "step_height": 32}),
        (vd.FrmIvalEnum, 52, {"type": 16, "min": 20, "max": 28, "step": 36}),
        (vd.PixFormat, 48, {"bytesperline": 16, "colorspace": 24, "priv": 28, "ycbcr_enc": 36, "quantization": 40}),
        (vd.Format, 208, {"fmt": 8}),
        (vd.Parm, 40, {"timeperframe": 8}),
        (vd.StreamParm, 204, {"parm": 4}),
        (vd.RequestBuffers, 20, {"memory": 8}),
        (vd.EventSubscription, 32, {"id": 4, "flags": 8}),
        (vd.Event, 136, {"u": 8, "pending": 72, "timestamp": 80, "id": 96}),
        (vd.Buffer, 88, {"timestamp": 24, "sequence": 56, "memory": 60, "m": 64, "length": 72}),
    ],
)
def test_structures_are_laid_out_as_in_the_header(structure, size, offsets) -> None:  # type: ignore[no-untyped-def]
    assert ctypes.sizeof(structure) == size
    assert {name: getattr(structure, name).offset for name in offsets} == offsets


def test_formats_are_spelt_as_the_kernel_does() -> None:
    assert ioctls.fourcc("MJPG") == 0x47504A4D
    assert ioctls.fourcc("YU12") == 0x32315559
    assert ioctls.fourcc_text(0x56595559) == "YUYV"


def test_an_interval_without_a_numerator_is_no_rate() -> None:
    assert vd.Fract(1001, 30000).rate == Fraction(30000, 1001)
    assert vd.Fract(0, 30).rate == 0


def test_a_driver_whose_list_never_ends_is_not_asked_for_ever() -> None:
    class Endless(FakeKernel):
        def ioctl(self, fd: int, request: int, argument: object) -> None:
            pass

    assert len(list(ioctls.enum_formats(Endless(), 0, vd.CAPTURE))) == 256


@pytest.mark.parametrize(
    ("fields", "meaning"),
    [
        ({"colorspace": vd.COLORSPACE_SRGB}, BT601),
        ({"colorspace": vd.COLORSPACE_REC709}, BT709),
        ({"colorspace": vd.COLORSPACE_SRGB, "ycbcr_enc": vd.YCBCR_ENC_709}, BT709),
        ({"colorspace": vd.COLORSPACE_REC709, "ycbcr_enc": vd.YCBCR_ENC_601}, BT601),
        ({"colorspace": vd.COLORSPACE_JPEG}, Color("bt601", full_range=True)),
        ({"quantization": vd.QUANTIZATION_FULL_RANGE}, Color("bt601", full_range=True)),
        ({"colorspace": vd.COLORSPACE_JPEG, "quantization": vd.QUANTIZATION_LIM_RANGE}, BT601),
    ],
)
def test_the_driver_says_what_samples_mean(fields: dict[str, int], meaning: Color) -> None:
    assert layout.color(vd.PixFormat(**fields), PixelFormat.YUYV) == meaning
    assert layout.color(vd.PixFormat(**fields), PixelFormat.MJPG) == JPEG


def test_the_system_lists_video_nodes_by_number_and_nothing_else(tmp_path: Path) -> None:
    for entry, name in (("video10", "Virtual BG Camera"), ("video2", "HD Webcam"), ("vbi0", "x"), ("v4l-subdev0", "x")):
        (tmp_path / entry).mkdir()
        (tmp_path / entry / "name").write_text(name + "\n")
    assert list(OS(tmp_path).video_nodes().items()) == [
        ("/dev/video2", "HD Webcam"),
        ("/dev/video10", "Virtual BG Camera"),
    ]
    assert OS(tmp_path / "none").video_nodes() == {}


def test_a_camera_unplugged_while_listing_has_no_name(tmp_path: Path) -> None:
    (tmp_path / "video0").mkdir()
    assert OS(tmp_path).video_nodes() == {"/dev/video0": ""}


def test_the_system_polls_maps_and_writes(tmp_path: Path) -> None:
    readable, silent = os.eventfd(1), os.eventfd(0)
    assert LINUX.poll((readable, silent), 1) == {readable: select.POLLIN}
    assert LINUX.poll((silent,), 0) == {}
    LINUX.close(readable)
    LINUX.close(silent)
    (tmp_path / "f").write_bytes(bytes(8192))
    fd = LINUX.open(str(tmp_path / "f"), os.O_RDWR)
    with LINUX.mmap(fd, 4096, 4096) as memory:
        memory[:3] = b"abc"
    assert LINUX.write(fd, np.frombuffer(b"xyz", np.uint8)) == 3
    LINUX.close(fd)
    assert (tmp_path / "f").read_bytes()[4096:4099] == b"abc"
    assert (tmp_path / "f").read_bytes()[:3] == b"xyz"


def test_the_system_repeats_an_interrupted_request(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([InterruptedError(errno.EINTR, ""), None])

    def ioctl(*_: object) -> None:
        if error := next(answers):
            raise error

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    LINUX.ioctl(0, vd.VIDIOC_QUERYCAP, vd.Capability())
    assert next(answers, "all taken") == "all taken"


def test_what_is_no_video_device_is_refused_by_the_real_kernel() -> None:
    with pytest.raises(SourceError, match=r"/dev/null: can't open the camera: .*ENOTTY.*may not be a camera"):
        V4L2Camera("/dev/null")
    with pytest.raises(SinkError, match=r"/dev/null: can't open the virtual camera: .*ENOTTY.*no virtual camera"):
        LoopbackSink("/dev/null", size=Size(64, 48), fps=30)
    with pytest.raises(SourceError, match=r"ENOENT.*the camera is not there"):
        V4L2Camera("/dev/no-such-camera")


def test_closing_twice_and_unknown_descriptors_are_the_systems_own_errors() -> None:
    kernel = FakeKernel(FakeCamera({PixelFormat.YUYV: {Size(64, 48): [30]}}))
    with pytest.raises(OSError, match="Bad file descriptor"):
        kernel.close(9999)
