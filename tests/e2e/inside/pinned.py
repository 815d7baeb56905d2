"""Memory that the kernel pins and reads by itself, as it does for a GPU's driver: by io_uring, which needs no GPU.

What makes memory registrable for CUDA is that its pages can be pinned for long (pin_user_pages with FOLL_LONGTERM);
io_uring's registered buffers ask for the same. ``read`` goes through the pinned pages, not through our mapping of them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

import numpy as np
from numpy.typing import NDArray

from bgcamd.errors import DeviceError

SETUP, ENTER, REGISTER = 425, 426, 427  # system calls, the same on all machines
REGISTER_BUFFERS = 0
GETEVENTS = 1
WRITE_FIXED = 5
SQ_RING, CQ_RING, SQES = 0, 0x800_0000, 0x1000_0000  # offsets for mmap
SQE = "<BBHiQQIIQHHi16x"  # op, flags, ioprio, fd, offset, address, length, rw_flags, user_data, buffer, personality
SYSCALL = ctypes.CDLL(None, use_errno=True).syscall
SYSCALL.restype = ctypes.c_long


class IoUring:
    """A registrar; each piece of memory has a ring of its own. refuses: so many registrations fail at first."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.held: dict[int, Pinned] = {}

    def register(self, view: NDArray[np.uint8], /) -> Pinned:
        """Pin it."""
        if self.refuses > 0:
            self.refuses -= 1
            raise DeviceError("refused, for the test's sake")
        try:
            pinned = Pinned(self, view.ctypes.data, view.size)
        except OSError as error:
            raise DeviceError(f"the memory can't be pinned: {error}") from error
        self.held[view.ctypes.data] = pinned
        return pinned


class Pinned:
    """One pinned piece of memory."""

    def __init__(self, owner: IoUring, address: int, length: int) -> None:
        self._owner, self._address = owner, address
        parameters = ctypes.create_string_buffer(120)
        self._fd = _call(SETUP, 1, parameters)
        numbers = struct.unpack_from("<30I", parameters)
        # io_uring_params: 10 numbers, then where in the rings there lie sq head, tail, … array, … cq head, … cqes
        self._sq_tail, self._sq_array, self._cq_head, self._cqes = numbers[11], numbers[16], numbers[20], numbers[25]
        try:
            _call(REGISTER, self._fd, REGISTER_BUFFERS, struct.pack("<QQ", address, length), 1)
        except OSError:
            os.close(self._fd)
            raise
        self._sq, self._cq, self._sqes = (mmap.mmap(self._fd, 4096, offset=at) for at in (SQ_RING, CQ_RING, SQES))
        self._file = os.memfd_create("pinned")

    def read(self, length: int) -> bytes:
        """What the kernel finds in the pinned pages."""
        self._sqes[:64] = struct.pack(SQE, WRITE_FIXED, 0, 0, self._file, 0, self._address, length, 0, 0, 0, 0, 0)
        (tail,) = struct.unpack_from("<I", self._sq, self._sq_tail)
        struct.pack_into("<I", self._sq, self._sq_array, 0)
        struct.pack_into("<I", self._sq, self._sq_tail, tail + 1)
        _call(ENTER, self._fd, 1, 1, GETEVENTS, None, 0)
        (head,) = struct.unpack_from("<I", self._cq, self._cq_head)
        _, written, _ = struct.unpack_from("<QiI", self._cq, self._cqes + 16 * (head % 2))
        struct.pack_into("<I", self._cq, self._cq_head, head + 1)
        if written != length:
            raise OSError(f"the kernel read {written} of {length} bytes")
        return os.pread(self._file, length, 0)

    def close(self) -> None:
        """Unpin it."""
        if self._owner.held.pop(self._address, None) is not None:
            os.close(self._file)
            os.close(self._fd)


def _call(*arguments: object) -> int:
    answer = int(SYSCALL(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
