"""v4l2loopback's control node for the fake kernel: makes virtual cameras."""

from __future__ import annotations

import errno
import mmap
import os
from typing import Any

from bgcamd.video.v4l2.fake_device import FakeDevice
from bgcamd.video.v4l2.fake_kernel import FakeKernel
from bgcamd.video.v4l2.fake_loopback import FakeLoopback
from bgcamd.video.v4l2.kernel import Argument
from bgcamd.video.v4l2.loopback_control import CONTROL_NODE, CTL_ADD, Config


class FakeControl(FakeDevice):
    """/dev/v4l2loopback of 0.13 and later; plugs what it makes into ``kernel``.

    denied: open answers EACCES, as to everybody but root.
    """

    node, name, gone = CONTROL_NODE, "v4l2loopback", False

    def __init__(self, kernel: FakeKernel, *, denied: bool = False) -> None:
        self._kernel, self._denied = kernel, denied

    def open(self, _fd: int) -> None:
        if self._denied:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    def close(self, _fd: int) -> None:
        pass

    def ioctl(self, _fd: int, request: int, argument: Argument) -> None:
        if request != CTL_ADD:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        self._add(argument)

    def _add(self, wanted: Any) -> None:
        if not isinstance(wanted, Config) or wanted.output_nr != wanted.capture_nr:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        node = f"/dev/video{wanted.output_nr}"
        if node in self._kernel.video_nodes():
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        label, exclusive = wanted.card_label.decode(), not wanted.announce_all_caps
        self._kernel.plug(FakeLoopback(node=node, name=label, exclusive_caps=exclusive))

    def mmap(self, _length: int, _offset: int) -> mmap.mmap:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def write(self, _fd: int, _data: bytes) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
