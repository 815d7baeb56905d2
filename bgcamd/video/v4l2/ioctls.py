"""The part of Linux's V4L2 interface that bgcamd speaks: one function an ioctl.

Every function raises OSError, as the system call does.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from ctypes import c_int32
from fractions import Fraction
from typing import TypeVar

from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.kernel import Kernel
from bgcamd.video.v4l2.videodev2 import (
    CAPTURE,
    MEMORY_MMAP,
    MEMORY_USERPTR,
    Buffer,
    Capability,
    Event,
    EventSubscription,
    FmtDesc,
    Format,
    Fract,
    FrmIvalEnum,
    FrmSizeEnum,
    Parm,
    PixFormat,
    RequestBuffers,
    StreamParm,
)


def fourcc(text: str) -> int:
    """The number of a four-letter format, "YUYV" or "YU12"."""
    return int.from_bytes(text.encode("ascii"), "little")


def fourcc_text(number: int) -> str:
    """The four letters of a format's number."""
    return number.to_bytes(4, "little").decode("latin-1")


def query_capability(kernel: Kernel, fd: int) -> Capability:
    """VIDIOC_QUERYCAP: what the device is and can do."""
    capability = Capability()
    kernel.ioctl(fd, vd.VIDIOC_QUERYCAP, capability)
    return capability


def enum_formats(kernel: Kernel, fd: int, kind: int) -> Iterator[int]:
    """VIDIOC_ENUM_FMT: the pixel formats of a CAPTURE or OUTPUT node."""
    for index in range(_MOST):
        answer = _next(kernel, fd, vd.VIDIOC_ENUM_FMT, FmtDesc(index=index, type=kind))
        if answer is None:
            return
        yield answer.pixelformat


def enum_sizes(kernel: Kernel, fd: int, pixelformat: int) -> Iterator[FrmSizeEnum]:
    """VIDIOC_ENUM_FRAMESIZES; nothing where the driver does not say."""
    for index in range(_MOST):
        answer = _next(kernel, fd, vd.VIDIOC_ENUM_FRAMESIZES, FrmSizeEnum(index=index, pixel_format=pixelformat))
        if answer is None:
            return
        yield answer
        if answer.type != vd.FRMSIZE_DISCRETE:
            return


def enum_intervals(kernel: Kernel, fd: int, pixelformat: int, width: int, height: int) -> Iterator[FrmIvalEnum]:
    """VIDIOC_ENUM_FRAMEINTERVALS; nothing where the driver does not say."""
    for index in range(_MOST):
        question = FrmIvalEnum(index=index, pixel_format=pixelformat, width=width, height=height)
        answer = _next(kernel, fd, vd.VIDIOC_ENUM_FRAMEINTERVALS, question)
        if answer is None:
            return
        yield answer
        if answer.type != vd.FRMIVAL_DISCRETE:
            return


def set_format(kernel: Kernel, fd: int, kind: int, pix: PixFormat, *, only_try: bool = False) -> PixFormat:
    """VIDIOC_S_FMT or VIDIOC_TRY_FMT; return what the driver made of it, which may be something else."""
    request = Format(type=kind)
    request.fmt.pix = pix
    kernel.ioctl(fd, vd.VIDIOC_TRY_FMT if only_try else vd.VIDIOC_S_FMT, request)
    return PixFormat.from_buffer_copy(request.fmt.pix)


def get_format(kernel: Kernel, fd: int, kind: int) -> PixFormat:
    """VIDIOC_G_FMT: the format that the device has now."""
    request = Format(type=kind)
    kernel.ioctl(fd, vd.VIDIOC_G_FMT, request)
    return PixFormat.from_buffer_copy(request.fmt.pix)


def set_rate(kernel: Kernel, fd: int, kind: int, rate: Fraction) -> Parm:
    """VIDIOC_S_PARM; return what the driver made of it."""
    request = StreamParm(type=kind)
    request.parm.capture.timeperframe = Fract(rate.denominator, rate.numerator)
    kernel.ioctl(fd, vd.VIDIOC_S_PARM, request)
    return Parm.from_buffer_copy(request.parm.capture)


def request_buffers(kernel: Kernel, fd: int, count: int, memory: int = MEMORY_MMAP) -> int:
    """VIDIOC_REQBUFS for capture; return how many there are. 0 gives all back. EINVAL: no such kind of memory here."""
    request = RequestBuffers(count=count, type=CAPTURE, memory=memory)
    kernel.ioctl(fd, vd.VIDIOC_REQBUFS, request)
    return int(request.count)


def query_buffer(kernel: Kernel, fd: int, index: int) -> Buffer:
    """VIDIOC_QUERYBUF: the length of one of the driver's buffers and its offset for mmap."""
    buffer = Buffer(index=index, type=CAPTURE, memory=MEMORY_MMAP)
    kernel.ioctl(fd, vd.VIDIOC_QUERYBUF, buffer)
    return buffer


def queue_buffer(kernel: Kernel, fd: int, index: int) -> None:
    """VIDIOC_QBUF: the driver may fill this one of its buffers."""
    kernel.ioctl(fd, vd.VIDIOC_QBUF, Buffer(index=index, type=CAPTURE, memory=MEMORY_MMAP))


def queue_memory(kernel: Kernel, fd: int, index: int, address: int, length: int) -> None:
    """VIDIOC_QBUF: the driver may fill our memory. Always the same for an index, else its pages are pinned anew."""
    buffer = Buffer(index=index, type=CAPTURE, memory=MEMORY_USERPTR, length=length)
    buffer.m.userptr = address
    kernel.ioctl(fd, vd.VIDIOC_QBUF, buffer)


def dequeue_buffer(kernel: Kernel, fd: int, memory: int = MEMORY_MMAP) -> Buffer | None:
    """VIDIOC_DQBUF on a non-blocking descriptor: the oldest filled buffer, or None."""
    buffer = Buffer(type=CAPTURE, memory=memory)
    try:
        kernel.ioctl(fd, vd.VIDIOC_DQBUF, buffer)
    except BlockingIOError:
        return None
    return buffer


def stream_on(kernel: Kernel, fd: int, kind: int) -> None:
    """VIDIOC_STREAMON."""
    kernel.ioctl(fd, vd.VIDIOC_STREAMON, c_int32(kind))


def stream_off(kernel: Kernel, fd: int, kind: int) -> None:
    """VIDIOC_STREAMOFF."""
    kernel.ioctl(fd, vd.VIDIOC_STREAMOFF, c_int32(kind))


def subscribe_client_usage(kernel: Kernel, fd: int) -> None:
    """VIDIOC_SUBSCRIBE_EVENT: v4l2loopback tells how many readers stream, now and at every change."""
    wanted = EventSubscription(type=vd.EVENT_CLIENT_USAGE, flags=vd.EVENT_SUB_FL_SEND_INITIAL)
    kernel.ioctl(fd, vd.VIDIOC_SUBSCRIBE_EVENT, wanted)


def dequeue_client_usage(kernel: Kernel, fd: int) -> int | None:
    """VIDIOC_DQEVENT on a non-blocking descriptor: how many readers stream as of the oldest event, or None."""
    event = Event()
    try:
        kernel.ioctl(fd, vd.VIDIOC_DQEVENT, event)
    except FileNotFoundError:  # the kernel's word for "no event"
        return None
    return int(event.u.count)


_MOST = 256  # answers asked for at most, should a driver never say that its list has ended
_S = TypeVar("_S", bound=ctypes.Structure)


def _next(kernel: Kernel, fd: int, request: int, question: _S) -> _S | None:
    """One step of an enumeration; None at its end, or where the driver doesn't know it."""
    try:
        kernel.ioctl(fd, request, question)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return None
        raise
    return question
