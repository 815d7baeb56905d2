"""The buffers of a fake camera, after videobuf2: who owns which one, and in whose memory it lies."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import time
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from bgcamd.video.v4l2 import videodev2 as vd

_STEP = 1 << 24  # from one buffer's offset for mmap to the next
_T = TypeVar("_T")


class UserMemory(NamedTuple):
    """Memory of the program's that the driver has pinned."""

    address: int
    length: int


class FakeBuffers:
    """Buffers in the driver's memory (MMAP), or in the program's (USERPTR), which is written to by address.

    Attributes
    ----------
    userptr: whether USERPTR is supported; else REQBUFS answers EINVAL.
    contiguous: as on vb2-dma-contig, the program's pages, which lie anywhere, are refused: QBUF answers EFAULT.
    mappings: every buffer's memory that was ever asked for; closed means unmapped.
    pinned: the program's memory that the driver holds now.
    pins: how often it has pinned some, which costs time: once a buffer, unless the address changes.
    queued: indices of the buffers that are to be filled.
    """

    def __init__(self, *, userptr: bool) -> None:
        self.userptr, self.contiguous = userptr, False
        self.mappings: list[mmap.mmap] = []
        self.pinned: dict[int, UserMemory] = {}
        self.pins = 0
        self.queued: list[int] = []
        self._kind, self._size = 0, 0
        self._memory: list[mmap.mmap] = []
        self._buffers: list[vd.Buffer] = []
        self._done: list[int] = []

    def __len__(self) -> int:
        return len(self._buffers)

    def request(self, answer: vd.RequestBuffers, size: int) -> None:
        """VIDIOC_REQBUFS: drop what there was, make what is asked for."""
        answer.capabilities = vd.BUF_CAP_SUPPORTS_MMAP | (vd.BUF_CAP_SUPPORTS_USERPTR if self.userptr else 0)
        if answer.memory not in (vd.MEMORY_MMAP, vd.MEMORY_USERPTR if self.userptr else None):
            raise failure(errno.EINVAL)
        self.drop()
        self._kind, self._size, count = answer.memory, size, answer.count
        if self._kind == vd.MEMORY_MMAP:
            self._memory = [mmap.mmap(-1, _pages(size) * mmap.PAGESIZE) for _ in range(count)]
        self._buffers = [vd.Buffer(index=i, length=size, type=vd.CAPTURE, memory=self._kind) for i in range(count)]

    def drop(self) -> None:
        """Forget them all: what is mapped lives on, what is pinned is let go of."""
        self.stop()
        self._memory, self._buffers = [], []
        self.pinned.clear()

    def query(self, answer: vd.Buffer) -> None:
        """VIDIOC_QUERYBUF."""
        answer.length = at(self._buffers, answer.index).length
        answer.m.offset = answer.index * _STEP

    def map(self, length: int, offset: int) -> mmap.mmap:
        """Answer mmap: a whole buffer, of MMAP only."""
        if _pages(length) != _pages(at(self._buffers, offset // _STEP).length):
            raise failure(errno.EINVAL)
        self.mappings.append(at(self._memory, offset // _STEP))
        return self.mappings[-1]

    def queue(self, asked: vd.Buffer) -> None:
        """VIDIOC_QBUF: as vb2_queue_or_prepare_buf checks it."""
        buffer = at(self._buffers, asked.index)
        if asked.memory != self._kind or asked.index in self.queued + self._done:
            raise failure(errno.EINVAL)
        if self._kind == vd.MEMORY_USERPTR:
            self._pin(asked.index, UserMemory(asked.m.userptr, asked.length))
            buffer.m.userptr, buffer.length = asked.m.userptr, asked.length
        self.queued.append(asked.index)

    def fill(self, data: bytes, sequence: int, flags: int, timestamp_ns: int | None) -> bool:
        """Write the next frame, as the hardware would; False when no buffer is queued."""
        if not self.queued:
            return False
        index = self.queued.pop(0)
        self._write(index, data)
        stamp = time.monotonic_ns() if timestamp_ns is None else timestamp_ns
        buffer = self._buffers[index]
        buffer.timestamp = vd.Timeval(stamp // 1_000_000_000, stamp % 1_000_000_000 // 1000)
        buffer.bytesused, buffer.sequence, buffer.flags = len(data), sequence, flags | vd.BUF_FLAG_DONE
        self._done.append(index)
        return True

    def dequeue(self, answer: vd.Buffer) -> bool:
        """VIDIOC_DQBUF; False when nothing is filled."""
        if self._done:
            ctypes.pointer(answer)[0] = self._buffers[self._done.pop(0)]
            return True
        return False

    def stop(self) -> None:
        """VIDIOC_STREAMOFF: all of them are the program's again."""
        self.queued, self._done = [], []

    def _pin(self, index: int, memory: UserMemory) -> None:
        if not memory.address or memory.length < self._size:
            raise failure(errno.EINVAL)
        if self.contiguous:
            raise failure(errno.EFAULT)
        if self.pinned.get(index) != memory:
            self.pinned[index] = memory
            self.pins += 1

    def _write(self, index: int, data: bytes) -> None:
        if self._kind == vd.MEMORY_USERPTR:
            ctypes.memmove(self.pinned[index].address, data, min(len(data), self.pinned[index].length))
        else:
            self._memory[index][: len(data)] = data


def failure(number: int) -> OSError:
    """What a system call raises."""
    return OSError(number, os.strerror(number))


def at(items: Sequence[_T], index: int) -> _T:
    """An enumeration ends, and a wrong index is answered, with EINVAL."""
    if index >= len(items):
        raise failure(errno.EINVAL)
    return items[index]


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE)
