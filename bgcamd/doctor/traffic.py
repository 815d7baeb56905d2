"""Who writes to a virtual camera and how many show it, as far as can be told."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from bgcamd.doctor.holders import Holder, in_words
from bgcamd.doctor.machine import Machine
from bgcamd.video.v4l2.devices import Device
from bgcamd.video.v4l2.readers import StreamEvents

_BYSTANDERS = {
    *("pipewire", "wireplumber"),  # which open what they find, and write nothing
    "systemd",  # which keeps our device open over a restart
}


class Control(ctypes.Structure):
    """struct v4l2_control."""

    _fields_ = (("id", ctypes.c_uint32), ("value", ctypes.c_int32))


VIDIOC_G_CTRL = 3 << 30 | ctypes.sizeof(Control) << 16 | ord("V") << 8 | 27
KEEP_FORMAT, TIMEOUT = 0x0098_F000, 0x0098_F002
"""The module's own controls, after V4L2_CID_USER_BASE | 0xf000."""


class Writer(StrEnum):
    """Who writes, in words."""

    OURS = "bgcamd"
    LIKELY_OURS = "bgcamd, most likely"
    OTHER = "another program"
    NOBODY = "nobody"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Traffic:
    """What goes in and out. readers: how many apps stream; None where the module does not tell.

    suspects: programs other than bgcamd that have it open, so one of them may be the writer or a reader.
    """

    writer: Writer
    readers: int | None
    suspects: tuple[Holder, ...]

    def __str__(self) -> str:
        written = {Writer.UNKNOWN: "who writes to it can't be told"}.get(self.writer, f"{self.writer} writes to it")
        shown = {None: "", 0: ", no app shows it now"}.get(self.readers, ", an app shows it now")
        return written + shown + (f" (open in {in_words(self.suspects)})" if self.suspects else "")


def traffic(machine: Machine, device: Device) -> Traffic:
    """Look at a virtual camera that can be opened."""
    suspects = tuple(holder for holder in machine.holders.of(device.node) if not is_ours(machine, holder))
    return Traffic(_writer(machine, device), _readers(machine, device), suspects)


def writes(machine: Machine, device: Device) -> bool:
    """Whether the daemon says that it writes to this device."""
    return f"({device.node})" in machine.daemon.said("output")


def is_ours(machine: Machine, holder: Holder) -> bool:
    """Whether a program is bgcamd, or neither writes nor shows anything."""
    known = {str(machine.daemon.pid), machine.unit["MainPID"]}
    return holder.program == "bgcamd" or str(holder.pid) in known or holder.program in _BYSTANDERS


def _writer(machine: Machine, device: Device) -> Writer:
    """With exclusive_caps, what has a writer is a camera; without, or with keep_format, it always looks like one."""
    if writes(machine, device):
        return Writer.OURS
    if device.output:
        return Writer.UNKNOWN if device.capture else Writer.NOBODY
    if control(machine, device.node, KEEP_FORMAT):
        return Writer.UNKNOWN
    if machine.daemon.state in {"denied", "silent"}:
        return Writer.LIKELY_OURS if device.name == machine.label else Writer.UNKNOWN
    return Writer.OTHER


def _readers(machine: Machine, device: Device) -> int | None:
    """How many apps stream from it, by the module's own word; None where it has none."""
    with suppress(OSError):
        events = StreamEvents(device.node, machine.kernel)
        try:
            return int(events.present())
        finally:
            events.close()
    return None


def control(machine: Machine, node: str, number: int) -> int:
    """A control's value; 0 where the device has none such."""
    asked = Control(number)
    with suppress(OSError):
        fd = machine.kernel.open(node, os.O_RDWR | os.O_NONBLOCK)
        try:
            machine.kernel.ioctl(fd, VIDIOC_G_CTRL, asked)
            return int(asked.value)
        finally:
            machine.kernel.close(fd)
    return 0
