"""A V4L2 camera on the fake kernel: the newest frame, in the driver's memory, until the plug is pulled."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, JPEG, Frame, PixelFormat, Size
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.camera import V4L2Camera, look
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel

MJPG, NV12, YUYV = PixelFormat.MJPG, PixelFormat.NV12, PixelFormat.YUYV
SMALL = Size(8, 4)
BYTES = 8 * 4 * 2


def yuyv(**options: object) -> FakeCamera:
    return FakeCamera({YUYV: {SMALL: [30]}}, **options)  # type: ignore[arg-type]


@contextmanager
def opened(camera: FakeCamera, size: Size | None = None, fps: float | None = None) -> Iterator[V4L2Camera]:
    """The camera, and afterwards a look at whether everything was given back."""
    kernel = FakeKernel(camera)
    with V4L2Camera(camera.node, size=size, fps=fps, kernel=kernel) as source:
        yield source
    assert kernel.descriptors == 0
    assert not camera.streaming
    assert all(memory.closed for memory in camera.mappings)


def read(source: V4L2Camera) -> Frame:
    frame = source.read(5)
    assert frame is not None
    return frame


def value(frame: Frame) -> int:
    return int(frame.planes[0].flat[0])


def test_it_says_what_the_driver_agreed_to() -> None:
    camera = FakeCamera({MJPG: {Size(1280, 720): [30, 60]}, YUYV: {Size(640, 480): [15]}}, name="HD Webcam")
    with opened(camera) as source:
        assert (source.name, source.size, source.rate) == ("HD Webcam (/dev/video0)", Size(1280, 720), 30)
        assert source.format is MJPG
        assert camera.interval.rate == 30
    with opened(camera, fps=60) as source:
        assert source.rate == 60
    with opened(camera, size=Size(640, 480)) as source:
        assert (source.size, source.rate, source.format) == (Size(640, 480), 15, YUYV)


def test_ntsc_rates_stay_exact() -> None:
    with opened(FakeCamera({YUYV: {SMALL: [30000 / 1001]}})) as source:
        assert source.rate == Fraction(30000, 1001)


def test_a_driver_with_one_rate_may_refuse_the_question() -> None:
    camera = yuyv()
    camera.refused[vd.VIDIOC_S_PARM] = errno.ENOTTY
    with opened(camera) as source:
        assert source.rate == 30


def test_a_frame_is_a_view_of_the_drivers_buffer() -> None:
    camera = yuyv()
    with opened(camera) as source:
        camera.feed(bytes(range(BYTES)))
        frame = read(source)
        (plane,) = frame.planes
        assert plane.shape == (4, 8, 2)
        assert plane.tobytes() == bytes(range(BYTES))
        camera.mappings[0][:1] = b"\xff"
        assert plane[0, 0, 0] == 255
        assert frame.color == BT601
        frame.release()
        del frame, plane


@pytest.mark.parametrize("padding", [0, 24])
def test_nv12_is_two_planes_whose_lines_may_be_padded(padding: int) -> None:
    camera = FakeCamera({NV12: {SMALL: [30]}}, padding=padding)
    line = 8 + padding
    data = np.arange(line * 6, dtype=np.uint8).reshape(6, line)
    with opened(camera) as source:
        camera.feed(data.tobytes())
        luma, chroma = read(source).planes
        assert np.array_equal(luma, data[:4, :8])
        assert np.array_equal(chroma, data[4:, :8].reshape(2, 4, 2))
        del luma, chroma


def test_padded_yuyv_lines_are_stepped_over() -> None:
    camera = yuyv(padding=16)
    data = np.arange(32 * 4, dtype=np.uint8).reshape(4, 32)
    with opened(camera) as source:
        camera.feed(data.tobytes())
        assert np.array_equal(read(source).planes[0], data[:, :16].reshape(4, 8, 2))


def test_a_jpeg_is_as_long_as_the_camera_says() -> None:
    camera = FakeCamera({MJPG: {Size(1280, 720): [30]}})
    with opened(camera) as source:
        camera.feed(b"\xff\xd8 a long one \xff\xd9")
        read(source).release()
        camera.feed(b"\xff\xd8\xff\xd9")
        frame = read(source)
        assert [plane.tobytes() for plane in frame.planes] == [b"\xff\xd8\xff\xd9"]
        assert (frame.color, frame.size) == (JPEG, Size(1280, 720))
        del frame


def test_full_range_is_passed_on_where_the_driver_says_so() -> None:
    camera = yuyv(pix={"quantization": vd.QUANTIZATION_FULL_RANGE})
    with opened(camera) as source:
        camera.feed(bytes(BYTES))
        assert read(source).color.full_range


def test_only_the_newest_frame_is_read_and_the_others_go_back() -> None:
    camera = yuyv()
    with opened(camera) as source:
        for number in range(3):
            camera.feed(bytes([number]) * BYTES)
        frame = read(source)
        assert (value(frame), frame.sequence) == (2, 2)
        assert camera.queued == 3
        assert source.read(0) is None
        frame.release()
        assert camera.queued == 4
        del frame


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), max_size=8), st.booleans())
def test_whatever_comes_the_newest_whole_frame_is_read_and_no_buffer_is_lost(
    bursts: list[list[bool]], release: bool
) -> None:
    """Bursts of whole (True) and damaged frames; each frame is kept until the next, or given back at once."""
    camera = yuyv()
    held: Frame | None = None
    with opened(camera) as source:
        for number, burst in enumerate(bursts):
            taken = [ok for ok in burst if camera.feed(bytes([number]) * BYTES, error=not ok)]
            frame = source.read(0)
            assert (frame is not None) == any(taken)
            if frame is None:
                continue
            assert value(frame) == number
            if held is not None:
                held.release()
            held = frame
            if release:
                frame.release()
            del frame
        if held is not None:
            held.release()
        assert camera.queued == 4
        held = None


def test_damaged_empty_and_short_frames_are_skipped() -> None:
    camera = yuyv()
    with opened(camera) as source:
        camera.feed(bytes([1]) * BYTES)
        camera.feed(bytes([2]) * BYTES, error=True)
        camera.feed(b"")
        camera.feed(bytes([4]) * (BYTES - 1))
        assert value(read(source)) == 1
        camera.feed(bytes(BYTES), error=True)
        assert source.read(0.01) is None


def test_a_lost_frame_shows_as_a_gap_in_the_sequence() -> None:
    camera = yuyv()
    with opened(camera) as source:
        camera.feed(bytes(BYTES))
        frames = [read(source)]
        assert [camera.feed(bytes(BYTES)) for _ in range(5)] == [True, True, True, False, False]
        frames.append(read(source))
        camera.feed(bytes(BYTES))
        frames.append(read(source))
        assert [frame.sequence for frame in frames] == [0, 3, 6]
        frames.clear()


def test_the_drivers_timestamp_is_kept_if_it_is_of_our_clock() -> None:
    camera = yuyv()
    with opened(camera) as source:
        moment = time.monotonic_ns() // 1000 * 1000 - 20_000_000
        camera.feed(bytes(BYTES), timestamp_ns=moment)
        assert read(source).captured_ns == moment
        for wrong in ({"clock": 0}, {"timestamp_ns": 0}, {"timestamp_ns": moment + 3_600_000_000_000}):
            before = time.monotonic_ns()
            camera.feed(bytes(BYTES), **wrong)
            frame = read(source)
            assert before <= frame.captured_ns <= time.monotonic_ns()
            frame.release()
            del frame


def test_no_frame_is_none() -> None:
    with opened(yuyv()) as source:
        assert source.read(0) is None
        assert source.read(0.01) is None


def test_a_frame_that_comes_while_waiting_is_read() -> None:
    camera = yuyv()
    with opened(camera) as source:
        late = threading.Timer(0.02, camera.feed, [bytes(BYTES)])
        late.start()
        read(source).release()
        late.join()


def test_stop_wakes_a_waiting_reader() -> None:
    with opened(yuyv()) as source:
        waker = threading.Timer(0.02, source.stop)
        waker.start()
        assert source.read(60) is None
        assert source.read(60) is None
        waker.join()


def test_close_from_another_thread_waits_for_the_reader_to_leave() -> None:
    with opened(yuyv()) as source:
        closer = threading.Timer(0.02, source.close)
        closer.start()
        assert source.read(60) is None
        closer.join()
        source.stop()


def test_unplugged_in_mid_stream_is_an_error_and_everything_is_given_back() -> None:
    camera = yuyv()
    with opened(camera) as source:
        camera.feed(bytes(BYTES))
        frame = read(source)
        threading.Timer(0.02, camera.unplug).start()
        with pytest.raises(SourceError, match="/dev/video0: the camera is lost"):
            source.read(60)
        frame.release()
        del frame
        camera.streaming = False  # the driver's doing


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EIO])
def test_a_camera_that_fails_on_dequeue_is_an_error(number: int) -> None:
    camera = yuyv()
    with opened(camera) as source:
        camera.feed(bytes(BYTES))
        camera.refused[vd.VIDIOC_DQBUF] = number
        with pytest.raises(SourceError, match=errno.errorcode[number]):
            source.read(1)


def test_a_frame_outlives_the_camera_without_harm() -> None:
    camera = yuyv()
    kernel = FakeKernel(camera)
    with V4L2Camera(camera.node, kernel=kernel) as source:
        camera.feed(bytes([7]) * BYTES)
        frame = read(source)
    assert value(frame) == 7
    assert kernel.descriptors == 0
    frame.release()
    source.close()
    assert source.read(1) is None


def test_a_release_after_the_camera_was_opened_again_does_not_touch_the_new_one() -> None:
    camera = yuyv()
    kernel = FakeKernel(camera)
    with V4L2Camera(camera.node, kernel=kernel) as source:
        camera.feed(bytes(BYTES))
        frame = read(source)
    with V4L2Camera(camera.node, kernel=kernel):
        camera.feed(bytes(BYTES))
        frame.release()
        assert camera.queued == 3


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"denied": True}, "can't open the camera: Permission denied.*usermod -aG video"),
        ({"busy": True}, "can't set the format: Device or resource busy.*another program holds the camera"),
        ({"caps": vd.CAP_VIDEO_OUTPUT | vd.CAP_STREAMING}, "is no camera.*choose another"),
        ({"caps": vd.CAP_VIDEO_CAPTURE}, "is no camera"),
    ],
)
def test_a_camera_that_can_not_be_had_says_what_to_do(broken: dict[str, object], message: str) -> None:
    camera = yuyv(**broken)
    kernel = FakeKernel(camera)
    with pytest.raises(SourceError, match=message):
        V4L2Camera(camera.node, kernel=kernel)
    assert kernel.descriptors == 0


@pytest.mark.parametrize(
    ("request_", "number", "message"),
    [
        (vd.VIDIOC_QUERYCAP, errno.ENOTTY, "may not be a camera"),
        (vd.VIDIOC_S_PARM, errno.EBUSY, "can't set the rate"),
        (vd.VIDIOC_REQBUFS, errno.EBUSY, "can't get buffers.*another program"),
        (vd.VIDIOC_QUERYBUF, errno.EINVAL, "can't get buffers"),
        (vd.VIDIOC_QBUF, errno.ENODEV, "can't start streaming.*plug it in"),
        (vd.VIDIOC_STREAMON, errno.ENOSPC, "USB bus has no room"),
    ],
)
def test_whatever_step_fails_nothing_stays_open(request_: int, number: int, message: str) -> None:
    camera = yuyv()
    camera.refused[request_] = number
    kernel = FakeKernel(camera)
    with pytest.raises(SourceError, match=message):
        V4L2Camera(camera.node, kernel=kernel)
    assert kernel.descriptors == 0
    assert all(memory.closed for memory in camera.mappings)


def test_a_missing_camera_says_what_to_do() -> None:
    with pytest.raises(SourceError, match=r"No such file.*plug it in again, or choose another"):
        V4L2Camera("/dev/video7", kernel=FakeKernel())


def test_a_camera_without_a_format_of_ours_says_so() -> None:
    camera = FakeCamera({PixelFormat.GREY: {SMALL: [30]}})
    with pytest.raises(SourceError, match="offers neither MJPG, NV12 nor YUYV"):
        V4L2Camera(camera.node, kernel=FakeKernel(camera))


def test_a_driver_that_answers_with_another_format_is_not_believed() -> None:
    camera = yuyv(pix={"pixelformat": 0x32314142})
    with pytest.raises(SourceError, match="does not give the YUYV that it offers"):
        V4L2Camera(camera.node, kernel=FakeKernel(camera))


def test_a_driver_that_answers_with_another_size_is_followed() -> None:
    with opened(yuyv(pix={"width": 6})) as source:
        assert source.size == Size(6, 4)


def test_buffers_too_small_for_the_picture_are_refused() -> None:
    camera = yuyv(pix={"sizeimage": 16, "height": 4000})
    with pytest.raises(SourceError, match="buffers are too small"):
        V4L2Camera(camera.node, kernel=FakeKernel(camera))


def test_a_driver_with_a_single_buffer_is_refused() -> None:
    class Poor(FakeCamera):
        def ioctl(self, fd: int, request: int, argument: object) -> None:
            if isinstance(argument, vd.RequestBuffers):
                argument.count = min(argument.count, 1)
            super().ioctl(fd, request, argument)  # type: ignore[arg-type]

    camera = Poor({YUYV: {SMALL: [30]}})
    kernel = FakeKernel(camera)
    with pytest.raises(SourceError, match="gives 1 buffers; 2 are needed"):
        V4L2Camera(camera.node, kernel=kernel)
    assert kernel.descriptors == 0


def test_a_release_that_fails_on_a_lost_camera_is_left_to_the_next_read() -> None:
    camera = yuyv()
    with opened(camera) as source:
        for number in (errno.ENODEV, errno.EINVAL):
            camera.feed(bytes(BYTES))
            frame = read(source)
            camera.refused[vd.VIDIOC_QBUF] = number
            if number == errno.ENODEV:
                frame.release()
            else:
                with pytest.raises(OSError, match="Invalid argument"):
                    frame.release()
            camera.refused.clear()
            del frame


def test_two_can_not_have_the_same_camera() -> None:
    camera = yuyv()
    kernel = FakeKernel(camera)
    with V4L2Camera(camera.node, kernel=kernel), pytest.raises(SourceError, match="another program holds the camera"):
        V4L2Camera(camera.node, kernel=kernel)
    with V4L2Camera(camera.node, kernel=kernel) as again:
        assert again.size == SMALL


def test_a_look_says_what_would_be_asked_for_and_turns_nothing_on() -> None:
    camera = yuyv()
    kernel = FakeKernel(camera)
    mode = look(camera.node, kernel=kernel)
    assert (mode.format, mode.size) == (YUYV, SMALL)
    assert not camera.streaming
    assert kernel.descriptors == 0


def test_a_look_at_what_is_no_camera_says_so() -> None:
    with pytest.raises(SourceError, match="/dev/video0"):
        look("/dev/video0", kernel=FakeKernel())
