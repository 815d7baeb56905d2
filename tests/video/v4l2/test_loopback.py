"""The virtual camera on the fake kernel: what is set, what is written, what is said when it fails."""

from __future__ import annotations

import errno
from fractions import Fraction

import numpy as np
import pytest
import pyvirtualcam
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.cuda.fake import FakeDriver, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import SettingsError, SinkError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback
from bgcamd.video.v4l2.loopback import LoopbackBackend, LoopbackSink, Packer
from bgcamd.video.v4l2.loopback_device import LoopbackDevice

SIZE = Size(64, 48)
BYTES = 64 * 48 * 3 // 2


def packed(size: Size = SIZE) -> tuple[Plane, Frame]:
    """A frame whose planes are views of one array, and that array, 0, 1, 2, ... 255, 0, ..."""
    width, height = size
    memory = np.arange(width * height * 3 // 2, dtype=np.uint32).astype(np.uint8).reshape(-1, width)
    chroma = memory[height:].reshape(2, height // 2, width // 2)
    return memory, Frame((memory[:height], chroma[0], chroma[1]), PixelFormat.I420, size)


def sink(device: FakeLoopback, fps: float = 30) -> tuple[LoopbackSink, FakeKernel]:
    kernel = FakeKernel(device)
    return LoopbackSink(None, size=SIZE, fps=fps, kernel=kernel), kernel


def test_the_format_and_rate_that_apps_see() -> None:
    device = FakeLoopback()
    with sink(device, 30000 / 1001)[0] as output:
        assert output.name == "Virtual BG Camera (/dev/video10)"
        pix = device.format
        assert (pix.width, pix.height, ioctls.fourcc_text(pix.pixelformat)) == (64, 48, "YU12")
        assert (pix.bytesperline, pix.sizeimage, pix.field) == (64, BYTES, vd.FIELD_NONE)
        assert (pix.colorspace, pix.ycbcr_enc, pix.quantization) == (8, 1, 2)  # sRGB, 601, limited range
        assert pix.priv == vd.PIX_FMT_PRIV_MAGIC
        assert device.interval.rate == Fraction(30000, 1001)


def test_it_is_a_camera_from_the_first_frame_until_it_is_closed() -> None:
    device = FakeLoopback()
    output, kernel = sink(device)
    assert not device.streaming
    with output:
        output.write(packed()[1])
        assert device.streaming
    assert not device.streaming
    assert device.requests[-1] == vd.VIDIOC_STREAMOFF
    assert kernel.descriptors == 0
    output.close()


class Kept:
    """Keeps one device, as systemd does between two runs."""

    def __init__(self, left: int | None = None) -> None:
        self.left, self.kept, self.forgotten = left, 0, 0

    def take(self, _node: str, /) -> int | None:
        left, self.left = self.left, None
        return left

    def keep(self, _node: str, _fd: int, /) -> bool:
        self.kept += 1
        return True

    def forget(self, _node: str, /) -> None:
        self.forgotten += 1


def left_open(kernel: FakeKernel, device: FakeLoopback) -> int:
    """The descriptor of a run that has ended, still open and streaming."""
    ended = LoopbackDevice(device.node, size=SIZE, fps=30, kernel=kernel)
    ended.write(np.zeros(BYTES, np.uint8))
    device.requests.clear()
    return ended._fd


def test_one_that_is_kept_goes_on_streaming_when_it_is_closed() -> None:
    device, keeper = FakeLoopback(), Kept()
    with LoopbackSink(None, size=SIZE, fps=30, kernel=FakeKernel(device), keeper=keeper) as output:
        output.write(packed()[1])
    assert vd.VIDIOC_STREAMOFF not in device.requests
    assert (keeper.kept, keeper.forgotten) == (1, 0)


def test_one_that_was_left_open_is_written_to_as_it_is() -> None:
    device = FakeLoopback()
    kernel = FakeKernel(device)
    keeper = Kept(left_open(kernel, device))
    with LoopbackSink(None, size=SIZE, fps=30, kernel=kernel, keeper=keeper) as output:
        output.write(packed()[1])
        assert device.streaming
    assert vd.VIDIOC_S_FMT not in device.requests
    assert vd.VIDIOC_STREAMOFF not in device.requests
    assert keeper.kept == 0  # it is kept already
    assert kernel.descriptors == 0


def test_one_that_was_left_open_in_another_size_gets_the_new_one() -> None:
    device = FakeLoopback()
    kernel = FakeKernel(device)
    keeper = Kept(left_open(kernel, device))
    with LoopbackSink(None, size=Size(32, 32), fps=30, kernel=kernel, keeper=keeper) as output:
        output.write(packed(Size(32, 32))[1])
        assert (device.format.width, device.format.height) == (32, 32)


def test_one_that_was_left_open_and_is_gone_is_kept_no_more() -> None:
    device = FakeLoopback()
    kernel = FakeKernel(device)
    keeper = Kept(left_open(kernel, device))
    device.unplug()
    with pytest.raises(SinkError):
        LoopbackDevice(device.node, size=SIZE, fps=30, kernel=kernel, keeper=keeper)
    assert keeper.forgotten == 1
    assert kernel.descriptors == 0


def test_one_that_fails_is_kept_no_more() -> None:
    device, keeper = FakeLoopback(), Kept()
    with LoopbackSink(None, size=SIZE, fps=30, kernel=FakeKernel(device), keeper=keeper) as output:
        device.takes = 1
        with pytest.raises(SinkError):
            output.write(packed()[1])
        assert keeper.forgotten == 1
    assert vd.VIDIOC_STREAMOFF in device.requests


def test_nothing_is_stopped_that_never_started() -> None:
    device = FakeLoopback()
    with sink(device)[0]:
        pass
    assert vd.VIDIOC_STREAMOFF not in device.requests


def test_a_frame_in_memory_pinned_for_a_gpu_goes_to_the_kernel_without_a_copy() -> None:
    class Seen(FakeKernel):
        def write(self, fd: int, data: Plane) -> int:
            self.data = data
            return super().write(fd, data)

    device, driver = FakeLoopback(), FakeDriver()
    kernel = Seen(device)
    with Gpu(driver, compiler=fake_compiler) as gpu, gpu.pinned(BYTES) as block:
        luma, chroma = block.view[: 64 * 48].reshape(48, 64), block.view[64 * 48 :].reshape(2, 24, 32)
        luma[:], chroma[:] = 3, 4
        with LoopbackSink(None, size=SIZE, fps=30, kernel=kernel) as output:
            output.write(Frame((luma, chroma[0], chroma[1]), PixelFormat.I420, SIZE))
        assert np.shares_memory(kernel.data, block.view)
        assert kernel.data.ctypes.data == block.view.ctypes.data
    assert device.written == [b"\x03" * (64 * 48) + b"\x04" * (64 * 24)]
    driver.check_nothing_left()


def test_frames_arrive_whole_and_in_order() -> None:
    device = FakeLoopback()
    memory, frame = packed()
    with sink(device)[0] as output:
        output.write(frame)
        memory[:] = 9
        output.write(frame)
    assert device.written == [np.arange(BYTES, dtype=np.uint32).astype(np.uint8).tobytes(), b"\x09" * BYTES]


class Watching(FakeKernel):
    """Notes where in memory each written frame lies."""

    address = 0

    def write(self, fd: int, data: Plane) -> int:
        self.address = data.ctypes.data
        return super().write(fd, data)


def test_a_packed_frame_is_not_copied_on_its_way() -> None:
    kernel = Watching(FakeLoopback())
    memory, frame = packed()
    with LoopbackSink(None, size=SIZE, fps=30, kernel=kernel) as output:
        output.write(frame)
    assert kernel.address == memory.ctypes.data


def test_a_frame_in_pieces_is_copied_together() -> None:
    device = FakeLoopback()
    _, frame = packed()
    pieces = tuple(plane.copy() for plane in frame.planes)
    with sink(device)[0] as output:
        output.write(Frame(pieces, PixelFormat.I420, SIZE))
    assert device.written == [b"".join(plane.tobytes() for plane in frame.planes)]


@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda half: Size(half[0] * 2, half[1] * 2)),
    st.sampled_from(["together", "apart", "swapped", "gap", "strided"]),
)
def test_however_the_planes_lie_the_packed_frame_is_y_u_v(size: Size, how: str) -> None:
    _, frame = packed(size)
    y, u, v = frame.planes
    if how == "swapped":
        u, v = v, u
    elif how == "apart":
        y, u, v = y.copy(), u.copy(), v.copy()
    elif how == "gap":
        room = np.zeros(y.size + 1 + u.size + v.size, np.uint8)
        room[: y.size], room[y.size + 1 :] = y.ravel(), np.concatenate([u.ravel(), v.ravel()])
        y = room[: y.size].reshape(y.shape)
        u, v = room[y.size + 1 :].reshape(2, *u.shape)
    elif how == "strided":
        wide = np.zeros((size.height, size.width + 3), np.uint8)
        wide[:, : size.width] = y
        y = wide[:, : size.width]
    assert Packer(size)((y, u, v)).tobytes() == y.tobytes() + u.tobytes() + v.tobytes()


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_device_that_another_program_writes_to_is_named(exclusive: bool) -> None:
    with pytest.raises(SinkError, match=r"can't set the format YU12 64x48.*another program writes to it"):
        sink(FakeLoopback(held=True, exclusive_caps=exclusive))


def test_two_of_us_can_not_write_to_the_same_device() -> None:
    kernel = FakeKernel(FakeLoopback())
    with LoopbackSink(None, size=SIZE, fps=30, kernel=kernel) as first:
        with pytest.raises(SinkError, match="another program writes to it"):
            LoopbackSink(None, size=SIZE, fps=30, kernel=kernel)
        first.write(packed()[1])
        with pytest.raises(SinkError, match="another program writes to it"):
            LoopbackSink(None, size=SIZE, fps=30, kernel=kernel)
    assert kernel.descriptors == 0


@pytest.mark.parametrize(
    "lie",
    [
        {"width": 640},
        {"height": 480},
        {"pixelformat": ioctls.fourcc("YUYV")},
        {"bytesperline": 128},
        {"sizeimage": BYTES - 1},
    ],
)
def test_a_format_that_is_silently_another_is_noticed(lie: dict[str, int]) -> None:
    true = {"width": 64, "height": 48, "pixelformat": ioctls.fourcc("YU12"), "bytesperline": 64, "sizeimage": BYTES}
    device = FakeLoopback(fixed=vd.PixFormat(**(true | lie)))
    with pytest.raises(SinkError, match=r"answers with the format .* instead of YU12 64x48.*keep_format"):
        sink(device)


def test_the_answer_of_release_0_12_is_right_too() -> None:
    """It rounds sizeimage up to whole pages."""
    fixed = vd.PixFormat(width=64, height=48, pixelformat=ioctls.fourcc("YU12"), bytesperline=64, sizeimage=8192)
    device = FakeLoopback(fixed=fixed)
    with sink(device)[0] as output:
        output.write(packed()[1])
    assert len(device.written[0]) == BYTES


def test_a_frame_taken_in_part_is_an_error() -> None:
    device = FakeLoopback()
    with sink(device)[0] as output:
        device.takes = 100
        with pytest.raises(SinkError, match="took 100 of a frame's 4608 bytes"):
            output.write(packed()[1])


def test_a_device_that_is_gone_is_an_error_and_closing_is_harmless() -> None:
    device = FakeLoopback()
    output, kernel = sink(device)
    with output:
        output.write(packed()[1])
        device.unplug()
        with pytest.raises(SinkError, match=r"can't write a frame: No such device.*sudo modprobe v4l2loopback"):
            output.write(packed()[1])
    assert kernel.descriptors == 0


def test_a_write_that_would_block_is_an_error_not_a_lost_frame() -> None:
    class Full(FakeLoopback):
        def write(self, fd: int, data: bytes) -> int:
            raise BlockingIOError(errno.EAGAIN, "full")

    with sink(Full())[0] as output, pytest.raises(SinkError, match=r"can't write a frame.*EAGAIN"):
        output.write(packed()[1])


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (FakeKernel(), "module v4l2loopback is not loaded.*sudo apt install.*sudo modprobe"),
        (FakeKernel(FakeLoopback(denied=True)), "Permission denied.*usermod -aG video"),
        (FakeKernel(FakeLoopback(name="OBS")), 'no virtual camera is called "Virtual BG Camera"'),
    ],
)
def test_a_virtual_camera_that_can_not_be_had_says_what_to_do(kernel: FakeKernel, message: str) -> None:
    with pytest.raises(SinkError, match=message):
        LoopbackSink(None, size=SIZE, fps=30, kernel=kernel)
    assert kernel.descriptors == 0


def test_a_node_that_is_missing_or_a_real_camera_says_so() -> None:
    kernel = FakeKernel(FakeCamera({PixelFormat.YUYV: {Size(640, 480): [30]}}))
    with pytest.raises(SinkError, match=r"/dev/video9: can't open.*No such file.*sudo modprobe"):
        LoopbackSink("/dev/video9", size=SIZE, fps=30, kernel=kernel)
    with pytest.raises(SinkError, match="/dev/video0 is a camera, not a virtual one"):
        LoopbackSink("/dev/video0", size=SIZE, fps=30, kernel=kernel)
    assert kernel.descriptors == 0


@pytest.mark.parametrize("size", [Size(63, 48), Size(64, 47), Size(0, 0)])
def test_odd_sizes_are_a_wrong_setting(size: Size) -> None:
    with pytest.raises(SettingsError, match="must be even"):
        LoopbackSink(None, size=size, fps=30, kernel=FakeKernel(FakeLoopback()))


def test_frames_of_another_shape_are_refused() -> None:
    with sink(FakeLoopback())[0] as output:
        with pytest.raises(ValueError, match="takes I420 64x48, not I420 32x32"):
            output.write(packed(Size(32, 32))[1])
        with pytest.raises(ValueError, match="not GREY"):
            output.write(Frame((np.zeros((48, 64), np.uint8),), PixelFormat.GREY, SIZE))


@pytest.mark.parametrize(
    ("fmt", "fourcc", "line"),
    [("I420", "YU12", 64), ("NV12", "NV12", 64), ("YUYV", "YUYV", 128)],
)
def test_everybody_can_use_the_backend_through_pyvirtualcam(fmt: str, fourcc: str, line: int) -> None:
    device = FakeLoopback()
    kernel = FakeKernel(device)
    pixels = pyvirtualcam.PixelFormat[fmt]
    with pyvirtualcam.Camera(
        64, 48, 20, fmt=pixels, device="Virtual BG Camera", backend="bgcamd", kernel=kernel
    ) as camera:
        assert (camera.device, camera.backend, camera.native_fmt) == ("Virtual BG Camera", "bgcamd", pixels)
        frame = np.arange(line * 48 if fmt == "YUYV" else BYTES, dtype=np.uint32).astype(np.uint8)
        camera.send(frame)
    assert ioctls.fourcc_text(device.format.pixelformat) == fourcc
    assert device.format.bytesperline == line
    assert device.written == [frame.tobytes()]
    assert kernel.descriptors == 0


def test_pyvirtualcam_reports_our_reason() -> None:
    with pytest.raises(RuntimeError, match=r"'bgcamd' backend: there is no virtual camera: .*modprobe"):
        pyvirtualcam.Camera(64, 48, 20, fmt=pyvirtualcam.PixelFormat.I420, backend="bgcamd", kernel=FakeKernel())
    with pytest.raises(RuntimeError, match="takes I420, NV12 and YUYV"):
        pyvirtualcam.Camera(64, 48, 20, fmt=pyvirtualcam.PixelFormat.RGB, backend="bgcamd", kernel=FakeKernel())


def test_the_backend_does_what_pyvirtualcam_asks_of_one() -> None:
    wanted = {name for name in vars(pyvirtualcam.Backend) if not name.startswith("_")}
    assert wanted
    assert wanted <= set(dir(LoopbackBackend))


def test_a_refused_rate_is_an_error() -> None:
    class Rateless(FakeLoopback):
        def ioctl(self, fd: int, request: int, argument: object) -> None:
            if request == vd.VIDIOC_S_PARM:
                raise OSError(errno.EINVAL, "no")
            super().ioctl(fd, request, argument)  # type: ignore[arg-type]

    kernel = FakeKernel(Rateless())
    with pytest.raises(SinkError, match="can't set the rate of 30 frames per second"):
        LoopbackDevice("/dev/video10", size=SIZE, fps=30, kernel=kernel)
    assert kernel.descriptors == 0
