"""The few system calls behind the video devices, so that a fake kernel can answer them in tests."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from bgcamd.frame import Plane

Argument: TypeAlias = "ctypes.Structure | ctypes._SimpleCData[Any]"
"""What an ioctl reads and writes: a structure, or one number."""


class Kernel(Protocol):
    """What the video room asks of Linux. Every method raises OSError as the system call does."""

    def open(self, node: str, flags: int) -> int:
        """Open a device and return its descriptor, a real one that ``select.poll`` takes."""

    def close(self, fd: int) -> None:
        """Close a descriptor."""

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        """Ask a device; the answer is written into ``argument``."""

    def mmap(self, fd: int, length: int, offset: int) -> mmap.mmap:
        """Map a device's buffer, shared, for reading and writing."""

    def poll(self, fds: Sequence[int], timeout_s: float) -> dict[int, int]:
        """Wait until one is readable or in error; return the POLL flags of those that are."""

    def write(self, fd: int, data: Plane) -> int:
        """Write an array (n,) without a gap, once; return how many bytes were taken. Lets other threads run."""

    def video_nodes(self) -> dict[str, str]:
        """Return the names, as sysfs has them, of all /dev/videoN, in the order of N."""


@dataclass(frozen=True)
class OS(Kernel):
    """The kernel that runs this machine."""

    sysfs: Path = Path("/sys/class/video4linux")
    dev: Path = Path("/dev")

    def open(self, node: str, flags: int) -> int:
        return os.open(node, flags | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        os.close(fd)

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        while True:
            try:
                fcntl.ioctl(fd, request, argument, True)
                return
            except InterruptedError:  # unlike its other calls, Python does not repeat this one
                continue

    def mmap(self, fd: int, length: int, offset: int) -> mmap.mmap:
        return mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)

    def poll(self, fds: Sequence[int], timeout_s: float) -> dict[int, int]:
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        return dict(poll.poll(timeout_s * 1000))

    def write(self, fd: int, data: Plane) -> int:
        return os.write(fd, data.data)

    def video_nodes(self) -> dict[str, str]:
        if not self.sysfs.is_dir():
            return {}
        numbers = sorted(int(entry.name[5:]) for entry in self.sysfs.glob("video[0-9]*"))
        return {str(self.dev / f"video{n}"): _line(self.sysfs / f"video{n}" / "name") for n in numbers}


LINUX = OS()
"""The one to use; it holds no state."""


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:  # unplugged between the listing and the reading
        return ""
