"""A kernel for machines without one that fits: cameras and virtual cameras that answer the real requests.

The code under test is the real code down to the structures of its ioctls. Each fake device says which kernel or
module it takes after. A descriptor is a real one (an eventfd), so that ``poll`` waits on real and fake ones alike.

    camera = FakeCamera({PixelFormat.YUYV: {Size(640, 480): [30]}})
    kernel = FakeKernel(camera, FakeLoopback())
    with V4L2Camera(camera.node, kernel=kernel) as source:
        camera.feed(bytes(640 * 480 * 2))
        frame = source.read(1)
"""

from __future__ import annotations

import errno
import mmap
import os
import select
from collections.abc import Sequence

from bgcamd.frame import Plane
from bgcamd.video.v4l2.fake_camera import FakeCamera
from bgcamd.video.v4l2.fake_device import FakeDevice
from bgcamd.video.v4l2.fake_loopback import FakeLoopback
from bgcamd.video.v4l2.kernel import Argument, Kernel

__all__ = ["FakeCamera", "FakeDevice", "FakeKernel", "FakeLoopback"]


class FakeKernel(Kernel):
    """A ``Kernel`` whose devices are the given ones; more can be plugged in and out."""

    def __init__(self, *devices: FakeDevice) -> None:
        self.devices = {device.node: device for device in devices}
        self._open: dict[int, FakeDevice] = {}

    @property
    def descriptors(self) -> int:
        """How many descriptors are open, so that a test can see that all were given back."""
        return len(self._open)

    def plug(self, device: FakeDevice) -> None:
        """Add a device, in the place of one with the same node."""
        self.devices[device.node] = device

    def open(self, node: str, flags: int) -> int:
        device = self.devices.get(node)
        if device is None or device.gone:
            raise _error(errno.ENOENT)
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            device.open(fd)
        except OSError:
            os.close(fd)
            raise
        self._open[fd] = device
        return fd

    def close(self, fd: int) -> None:
        self._device(fd).close(fd)
        del self._open[fd]
        os.close(fd)

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        self._present(fd).ioctl(fd, request, argument)

    def mmap(self, fd: int, length: int, offset: int) -> mmap.mmap:
        return self._present(fd).mmap(length, offset)

    def poll(self, fds: Sequence[int], timeout_s: float) -> dict[int, int]:
        """Wait on real and fake descriptors; an unplugged device is in error, as ``v4l2_poll`` has it."""
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        events = dict(poll.poll(timeout_s * 1000))
        lost = [fd for fd in fds if fd in self._open and self._open[fd].gone]
        return events | dict.fromkeys(lost, select.POLLERR | select.POLLHUP)

    def write(self, fd: int, data: Plane) -> int:
        return self._present(fd).write(fd, data.tobytes())

    def video_nodes(self) -> dict[str, str]:
        there = [each for each in self.devices.values() if not each.gone and each.node.startswith("/dev/video")]
        return {
            device.node: device.name for device in sorted(there, key=lambda device: (len(device.node), device.node))
        }

    def _device(self, fd: int) -> FakeDevice:
        if fd not in self._open:
            raise _error(errno.EBADF)
        return self._open[fd]

    def _present(self, fd: int) -> FakeDevice:
        device = self._device(fd)
        if device.gone:
            raise _error(errno.ENODEV)
        return device


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
