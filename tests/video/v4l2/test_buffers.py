"""Whose memory a camera's frames lie in, and how long a GPU holds it."""

from __future__ import annotations

import errno
import itertools
import mmap
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.cuda.fake import FakeDriver, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import DeviceError, SourceError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.camera import V4L2Camera
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel
from bgcamd.video.v4l2.kernel import Argument

MJPG, NV12, YUYV = PixelFormat.MJPG, PixelFormat.NV12, PixelFormat.YUYV
SMALL = Size(8, 4)
BYTES = 8 * 4 * 2
OURS = "our pages, registered (USERPTR)"
DRIVERS = "the driver's pages, registered (MMAP)"
PLAIN = "the driver's pages (MMAP)"
WAYS = [OURS, DRIVERS, PLAIN]
NAMES = {getattr(vd, f"VIDIOC_{name}"): name for name in ("REQBUFS", "QUERYBUF", "QBUF", "STREAMON", "STREAMOFF")}


class StandIn:
    """What a GPU is to a camera. It knows addresses only, and does not keep memory alive.

    Parameters
    ----------
    refuses: which registrations fail, counted from 1.
    log: gets "register" and "unregister".
    """

    def __init__(self, refuses: Collection[int] = (), log: list[str] | None = None) -> None:
        self.refuses, self.log = refuses, [] if log is None else log
        self.held: dict[int, int] = {}
        """Lengths of what is registered now, by address."""
        self._broken = False
        self._count = itertools.count(1)

    def fail(self) -> None:
        """From now on it answers nothing but errors; what it held, it holds no more."""
        self._broken = True
        self.held.clear()

    def register(self, view: Plane, /) -> _Held:
        self.log.append("register")
        address = view.ctypes.data
        assert address % mmap.PAGESIZE == view.size % mmap.PAGESIZE == 0
        assert view.flags.c_contiguous
        assert address not in self.held
        if next(self._count) in self.refuses or self._broken:
            raise DeviceError("the GPU failed: cuMemHostRegister answered operation not supported")
        self.held[address] = view.size
        return _Held(self, address)

    def holds(self, plane: Plane) -> bool:
        """Whether all of it can be read by the GPU itself."""
        start, end = np.lib.array_utils.byte_bounds(plane)
        return any(address <= start and end <= address + length for address, length in self.held.items())


class _Held:
    def __init__(self, gpu: StandIn, address: int) -> None:
        self._gpu, self._address = gpu, address

    def close(self) -> None:
        self._gpu.log.append("unregister")
        if self._gpu._broken:
            raise DeviceError("the GPU failed: cuMemHostUnregister answered an illegal memory access was encountered")
        assert attributes(self._address), "unmapped before it was unregistered"
        self._gpu.held.pop(self._address, None)


class Logged(FakeCamera):
    """A camera that writes down what it is asked."""

    def __init__(self, log: list[str], *, userptr: bool) -> None:
        super().__init__({YUYV: {SMALL: [30]}}, userptr=userptr)
        self.log = log

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        if request in NAMES:
            self.log.append(NAMES[request])
        super().ioctl(fd, request, argument)


class Stingy(FakeCamera):
    """A camera that gives one buffer only for the program's own memory."""

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        if isinstance(argument, vd.RequestBuffers) and argument.memory == vd.MEMORY_USERPTR:
            argument.count = min(argument.count, 1)
        super().ioctl(fd, request, argument)


def attributes(address: int) -> str:
    """The kernel's flags of the mapping that begins at or holds an address, "" where nothing is mapped."""
    here = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition("-")
        if rest and not first.endswith(":") and " " not in first:
            here = int(first, 16) <= address < int(rest.split()[0], 16)
        elif here and line.startswith("VmFlags:"):
            return line
    return ""


def yuyv(*, userptr: bool = True) -> FakeCamera:
    return FakeCamera({YUYV: {SMALL: [30]}}, userptr=userptr)


@contextmanager
def opened(camera: FakeCamera, gpu: StandIn) -> Iterator[V4L2Camera]:
    """The camera, and afterwards a look at whether everything was given back."""
    kernel = FakeKernel(camera)
    with V4L2Camera(camera.node, registrar=gpu, kernel=kernel) as source:
        yield source
    assert kernel.descriptors == 0
    assert nothing_left(camera, gpu)


def nothing_left(camera: FakeCamera, gpu: StandIn) -> bool:
    return not gpu.held and not camera.buffers.pinned and all(memory.closed for memory in camera.mappings)


def way(memory: str, camera: FakeCamera) -> StandIn:
    """A GPU, and a camera, with which the given memory is the best that can be had."""
    camera.buffers.userptr = memory == OURS
    return StandIn(refuses=range(1, 9) if memory == PLAIN else ())


def read(source: V4L2Camera) -> Frame:
    frame = source.read(5)
    assert frame is not None
    return frame


@pytest.mark.parametrize("memory", WAYS)
def test_a_frame_lies_in_memory_that_the_gpu_reads_where_it_is_said_to(memory: str) -> None:
    camera = yuyv()
    gpu = way(memory, camera)
    with opened(camera, gpu) as source:
        assert source.memory == memory
        for number in range(10):
            camera.feed(bytes(range(number, number + BYTES)))
            frame = read(source)
            assert frame.planes[0].tobytes() == bytes(range(number, number + BYTES))
            assert gpu.holds(frame.planes[0]) == (memory != PLAIN)
            frame.release()
            del frame


def test_without_a_registrar_nothing_is_tried_that_a_cpu_does_not_need() -> None:
    log: list[str] = []
    camera = Logged(log, userptr=True)
    with V4L2Camera(camera.node, kernel=FakeKernel(camera)) as source:
        assert source.memory == PLAIN
    assert log.count("REQBUFS") == 2


@pytest.mark.parametrize("memory", WAYS)
def test_padded_nv12_and_jpegs_are_found_in_any_memory(memory: str) -> None:
    camera = FakeCamera({NV12: {SMALL: [30]}}, padding=24)
    data = np.arange(32 * 6, dtype=np.uint8).reshape(6, 32)
    with opened(camera, way(memory, camera)) as source:
        camera.feed(data.tobytes())
        frame = read(source)
        assert [plane.tobytes() for plane in frame.planes] == [data[:4, :8].tobytes(), data[4:, :8].tobytes()]
        frame.release()
        del frame
    camera = FakeCamera({MJPG: {Size(1278, 718): [30]}})  # buffers that are no whole pages
    with opened(camera, way(memory, camera)) as source:
        camera.feed(b"\xff\xd8 a picture \xff\xd9")
        frame = read(source)
        assert [plane.tobytes() for plane in frame.planes] == [b"\xff\xd8 a picture \xff\xd9"]
        frame.release()
        del frame


def test_our_pages_are_pinned_once_and_stay_where_they_are_when_the_process_forks() -> None:
    camera = yuyv()
    with opened(camera, StandIn()) as source:
        for _ in range(10):
            camera.feed(bytes(BYTES))
            read(source).release()
        assert camera.buffers.pins == 4
        assert all("dc" in attributes(address).split() for address, _ in camera.buffers.pinned.values())


def _contiguous(camera: FakeCamera) -> None:
    camera.buffers.contiguous = True


def _unsupported(camera: FakeCamera) -> None:
    camera.buffers.userptr = False


def _nothing(_: FakeCamera) -> None:
    """All is well with the camera."""


@pytest.mark.parametrize(
    ("camera", "change", "refuses", "memory"),
    [
        (yuyv, _unsupported, (), DRIVERS),
        (yuyv, _contiguous, (), DRIVERS),
        (lambda: Stingy({YUYV: {SMALL: [30]}}, userptr=True), _nothing, (), DRIVERS),
        (yuyv, _nothing, {3}, DRIVERS),
        (yuyv, _nothing, {3, 6}, PLAIN),
        (yuyv, _unsupported, {1}, PLAIN),
        (yuyv, _contiguous, {8}, PLAIN),
    ],
    ids=[
        *("no-userptr", "scattered-pages-refused", "one-buffer-only", "third-of-ours-refused"),
        *("third-of-each-refused", "first-of-the-drivers-refused", "last-of-the-drivers-refused"),
    ],
)
def test_what_can_not_be_had_is_given_back_before_the_next_best_is_tried(camera, change, refuses, memory) -> None:  # type: ignore[no-untyped-def]
    device = camera()
    change(device)
    gpu = StandIn(refuses)
    with opened(device, gpu) as source:
        assert source.memory == memory
        assert len(gpu.held) == (0 if memory == PLAIN else 4)
        assert not device.buffers.pinned
        assert sum(not mapping.closed for mapping in device.mappings) == 4
        device.feed(bytes([9]) * BYTES)
        frame = read(source)
        assert frame.planes[0].max() == 9
        frame.release()
        del frame


def test_the_driver_lets_go_of_our_pages_before_the_gpu_does() -> None:
    log: list[str] = []
    with opened(Logged(log, userptr=True), StandIn(log=log)):
        pass
    assert [step for step, _ in itertools.groupby(log)] == [
        *("REQBUFS", "register", "QBUF", "STREAMON"),
        *("STREAMOFF", "REQBUFS", "unregister"),
    ]


def test_the_gpu_lets_go_of_the_drivers_pages_before_they_are_given_back() -> None:
    log: list[str] = []
    with opened(Logged(log, userptr=False), StandIn(log=log)):
        log.clear()
    assert [step for step, _ in itertools.groupby(log)] == ["STREAMOFF", "unregister", "REQBUFS"]


@pytest.mark.parametrize("memory", [OURS, DRIVERS])
def test_a_frame_that_outlives_the_camera_stays_readable_for_the_gpu_until_it_is_released(memory: str) -> None:
    camera = yuyv()
    gpu = way(memory, camera)
    with V4L2Camera(camera.node, registrar=gpu, kernel=FakeKernel(camera)) as source:
        camera.feed(bytes([7]) * BYTES)
        frame = read(source)
    (plane,) = frame.planes
    assert gpu.holds(plane)
    assert len(gpu.held) == 1
    frame.release()
    assert not gpu.held
    assert plane.max() == plane.min() == 7  # it is there as long as somebody looks at it
    source.close()


def test_our_pages_are_unmapped_with_the_last_view_of_them_even_if_somebody_keeps_the_camera() -> None:
    camera, gpu = yuyv(), StandIn()
    with opened(camera, gpu) as source:
        camera.feed(bytes(BYTES))
        frame = read(source)
        address = frame.planes[0].ctypes.data
        source.close()
        frame.release()
        assert attributes(address)
        del frame
        assert not attributes(address)


@pytest.mark.parametrize("memory", [OURS, DRIVERS])
def test_a_gpu_that_fails_while_the_camera_streams_does_not_harm_it(memory: str) -> None:
    camera = yuyv()
    gpu = way(memory, camera)
    kernel = FakeKernel(camera)
    with V4L2Camera(camera.node, registrar=gpu, kernel=kernel) as source:
        gpu.fail()
        camera.feed(bytes([5]) * BYTES)
        frame = read(source)
        assert frame.planes[0].max() == 5
    frame.release()
    assert kernel.descriptors == 0
    assert not camera.buffers.pinned
    with V4L2Camera(camera.node, registrar=gpu, kernel=kernel) as source:
        assert source.memory == PLAIN


@pytest.mark.parametrize("memory", WAYS)
def test_unplugged_in_mid_stream_everything_is_given_back(memory: str) -> None:
    camera = yuyv()
    gpu = way(memory, camera)
    with opened(camera, gpu) as source:
        camera.feed(bytes(BYTES))
        frame = read(source)
        threading.Timer(0.02, camera.unplug).start()
        with pytest.raises(SourceError, match="the camera is lost"):
            source.read(60)
        frame.release()
        del frame


@pytest.mark.parametrize("userptr", [True, False])
@pytest.mark.parametrize(
    ("request_", "number"),
    [
        (vd.VIDIOC_REQBUFS, errno.EBUSY),
        (vd.VIDIOC_QUERYBUF, errno.EINVAL),
        (vd.VIDIOC_QBUF, errno.ENODEV),
        (vd.VIDIOC_STREAMON, errno.ENOSPC),
    ],
)
def test_whatever_step_fails_nothing_stays_registered(request_: int, number: int, userptr: bool) -> None:
    camera, gpu = yuyv(userptr=userptr), StandIn()
    kernel = FakeKernel(camera)
    camera.refused[request_] = number
    try:
        with V4L2Camera(camera.node, registrar=gpu, kernel=kernel) as source:
            assert (source.memory, request_) == (OURS, vd.VIDIOC_QUERYBUF)  # which our own pages do not need
    except SourceError as error:
        assert errno.errorcode[number] in error.message  # noqa: PT017
    assert kernel.descriptors == 0
    assert nothing_left(camera, gpu)


@given(st.sampled_from([OURS, DRIVERS]), st.lists(st.integers(1, 5), max_size=6), st.data())
def test_in_whatever_order_frames_and_camera_end_all_is_unregistered(
    memory: str, bursts: list[int], data: st.DataObject
) -> None:
    camera = yuyv()
    gpu = way(memory, camera)
    kernel = FakeKernel(camera)
    frames: list[Frame] = []
    with V4L2Camera(camera.node, registrar=gpu, kernel=kernel) as source:
        for burst in bursts:
            for _ in range(burst):
                camera.feed(bytes(BYTES))
            if (frame := source.read(0)) is not None:
                frames.append(frame)
            if frames and data.draw(st.booleans()):
                frames.pop(data.draw(st.integers(0, len(frames) - 1))).release()
        assert len(gpu.held) == 4
    assert len(gpu.held) == len(frames)
    for left, frame in zip(range(len(frames) - 1, -1, -1), frames, strict=True):
        assert gpu.holds(frame.planes[0])
        frame.release()
        assert len(gpu.held) == left


def test_the_gpu_reads_a_frame_where_the_camera_wrote_it() -> None:
    camera, driver = yuyv(), FakeDriver()
    with Gpu(driver, compiler=fake_compiler) as gpu:
        with (
            V4L2Camera(camera.node, registrar=gpu, kernel=FakeKernel(camera)) as source,
            gpu.array((BYTES,), "u1") as up,
        ):
            assert source.memory == OURS
            camera.feed(bytes(range(BYTES)))
            frame = read(source)
            (plane,) = frame.planes
            assert gpu.registered(plane.ctypes.data, plane.nbytes) == plane.ctypes.data
            gpu.upload(up, plane)
            back = np.zeros(BYTES, np.uint8)
            gpu.download(back, up)
            assert back.tobytes() == bytes(range(BYTES))
            frame.release()
        assert gpu.registered(plane.ctypes.data, plane.nbytes) is None
    driver.check_nothing_left()


@pytest.mark.parametrize("fails", [False, True], ids=["closed", "failed-and-closed"])
def test_the_gpu_may_go_while_the_camera_streams_and_come_again(fails: bool) -> None:
    camera, driver = yuyv(), FakeDriver()
    kernel = FakeKernel(camera)
    with Gpu(driver, compiler=fake_compiler) as first:
        source = V4L2Camera(camera.node, registrar=first, kernel=kernel)
        camera.feed(bytes([1]) * BYTES)
        frame = read(source)
        if fails:
            driver.fail("synchronize")
            with pytest.raises(DeviceError):
                first.synchronize()
    driver.check_nothing_left()
    with Gpu(driver, compiler=fake_compiler) as second:
        camera.feed(bytes([2]) * BYTES)
        later = read(source)
        assert (frame.planes[0].max(), later.planes[0].max()) == (1, 2)
        frame.release()
        source.close()
        later.release()
        with V4L2Camera(camera.node, registrar=second, kernel=kernel) as again:
            assert again.memory == OURS
    driver.check_nothing_left()
    assert kernel.descriptors == 0


def test_with_a_gpu_that_is_closed_already_the_camera_is_as_without_one() -> None:
    camera, driver = yuyv(), FakeDriver()
    with Gpu(driver, compiler=fake_compiler) as gpu:
        pass
    with V4L2Camera(camera.node, registrar=gpu, kernel=FakeKernel(camera)) as source:
        assert source.memory == PLAIN
    driver.check_nothing_left()
