"""A camera program of its own, so that bgcamd is not measured with bgcamd's code: Linux's streaming I/O, bare."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import struct
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

CAPTURE, OUTPUT, MMAP = 1, 2, 1
G_FMT, S_FMT, REQBUFS, QUERYBUF, QBUF, DQBUF, STREAMON = (
    0xC0D05604, 0xC0D05605, 0xC0145608, 0xC0585609, 0xC058560F, 0xC0585611, 0x40045612,
)  # fmt: skip
PIX = "<I4xIIIIII176x"  # v4l2_format: type; width, height, fourcc, field, bytesperline, sizeimage
BUFFER = "<IIIII4x32xIIQI12x"  # v4l2_buffer: index, type, bytesused, flags, field; sequence, memory, offset, length
PROGRESSIVE = 1


def fourcc(text: str) -> int:
    """ "YUYV" as the kernel writes it."""
    return int.from_bytes(text.encode(), "little")


def frames(device: str, seconds: float, *, timeout: float = 5) -> Iterator[tuple[float, Plane]]:
    """Stream from the device; yield when each frame came (monotonic) and its luma, valid until the next one.

    Raises OSError as the kernel does, and TimeoutError when no frame came for ``timeout`` seconds.
    """
    fd = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        _, width, height, code, *_ = struct.unpack(PIX, ioctl(fd, G_FMT, struct.pack(PIX, CAPTURE, *[0] * 6)))
        count, *_ = struct.unpack("<5I", ioctl(fd, REQBUFS, struct.pack("<5I", 4, CAPTURE, MMAP, 0, 0)))
        memory = [_mapped(fd, index) for index in range(count)]
        for index in range(count):
            ioctl(fd, QBUF, _buffer(index))
        ioctl(fd, STREAMON, struct.pack("<i", CAPTURE))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([fd], [], [], timeout)[0]:
                raise TimeoutError(f"{device} sent nothing for {timeout} s")
            done = ioctl(fd, DQBUF, _buffer(0))
            index = struct.unpack(BUFFER, done)[0]
            yield time.monotonic(), luma(memory[index], width, height, code)
            ioctl(fd, QBUF, _buffer(index))
    finally:
        os.close(fd)


def luma(data: mmap.mmap, width: int, height: int, code: int) -> Plane:
    """The brightness of a packed frame: every byte of the first plane, or every second one of YUYV."""
    step = 2 if code == fourcc("YUYV") else 1
    return np.frombuffer(data, np.uint8, width * height * step).reshape(height, width * step)[:, ::step]


def open_webcam(device: str, width: int, height: int) -> int:
    """Open a loopback device as a YUYV webcam: each write() to it is a frame."""
    fd = os.open(device, os.O_RDWR)
    size = width * height * 2
    ioctl(fd, S_FMT, struct.pack(PIX, OUTPUT, width, height, fourcc("YUYV"), PROGRESSIVE, width * 2, size))
    return fd


def ioctl(fd: int, request: int, data: bytes) -> bytes:
    """One ioctl; returns what the kernel made of the structure."""
    return fcntl.ioctl(fd, request, data)


def _buffer(index: int) -> bytes:
    return struct.pack(BUFFER, index, CAPTURE, 0, 0, 0, 0, MMAP, 0, 0)


def _mapped(fd: int, index: int) -> mmap.mmap:
    *_, offset, length = struct.unpack(BUFFER, ioctl(fd, QUERYBUF, _buffer(index)))
    return mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)
