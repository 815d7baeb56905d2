"""v4l2loopback's control node, since release 0.13: a virtual camera is made where there is none."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from contextlib import suppress
from ctypes import c_char, c_int32, c_uint32

from bgcamd.errors import SinkError
from bgcamd.video.v4l2.devices import find_loopback
from bgcamd.video.v4l2.kernel import LINUX, Kernel

CONTROL_NODE = "/dev/v4l2loopback"
CTL_ADD = 0x4C80
"""V4L2LOOPBACK_CTL_ADD of 0.13 and 0.14; 0.15 has another number and still takes this one."""
MOST_LABEL = 31
"""Bytes of a label; the 32nd is its end."""
_BUFFERS = 4
_FIRST = 10  # the lower numbers are left to cameras, of which many programs take the first


class Config(ctypes.Structure):
    """struct v4l2_loopback_config. 0 is the module's own default."""

    _fields_ = (
        ("output_nr", c_int32),
        ("capture_nr", c_int32),
        ("card_label", c_char * 32),
        ("min_width", c_uint32),
        ("max_width", c_uint32),
        ("min_height", c_uint32),
        ("max_height", c_uint32),
        ("max_buffers", c_int32),
        ("max_openers", c_int32),
        ("debug", c_int32),
        ("announce_all_caps", c_int32),  # 0 is exclusive_caps=1
    )


def find_or_make_loopback(label: str, kernel: Kernel = LINUX) -> str:
    """Return the node of the virtual camera with this label, which is made if the module lets us.

    Raises SinkError as ``find_loopback``.
    """
    try:
        return find_loopback(label, kernel)
    except SinkError:
        if not _made(label, kernel):
            raise
    node = find_loopback(label, kernel)
    _wait_for_udev(node, kernel)
    return node


def _made(label: str, kernel: Kernel) -> bool:
    """Whether a device was made; it was not where the module is old or not loaded, or the node is not ours to open."""
    number = next(n for n in itertools.count(_FIRST) if f"/dev/video{n}" not in kernel.video_nodes())
    wanted = Config(number, number, label.encode()[:MOST_LABEL], max_buffers=_BUFFERS)
    with suppress(OSError):
        fd = kernel.open(CONTROL_NODE, os.O_RDWR)
        try:
            kernel.ioctl(fd, CTL_ADD, wanted)
        finally:
            kernel.close(fd)
        return True
    return False


def _wait_for_udev(node: str, kernel: Kernel) -> None:
    """A new node belongs to root for a moment, until udev has given it to its group."""
    for _ in range(20):
        try:
            kernel.close(kernel.open(node, os.O_RDWR | os.O_NONBLOCK))
        except PermissionError:
            time.sleep(0.05)
        else:
            return
