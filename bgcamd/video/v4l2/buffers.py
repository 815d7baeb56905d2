"""A camera's buffers: whose memory the driver writes its pictures to, and whether a GPU can read it by itself.

One class a kind of memory, one contract: ``start`` gets the buffers and streams, ``dequeue`` says which one is full,
``lend`` hands out its planes, ``queue`` gives it back, ``close`` ends it all. A buffer that is lent when ``close`` is
called stays registered until it comes back: a transfer under way is not cut off.
"""

from __future__ import annotations

import logging
import mmap
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from bgcamd.errors import DeviceError, SourceError
from bgcamd.frame import PixelFormat, Plane
from bgcamd.video.v4l2 import ioctls, layout
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import camera_error
from bgcamd.video.v4l2.kernel import Kernel
from bgcamd.video.v4l2.memory import Memory, Registrar, whole_pages

_BUFFERS = 4  # one being filled, one ready, one in hand, one to spare
_FEWEST = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stream:
    """A camera that is open, and what was agreed with its driver."""

    kernel: Kernel
    node: str
    fd: int
    pix: vd.PixFormat
    format: PixelFormat


class Buffers(ABC):
    """What every way has in common. One thread at a time.

    Attributes
    ----------
    memory: whose memory it is, in words, for ``status``.
    """

    memory: str
    _kind: int

    def __init__(self, stream: Stream, registrar: Registrar | None) -> None:
        self._stream, self._registrar = stream, registrar
        self._kernel, self._fd = stream.kernel, stream.fd
        self._memories: list[Memory] = []
        self._open = True

    def start(self) -> None:
        """Get the buffers, register them and stream. Raises SourceError and DeviceError; ``close`` even then."""
        try:
            count = ioctls.request_buffers(self._kernel, self._fd, _BUFFERS, self._kind)
            for index in range(count):
                self._memories.append(Memory(self._pages(index), self._stream.pix, self._stream.format))
        except OSError as error:
            raise camera_error(error, self._stream.node, "get buffers") from error
        if count < _FEWEST:
            raise SourceError(f"{self._stream.node} gives {count} buffers; {_FEWEST} are needed")
        if self._registrar is not None:
            for memory in self._memories:
                memory.register(self._registrar)
        try:
            for index in range(count):
                self._fill(index)
            ioctls.stream_on(self._kernel, self._fd, vd.CAPTURE)
        except OSError as error:
            raise camera_error(error, self._stream.node, "start streaming") from error

    def dequeue(self) -> vd.Buffer | None:
        """The oldest filled buffer, or None. Raises OSError."""
        return ioctls.dequeue_buffer(self._kernel, self._fd, self._kind)

    def lend(self, index: int) -> tuple[Plane, ...]:
        """The planes of a dequeued buffer, views of its memory, for MJPG all of it; to be given back by ``queue``."""
        self._memories[index].lent = True
        return self._memories[index].planes

    def queue(self, index: int) -> None:
        """Give a buffer back to the driver; once closed, to the system. Raises OSError."""
        self._memories[index].lent = False
        if self._open:
            self._fill(index)
        else:
            self._memories[index].close()

    def close(self) -> None:
        """Stop streaming and give all back; a second call does nothing."""
        if self._open:
            self._open = False
            self._quietly(lambda: ioctls.stream_off(self._kernel, self._fd, vd.CAPTURE))
            self._let_go()

    @abstractmethod
    def _pages(self, index: int) -> mmap.mmap:
        """The memory of a buffer, whole pages. Raises OSError, and SourceError where it is too small."""

    @abstractmethod
    def _fill(self, index: int) -> None:
        """Queue a buffer."""

    @abstractmethod
    def _let_go(self) -> None:
        """Give the driver its buffers back, and close our side of them."""

    def _give_back_buffers(self) -> None:
        self._quietly(lambda: ioctls.request_buffers(self._kernel, self._fd, 0, self._kind))

    def _close_memories(self) -> None:
        for memory in self._memories:
            memory.close()

    @staticmethod
    def _quietly(call: Callable[[], object]) -> None:
        """Tidy up a device that may be gone; the descriptor's closing does the rest."""
        with suppress(OSError):
            call()


class OurPages(Buffers):
    """USERPTR: the driver writes into memory of ours, which it pins. Many drivers can't: EINVAL."""

    memory = "our pages, registered (USERPTR)"
    _kind = vd.MEMORY_USERPTR

    def _pages(self, _index: int) -> mmap.mmap:
        pix = self._stream.pix
        size = max(pix.sizeimage, layout.bytes_needed(pix, self._stream.format))
        memory = mmap.mmap(-1, whole_pages(size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_DONTFORK)  # else a fork would move the pages from under driver and GPU
        return memory

    def _fill(self, index: int) -> None:
        memory = self._memories[index]
        ioctls.queue_memory(self._kernel, self._fd, index, memory.address, memory.length)

    def _let_go(self) -> None:
        self._give_back_buffers()  # first, so that the driver unpins the pages
        self._close_memories()


class DriversPages(Buffers):
    """MMAP: the driver's memory, mapped. A GPU can read what consists of pages, not what a device has in one piece."""

    _kind = vd.MEMORY_MMAP

    def __init__(self, stream: Stream, registrar: Registrar | None) -> None:
        super().__init__(stream, registrar)
        self.memory = "the driver's pages (MMAP)" if registrar is None else "the driver's pages, registered (MMAP)"

    def _pages(self, index: int) -> mmap.mmap:
        buffer = ioctls.query_buffer(self._kernel, self._fd, index)
        if buffer.length < layout.bytes_needed(self._stream.pix, self._stream.format):
            size = f"{self._stream.pix.width}x{self._stream.pix.height}"
            raise SourceError(f"{self._stream.node}: the driver's buffers are too small for {size}")
        return self._kernel.mmap(self._fd, whole_pages(buffer.length), buffer.m.offset)

    def _fill(self, index: int) -> None:
        ioctls.queue_buffer(self._kernel, self._fd, index)

    def _let_go(self) -> None:
        self._close_memories()  # first: older kernels take back only what is not mapped
        self._give_back_buffers()


def started(stream: Stream, registrar: Registrar | None) -> Buffers:
    """Return buffers that stream: the best kind that works, which without a registrar is MMAP.

    Raises SourceError where not even that works.
    """
    if stream.format is PixelFormat.MJPG:  # which the CPU decodes
        registrar = None
    better = [] if registrar is None else [OurPages(stream, registrar), DriversPages(stream, registrar)]
    for buffers in better:
        if _starts(buffers, stream.node):
            return buffers
        buffers.close()  # here, where no traceback holds a view of the memory any more
    plain = DriversPages(stream, None)
    try:
        plain.start()
    except SourceError:
        plain.close()
        raise
    return plain


def _starts(buffers: Buffers, node: str) -> bool:
    try:
        buffers.start()
    except (SourceError, DeviceError) as error:
        _log.debug("%s: not %s: %s", node, buffers.memory, error.message)
        return False
    return True
