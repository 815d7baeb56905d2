"""The fake kernel answers as the real one does, where the code under test depends on it."""

from __future__ import annotations

import errno
import os
import select
from contextlib import AbstractContextManager

import numpy as np
import pytest

from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback

VGA = Size(640, 480)


def fails(number: int) -> AbstractContextManager[object]:
    return pytest.raises(OSError, match=rf"^\[Errno {number}\]")


def webcam() -> tuple[FakeCamera, FakeKernel, int]:
    camera = FakeCamera({PixelFormat.YUYV: {VGA: [30, 15], Size(320, 240): [30]}})
    kernel = FakeKernel(camera)
    return camera, kernel, kernel.open(camera.node, os.O_RDWR)


def test_a_driver_answers_a_format_it_has() -> None:
    _, kernel, fd = webcam()
    wish = vd.PixFormat(width=5000, height=5000, pixelformat=ioctls.fourcc("MJPG"))
    pix = ioctls.set_format(kernel, fd, vd.CAPTURE, wish, only_try=True)
    assert (pix.width, pix.height, ioctls.fourcc_text(pix.pixelformat)) == (640, 480, "YUYV")
    asked = vd.Format(type=vd.CAPTURE)
    kernel.ioctl(fd, vd.VIDIOC_G_FMT, asked)
    assert asked.fmt.pix.width == 0
    ioctls.set_format(kernel, fd, vd.CAPTURE, wish)
    kernel.ioctl(fd, vd.VIDIOC_G_FMT, asked)
    assert asked.fmt.pix.width == 640
    kernel.close(fd)


def test_the_wrong_order_of_requests_is_refused() -> None:
    _, kernel, fd = webcam()
    ioctls.set_format(kernel, fd, vd.CAPTURE, vd.PixFormat(width=640, height=480))
    with fails(errno.EINVAL):
        ioctls.stream_on(kernel, fd, vd.CAPTURE)
    assert ioctls.request_buffers(kernel, fd, 2) == 2
    with fails(errno.EINVAL):
        ioctls.dequeue_buffer(kernel, fd)
    with fails(errno.EINVAL):
        ioctls.queue_buffer(kernel, fd, 2)
    ioctls.queue_buffer(kernel, fd, 0)
    with fails(errno.EINVAL):
        ioctls.queue_buffer(kernel, fd, 0)
    ioctls.stream_on(kernel, fd, vd.CAPTURE)
    with fails(errno.EBUSY):
        ioctls.request_buffers(kernel, fd, 2)
    with fails(errno.EBUSY):
        ioctls.set_format(kernel, fd, vd.CAPTURE, vd.PixFormat(width=320, height=240))
    with fails(errno.EINVAL):
        kernel.mmap(fd, 1, 0)
    kernel.close(fd)


def test_poll_is_readable_only_while_a_frame_waits() -> None:
    camera, kernel, fd = webcam()
    ioctls.set_format(kernel, fd, vd.CAPTURE, vd.PixFormat(width=640, height=480))
    ioctls.request_buffers(kernel, fd, 2)
    for index in range(2):
        ioctls.queue_buffer(kernel, fd, index)
    assert not camera.feed(b"before streaming")
    ioctls.stream_on(kernel, fd, vd.CAPTURE)
    assert kernel.poll([fd], 0) == {}
    assert camera.feed(b"one")
    assert kernel.poll([fd], 0) == {fd: select.POLLIN}
    buffer = ioctls.dequeue_buffer(kernel, fd)
    assert buffer is not None
    assert (buffer.bytesused, buffer.sequence, buffer.flags & vd.BUF_FLAG_ERROR) == (3, 0, 0)
    assert ioctls.dequeue_buffer(kernel, fd) is None
    assert kernel.poll([fd], 0) == {}
    kernel.close(fd)


def test_an_unplugged_camera_is_in_error_and_its_node_is_gone() -> None:
    camera, kernel, fd = webcam()
    camera.unplug()
    assert kernel.poll([fd], 0)[fd] & (select.POLLERR | select.POLLHUP)
    with fails(errno.ENODEV):
        ioctls.query_capability(kernel, fd)
    with fails(errno.ENOENT):
        kernel.open(camera.node, os.O_RDWR)
    assert kernel.video_nodes() == {}
    kernel.close(fd)
    kernel.plug(FakeCamera({PixelFormat.YUYV: {VGA: [30]}}, name="again"))
    assert kernel.video_nodes() == {"/dev/video0": "again"}


def test_what_a_device_does_not_know_is_enotty() -> None:
    _, kernel, fd = webcam()
    with fails(errno.ENOTTY):
        kernel.ioctl(fd, 0x5678, vd.Capability())
    with fails(errno.EINVAL):
        kernel.write(fd, np.zeros(1, np.uint8))
    kernel.close(fd)


def test_a_loopback_with_exclusive_caps_turns_from_output_to_capture() -> None:
    device = FakeLoopback()
    kernel = FakeKernel(device)
    fd, reader = kernel.open(device.node, os.O_RDWR), kernel.open(device.node, os.O_RDWR)
    with fails(errno.EBUSY):
        kernel.write(fd, np.zeros(10, np.uint8))
    pix = vd.PixFormat(width=16, height=16, pixelformat=ioctls.fourcc("YU12"))
    ioctls.set_format(kernel, fd, vd.OUTPUT, pix)
    assert ioctls.query_capability(kernel, reader).own & vd.CAP_VIDEO_OUTPUT
    assert kernel.write(fd, np.zeros(5000, np.uint8)) == 4096  # clipped to the buffer's whole pages
    own = ioctls.query_capability(kernel, reader).own
    assert own & vd.CAP_VIDEO_CAPTURE
    assert not own & vd.CAP_VIDEO_OUTPUT
    with fails(errno.EINVAL):
        ioctls.set_format(kernel, reader, vd.OUTPUT, pix)
    kernel.close(fd)
    assert ioctls.query_capability(kernel, reader).own & vd.CAP_VIDEO_OUTPUT
    with fails(errno.EINVAL):
        kernel.mmap(reader, 4096, 0)
    with fails(errno.ENOTTY):
        ioctls.request_buffers(kernel, reader, 2)
    kernel.close(reader)


def test_without_exclusive_caps_it_is_both_and_a_second_writer_is_busy() -> None:
    device = FakeLoopback(exclusive_caps=False, held=True)
    kernel = FakeKernel(device)
    fd = kernel.open(device.node, os.O_RDWR)
    both = vd.CAP_VIDEO_CAPTURE | vd.CAP_VIDEO_OUTPUT
    assert ioctls.query_capability(kernel, fd).own & both == both
    with fails(errno.EBUSY):
        ioctls.set_format(kernel, fd, vd.OUTPUT, vd.PixFormat(width=16, height=16, pixelformat=ioctls.fourcc("YU12")))
    kernel.close(fd)
