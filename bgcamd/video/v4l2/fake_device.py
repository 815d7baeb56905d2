"""What a device of the fake kernel has to answer."""

from __future__ import annotations

import mmap
from typing import Protocol

from bgcamd.video.v4l2.kernel import Argument


class FakeDevice(Protocol):
    """What stands behind a node. Every method raises OSError as the real one's system call does.

    node, name: its path, and what sysfs calls it. gone: whether it was unplugged.
    """

    node: str
    name: str
    gone: bool

    def open(self, fd: int) -> None:
        """Take note of a new descriptor, an eventfd that the device makes readable when it has something."""

    def close(self, fd: int) -> None:
        """Forget a descriptor."""

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        """Answer one of the requests of ``videodev2``."""

    def mmap(self, length: int, offset: int) -> mmap.mmap:
        """Hand out a buffer's memory."""

    def write(self, fd: int, data: bytes) -> int:
        """Take a frame."""
