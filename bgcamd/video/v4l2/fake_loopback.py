"""A virtual camera for the fake kernel, after v4l2loopback 0.15 as a program that writes sees it."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from typing import Any

from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import LABEL
from bgcamd.video.v4l2.fake_device import FakeDevice
from bgcamd.video.v4l2.kernel import Argument


class FakeLoopback(FakeDevice):
    """A v4l2loopback device that keeps what is written. Attributes may be changed at any time.

    Parameters
    ----------
    node, name: "/dev/videoN" and the label.
    exclusive_caps: says OUTPUT until somebody streams, then CAPTURE.
    fixed: a format that it silently answers whatever is asked, as with keep_format or while a reader has it.
    held: another program writes: S_FMT answers EBUSY, or EINVAL with exclusive_caps, as it is no output then.
    denied: open answers EACCES.
    events: tells those who subscribed how many readers stream, as 0.13 and later do.
    """

    driver = "v4l2 loopback"

    def __init__(
        self,
        *,
        node: str = "/dev/video10",
        name: str = LABEL,
        exclusive_caps: bool = True,
        fixed: vd.PixFormat | None = None,
        held: bool = False,
        denied: bool = False,
        events: bool = True,
    ) -> None:
        self.node, self.name, self.exclusive_caps, self.fixed = node, name, exclusive_caps, fixed
        self.held, self.denied, self.gone = held, denied, False
        self.takes: int | None = None
        """How many bytes the next writes take at most."""
        self.format, self.interval = vd.PixFormat(), vd.Fract(1, 30)
        self.written: list[bytes] = []
        self.requests: list[int] = []
        """Every request that came, in order."""
        self._owner: int | None = None
        self._streaming = False
        self._events, self._readers = events, 0
        self._told: dict[int, list[int]] = {}  # by subscriber, the counts not yet fetched

    @property
    def streaming(self) -> bool:
        """Whether somebody writes, so that apps see a camera."""
        return self._streaming or self.held

    def read_by(self, count: int) -> None:
        """So many readers stream from now on."""
        self._readers = count
        for untold in self._told.values():
            untold.append(count)

    def unplug(self) -> None:
        """Remove the device."""
        self.gone = True

    def open(self, _fd: int) -> None:
        if self.denied:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    def close(self, fd: int) -> None:
        self._told.pop(fd, None)
        if fd == self._owner:
            self._owner, self._streaming = None, False

    def mmap(self, _length: int, _offset: int) -> mmap.mmap:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def write(self, fd: int, data: bytes) -> int:
        """Take a frame, clipped to the buffer's size; the first one starts the stream."""
        if fd != self._owner:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self._streaming = True
        room = -(-self.format.sizeimage // mmap.PAGESIZE) * mmap.PAGESIZE
        taken = data[: room if self.takes is None else self.takes]
        self.written.append(taken)
        return len(taken)

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        self.requests.append(request)
        if request not in _ANSWERS:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        _ANSWERS[request](self, fd, argument)

    def _querycap(self, _fd: int, answer: vd.Capability) -> None:
        answer.driver, answer.card = self.driver.encode(), self.name.encode()[:31]
        answer.bus_info = f"platform:v4l2loopback-{int(self.node[10:]):03d}".encode()
        both = vd.CAP_VIDEO_CAPTURE | vd.CAP_VIDEO_OUTPUT
        one = vd.CAP_VIDEO_CAPTURE if self.streaming else vd.CAP_VIDEO_OUTPUT
        answer.device_caps = (one if self.exclusive_caps else both) | vd.CAP_READWRITE | vd.CAP_STREAMING
        answer.capabilities = answer.device_caps | vd.CAP_DEVICE_CAPS

    def _s_fmt(self, fd: int, answer: vd.Format) -> None:
        self._must_be_output(fd, answer.type)
        if self.streaming or self._owner not in (None, fd):  # also the writer itself, until it stops
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        answer.fmt.pix = self.fixed or _filled(answer.fmt.pix)
        self.format, self._owner = vd.PixFormat.from_buffer_copy(answer.fmt.pix), fd

    def _g_fmt(self, fd: int, answer: vd.Format) -> None:
        self._must_be_output(fd, answer.type)
        answer.fmt.pix = self.format

    def _s_parm(self, fd: int, answer: vd.StreamParm) -> None:
        self._must_be_output(fd, answer.type)
        self.interval = vd.Fract.from_buffer_copy(answer.parm.capture.timeperframe)

    def _streamoff(self, fd: int, _kind: Argument) -> None:
        if fd == self._owner:
            self._streaming = False

    def _subscribe(self, fd: int, wanted: vd.EventSubscription) -> None:
        if not self._events or wanted.type != vd.EVENT_CLIENT_USAGE:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._told[fd] = [self._readers] if wanted.flags & vd.EVENT_SUB_FL_SEND_INITIAL else []

    def _event(self, fd: int, answer: vd.Event) -> None:
        if not self._told.get(fd):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        answer.type, answer.u.count = vd.EVENT_CLIENT_USAGE, self._told[fd].pop(0)

    def _must_be_output(self, fd: int, kind: int) -> None:
        """Do as check_buffer_capability does: with exclusive_caps only the writer still sees an output."""
        hidden = self.exclusive_caps and self.streaming and fd != self._owner
        if kind != vd.OUTPUT or hidden:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


_ANSWERS: dict[int, Callable[[FakeLoopback, int, Any], None]] = {
    vd.VIDIOC_QUERYCAP: FakeLoopback._querycap,
    vd.VIDIOC_G_FMT: FakeLoopback._g_fmt,
    vd.VIDIOC_S_FMT: FakeLoopback._s_fmt,
    vd.VIDIOC_S_PARM: FakeLoopback._s_parm,
    vd.VIDIOC_STREAMOFF: FakeLoopback._streamoff,
    vd.VIDIOC_SUBSCRIBE_EVENT: FakeLoopback._subscribe,
    vd.VIDIOC_DQEVENT: FakeLoopback._event,
}
_BITS = {"YU12": (8, 12), "NV12": (8, 12), "YUYV": (16, 16)}  # of a line's pixel, of all


def _filled(pix: vd.PixFormat) -> vd.PixFormat:
    """What v4l2_fill_pixfmt makes of a request."""
    answer = vd.PixFormat.from_buffer_copy(pix)
    line, all_ = _BITS[ioctls.fourcc_text(pix.pixelformat)]
    answer.bytesperline = pix.width * line // 8
    answer.sizeimage = pix.width * pix.height * all_ // 8
    return answer
