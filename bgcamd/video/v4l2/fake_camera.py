"""A camera for the fake kernel, after uvcvideo and videobuf2."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.fake_buffers import FakeBuffers, at, failure
from bgcamd.video.v4l2.fake_device import FakeDevice
from bgcamd.video.v4l2.kernel import Argument

Offer = Mapping[PixelFormat, Mapping[Size, Sequence[float]]]
"""What a camera can do: formats, their sizes, the frames per second of each."""

_BITS = {PixelFormat.YUYV: 16, PixelFormat.NV12: 12, PixelFormat.MJPG: 16}  # a pixel's, in sizeimage


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
    userptr: whether it can write into the program's own memory, see ``buffers``.
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
        userptr: bool = False,
    ) -> None:
        self.offer, self.node, self.name, self.bus = offer, node, name, bus
        self.padding, self.caps = padding, caps
        self.pix = {"colorspace": vd.COLORSPACE_SRGB, "priv": vd.PIX_FMT_PRIV_MAGIC, **(pix or {})}
        self.denied, self.busy, self.gone, self.streaming = denied, busy, False, False
        self.refused: dict[int, int] = {}
        """Requests that fail, with the errno of each: ``{VIDIOC_STREAMON: errno.ENOSPC}``."""
        self.format, self.interval = vd.PixFormat(), vd.Fract(1, 30)
        self.buffers = FakeBuffers(userptr=userptr)
        self._lock = threading.Lock()
        self._fds: set[int] = set()
        self._sequence = 0

    @property
    def queued(self) -> int:
        """How many buffers the driver has to fill."""
        return len(self.buffers.queued)

    @property
    def mappings(self) -> list[mmap.mmap]:
        """Every buffer's memory that was ever mapped; closed means unmapped."""
        return self.buffers.mappings

    def feed(
        self,
        data: bytes,
        *,
        error: bool = False,
        timestamp_ns: int | None = None,
        clock: int = vd.BUF_FLAG_TIMESTAMP_MONOTONIC,
    ) -> bool:
        """Fill the next buffer, as the hardware would; False, and the frame is lost, when there is none, or no camera.

        timestamp_ns, clock: when it was taken, by which clock (V4L2_BUF_FLAG_TIMESTAMP_…); now if not given.
        """
        with self._lock:
            sequence, self._sequence = self._sequence, self._sequence + 1
            flags = clock | (vd.BUF_FLAG_ERROR if error else 0)
            if self.gone or not self.streaming or not self.buffers.fill(data, sequence, flags, timestamp_ns):
                return False
            self._wake()
            return True

    def unplug(self) -> None:
        """Pull the plug: all who hold it get POLLERR and ENODEV."""
        with self._lock:
            self.gone = True
            self._wake()

    def open(self, fd: int) -> None:
        if self.denied:
            raise failure(errno.EACCES)
        with self._lock:
            self._fds.add(fd)

    def close(self, fd: int) -> None:
        with self._lock:
            self._fds.discard(fd)
            if not self._fds:
                self._stop()
                self.buffers.drop()

    def mmap(self, length: int, offset: int) -> mmap.mmap:
        return self.buffers.map(length, offset)

    def write(self, _fd: int, _data: bytes) -> int:
        raise failure(errno.EINVAL)

    def ioctl(self, _fd: int, request: int, argument: Argument) -> None:
        with self._lock:
            number = self.refused.get(request, 0 if request in _ANSWERS else errno.ENOTTY)
            if number:
                raise failure(number)
            _ANSWERS[request](self, argument)

    def _querycap(self, answer: vd.Capability) -> None:
        answer.driver, answer.card = self.driver.encode(), self.name.encode()
        answer.bus_info = self.bus.encode()
        answer.device_caps = self.caps
        answer.capabilities = self.caps | vd.CAP_VIDEO_CAPTURE | vd.CAP_DEVICE_CAPS

    def _enum_fmt(self, answer: vd.FmtDesc) -> None:
        answer.pixelformat = ioctls.fourcc(at(list(self.offer), answer.index).value)

    def _enum_sizes(self, answer: vd.FrmSizeEnum) -> None:
        size = at(list(self._sizes(answer.pixel_format)), answer.index)
        answer.type, answer.min_width, answer.max_width = vd.FRMSIZE_DISCRETE, *size

    def _enum_intervals(self, answer: vd.FrmIvalEnum) -> None:
        rates = self._sizes(answer.pixel_format).get(Size(answer.width, answer.height), ())
        answer.type, answer.min = vd.FRMIVAL_DISCRETE, _interval(at(rates, answer.index))

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
        if self.busy or len(self.buffers):
            raise failure(errno.EBUSY)
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
        at(rates, 0)
        self.interval = _interval(min(rates, key=lambda rate: abs(rate - wish)))
        self._g_parm(answer)

    def _reqbufs(self, answer: vd.RequestBuffers) -> None:
        if self.busy or self.streaming:
            raise failure(errno.EBUSY)
        self.buffers.request(answer, self.format.sizeimage)

    def _querybuf(self, answer: vd.Buffer) -> None:
        self.buffers.query(answer)

    def _qbuf(self, answer: vd.Buffer) -> None:
        self.buffers.queue(answer)

    def _dqbuf(self, answer: vd.Buffer) -> None:
        if not self.streaming:
            raise failure(errno.EINVAL)
        if not self.buffers.dequeue(answer):
            self._calm()
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _streamon(self, _kind: Argument) -> None:
        if not len(self.buffers):
            raise failure(errno.EINVAL)
        self.streaming, self._sequence = True, 0

    def _streamoff(self, _kind: Argument) -> None:
        self._stop()

    def _stop(self) -> None:
        self.streaming = False
        self.buffers.stop()
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


def _interval(rate: float) -> vd.Fract:
    exact = Fraction(rate).limit_denominator(1001)
    return vd.Fract(exact.denominator, exact.numerator)
