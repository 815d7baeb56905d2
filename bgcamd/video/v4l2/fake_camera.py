"""A camera for the fake kernel, after uvcvideo and videobuf2."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.fake_device import FakeDevice
from bgcamd.video.v4l2.kernel import Argument

Offer = Mapping[PixelFormat, Mapping[Size, Sequence[float]]]
"""What a camera can do: formats, their sizes, the frames per second of each."""

_STEP = 1 << 24  # from one buffer's offset for mmap to the next
_BITS = {PixelFormat.YUYV: 16, PixelFormat.NV12: 12, PixelFormat.MJPG: 16}  # a pixel's, in sizeimage
_T = TypeVar("_T")


class FakeCamera(FakeDevice):
    """A webcam. Attributes may be changed at any time, to make it busy or wrong.

    Parameters
    ----------
    offer: what it can do, in the order it lists it.
    node, name: "/dev/videoN" and the card's name.
    padding: bytes added to each line of uncompressed formats.
    pix: fields of v4l2_pix_format to answer with, such as ``quantization``.
    caps: what this node can do; the whole device can always capture.
    denied: open answers EACCES.
    busy: another program streams: S_FMT and REQBUFS answer EBUSY.
    """

    driver = "uvcvideo"

    def __init__(
        self,
        offer: Offer,
        *,
        node: str = "/dev/video0",
        name: str = "Fake Camera",
        bus: str = "usb-fake-1",
        padding: int = 0,
        pix: Mapping[str, int] | None = None,
        caps: int = vd.CAP_VIDEO_CAPTURE | vd.CAP_STREAMING,
        denied: bool = False,
        busy: bool = False,
    ) -> None:
        self.offer, self.node, self.name, self.bus = offer, node, name, bus
        self.padding, self.caps = padding, caps
        self.pix = {"colorspace": vd.COLORSPACE_SRGB, "priv": vd.PIX_FMT_PRIV_MAGIC, **(pix or {})}
        self.denied, self.busy, self.gone, self.streaming = denied, busy, False, False
        self.refused: dict[int, int] = {}
        """Requests that fail, with the errno of each: ``{VIDIOC_STREAMON: errno.ENOSPC}``."""
        self.format, self.interval = vd.PixFormat(), vd.Fract(1, 30)
        self.mappings: list[mmap.mmap] = []
        """Every buffer's memory that was ever asked for; closed means unmapped."""
        self._lock = threading.Lock()
        self._fds: set[int] = set()
        self._memory: list[mmap.mmap] = []
        self._buffers: list[vd.Buffer] = []
        self._queued: list[int] = []
        self._done: list[int] = []
        self._sequence = 0

    @property
    def queued(self) -> int:
        """How many buffers the driver has to fill."""
        return len(self._queued)

    def feed(
        self,
        data: bytes,
        *,
        error: bool = False,
        timestamp_ns: int | None = None,
        clock: int = vd.BUF_FLAG_TIMESTAMP_MONOTONIC,
    ) -> bool:
        """Fill the next buffer, as the hardware would; False, and the frame is lost, when there is none.

        timestamp_ns, clock: when it was taken, by which clock (V4L2_BUF_FLAG_TIMESTAMP_…); now if not given.
        """
        with self._lock:
            sequence, self._sequence = self._sequence, self._sequence + 1
            if not self.streaming or not self._queued:
                return False
            index = self._queued.pop(0)
            self._memory[index][: len(data)] = data
            stamp = time.monotonic_ns() if timestamp_ns is None else timestamp_ns
            buffer = self._buffers[index]
            buffer.timestamp = vd.Timeval(stamp // 1_000_000_000, stamp % 1_000_000_000 // 1000)
            buffer.bytesused, buffer.sequence = len(data), sequence
            buffer.flags = clock | vd.BUF_FLAG_DONE | (vd.BUF_FLAG_ERROR if error else 0)
            self._done.append(index)
            self._wake()
            return True

    def unplug(self) -> None:
        """Pull the plug: all who hold it get POLLERR and ENODEV."""
        with self._lock:
            self.gone = True
            self._wake()

    def open(self, fd: int) -> None:
        if self.denied:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        self._fds.add(fd)

    def close(self, fd: int) -> None:
        with self._lock:
            self._fds.discard(fd)
            if not self._fds:
                self._stop()
                self._memory, self._buffers = [], []

    def mmap(self, length: int, offset: int) -> mmap.mmap:
        if length != _at(self._buffers, offset // _STEP).length:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.mappings.append(self._memory[offset // _STEP])
        return self.mappings[-1]

    def write(self, _fd: int, _data: bytes) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def ioctl(self, _fd: int, request: int, argument: Argument) -> None:
        with self._lock:
            number = self.refused.get(request, 0 if request in _ANSWERS else errno.ENOTTY)
            if number:
                raise OSError(number, os.strerror(number))
            _ANSWERS[request](self, argument)

    def _querycap(self, answer: vd.Capability) -> None:
        answer.driver, answer.card = self.driver.encode(), self.name.encode()
        answer.bus_info = self.bus.encode()
        answer.device_caps = self.caps
        answer.capabilities = self.caps | vd.CAP_VIDEO_CAPTURE | vd.CAP_DEVICE_CAPS

    def _enum_fmt(self, answer: vd.FmtDesc) -> None:
        answer.pixelformat = ioctls.fourcc(_at(list(self.offer), answer.index).value)

    def _enum_sizes(self, answer: vd.FrmSizeEnum) -> None:
        size = _at(list(self._sizes(answer.pixel_format)), answer.index)
        answer.type, answer.min_width, answer.max_width = vd.FRMSIZE_DISCRETE, *size

    def _enum_intervals(self, answer: vd.FrmIvalEnum) -> None:
        rates = self._sizes(answer.pixel_format).get(Size(answer.width, answer.height), ())
        answer.type, answer.min = vd.FRMIVAL_DISCRETE, _interval(_at(rates, answer.index))

    def _try_fmt(self, answer: vd.Format) -> None:
        """Answer the nearest of what there is, as a driver must."""
        pix = answer.fmt.pix
        format = next((f for f in self.offer if ioctls.fourcc(f.value) == pix.pixelformat), next(iter(self.offer)))  # noqa: A001
        size = min(self.offer[format], key=lambda size: abs(size.width - pix.width) + abs(size.height - pix.height))
        line = 0 if format is PixelFormat.MJPG else size.width * (2 if format is PixelFormat.YUYV else 1) + self.padding
        answer.fmt.pix = vd.PixFormat(
            width=size.width,
            height=size.height,
            pixelformat=ioctls.fourcc(format.value),
            field=vd.FIELD_NONE,
            bytesperline=line,
            sizeimage=(size.width + self.padding) * size.height * _BITS[format] // 8,
        )
        for name, value in self.pix.items():
            setattr(answer.fmt.pix, name, value)

    def _s_fmt(self, answer: vd.Format) -> None:
        if self.busy or self._buffers:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self._try_fmt(answer)
        self.format = vd.PixFormat.from_buffer_copy(answer.fmt.pix)

    def _g_fmt(self, answer: vd.Format) -> None:
        answer.fmt.pix = self.format

    def _g_parm(self, answer: vd.StreamParm) -> None:
        answer.parm.capture.capability = vd.CAP_TIMEPERFRAME
        answer.parm.capture.timeperframe = self.interval

    def _s_parm(self, answer: vd.StreamParm) -> None:
        wish = answer.parm.capture.timeperframe.rate
        rates = self._sizes(self.format.pixelformat).get(Size(self.format.width, self.format.height), ())
        _at(rates, 0)
        self.interval = _interval(min(rates, key=lambda rate: abs(rate - wish)))
        self._g_parm(answer)

    def _reqbufs(self, answer: vd.RequestBuffers) -> None:
        if self.busy or self.streaming:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        length = -(-self.format.sizeimage // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = [mmap.mmap(-1, length) for _ in range(answer.count)]
        self._buffers = [vd.Buffer(index=i, length=length, type=vd.CAPTURE, memory=1) for i in range(answer.count)]

    def _querybuf(self, answer: vd.Buffer) -> None:
        answer.length = _at(self._buffers, answer.index).length
        answer.m.offset = answer.index * _STEP

    def _qbuf(self, answer: vd.Buffer) -> None:
        _at(self._buffers, answer.index)
        if answer.index in self._queued + self._done:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._queued.append(answer.index)

    def _dqbuf(self, answer: vd.Buffer) -> None:
        if not self.streaming:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if not self._done:
            self._calm()
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        ctypes.pointer(answer)[0] = self._buffers[self._done.pop(0)]

    def _streamon(self, _kind: Argument) -> None:
        _at(self._buffers, 0)
        self.streaming, self._sequence = True, 0

    def _streamoff(self, _kind: Argument) -> None:
        self._stop()

    def _stop(self) -> None:
        self.streaming = False
        self._queued, self._done = [], []
        self._calm()

    def _sizes(self, number: int) -> Mapping[Size, Sequence[float]]:
        return next((sizes for format, sizes in self.offer.items() if ioctls.fourcc(format.value) == number), {})  # noqa: A001

    def _wake(self) -> None:
        for fd in self._fds:
            os.eventfd_write(fd, 1)

    def _calm(self) -> None:
        """Nothing to read any more; an unplugged camera stays awake."""
        for fd in () if self.gone else self._fds:
            os.eventfd_write(fd, 1)  # so that the read does not block
            os.eventfd_read(fd)


_ANSWERS: dict[int, Callable[[FakeCamera, Any], None]] = {
    vd.VIDIOC_QUERYCAP: FakeCamera._querycap,
    vd.VIDIOC_ENUM_FMT: FakeCamera._enum_fmt,
    vd.VIDIOC_ENUM_FRAMESIZES: FakeCamera._enum_sizes,
    vd.VIDIOC_ENUM_FRAMEINTERVALS: FakeCamera._enum_intervals,
    vd.VIDIOC_TRY_FMT: FakeCamera._try_fmt,
    vd.VIDIOC_S_FMT: FakeCamera._s_fmt,
    vd.VIDIOC_G_FMT: FakeCamera._g_fmt,
    vd.VIDIOC_G_PARM: FakeCamera._g_parm,
    vd.VIDIOC_S_PARM: FakeCamera._s_parm,
    vd.VIDIOC_REQBUFS: FakeCamera._reqbufs,
    vd.VIDIOC_QUERYBUF: FakeCamera._querybuf,
    vd.VIDIOC_QBUF: FakeCamera._qbuf,
    vd.VIDIOC_DQBUF: FakeCamera._dqbuf,
    vd.VIDIOC_STREAMON: FakeCamera._streamon,
    vd.VIDIOC_STREAMOFF: FakeCamera._streamoff,
}


def _at(items: Sequence[_T], index: int) -> _T:
    """An enumeration ends, and a wrong index is answered, with EINVAL."""
    if index >= len(items):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return items[index]


def _interval(rate: float) -> vd.Fract:
    exact = Fraction(rate).limit_denominator(1001)
    return vd.Fract(exact.denominator, exact.numerator)
