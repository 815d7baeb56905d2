"""The virtual camera: its device, who writes it, how many show it, and what is set otherwise than it should be."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.holders import Holder, in_words
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.module import is_loaded, reload_module
from bgcamd.video.v4l2.devices import Device
from bgcamd.video.v4l2.loopback_control import CONTROL_NODE
from bgcamd.video.v4l2.readers import StreamEvents

_LISTENERS = {"pipewire", "wireplumber"}  # which open what they find, and write nothing
_FEWEST_OPENERS = 3  # bgcamd, who watches, and one that looks


class Control(ctypes.Structure):
    """struct v4l2_control."""

    _fields_ = (("id", ctypes.c_uint32), ("value", ctypes.c_int32))


VIDIOC_G_CTRL = 3 << 30 | ctypes.sizeof(Control) << 16 | ord("V") << 8 | 27
KEEP_FORMAT, TIMEOUT = 0x0098_F000, 0x0098_F002
"""The module's own controls, after V4L2_CID_USER_BASE | 0xf000."""


def check_virtual(machine: Machine) -> Iterator[Finding]:
    """Look at the device. Where the module is missing, that has been said."""
    device = machine.virtual
    if device is None:
        if is_loaded(machine):
            yield _absent(machine)
        return
    if device.error is not None:
        if not isinstance(device.error, PermissionError):  # which is for the check of who may use what
            yield broken(check="virtual.device", what=f"{device} can't be opened: {device.error.strerror}")
        return
    facts = {"node": device.node, "label": device.name, "bus": device.bus}
    yield ok(check="virtual.device", what=f"{device.node} is {device.name}", facts=facts)
    if device.capture and device.output:
        yield broken(
            check="virtual.exclusive_caps",
            what=f"{device.node} says that it is a camera and an output at once (exclusive_caps is 0)",
            means="Chrome, Zoom and others list only what is a camera and nothing else.",
            cure=reload_module(machine),
        )
    yield from _traffic(machine, device)
    yield from _settings(machine, device)


def writes(machine: Machine, device: Device) -> bool:
    """Whether the daemon says that it writes to this device."""
    return f"({device.node})" in machine.daemon.said("output")


def _absent(machine: Machine) -> Finding:
    others = [str(device) for device in machine.devices if device.loopback]
    there = f"; there is {', '.join(others)}" if others else ""
    what = f'no device is called "{machine.label}"{there}'
    if machine.exists(CONTROL_NODE):
        owner = machine.owner(CONTROL_NODE)[1]
        if machine.may(CONTROL_NODE) or owner == "bgcamd":
            return note(check="virtual.device", what=what, means="bgcamd makes it when it starts.", cure=start(machine))
        means = f"bgcamd could make it, but {CONTROL_NODE} is for the group {owner} only, so the module has to."
        return broken(check="virtual.device", what=what, means=means, cure=reload_module(machine))
    means = "The module was loaded for other programs, or without a name for its device."
    return broken(check="virtual.device", what=what, means=means, cure=reload_module(machine))


def start(machine: Machine) -> str:
    """How the daemon is started here; "" where it runs."""
    if machine.daemon.state in {"answers", "silent"}:
        return ""
    if machine.unit.installed:
        return f"sudo systemctl start {machine.unit.name.removesuffix('.service')}"
    return "bgcamd" if machine.instance is None else f"bgcamd --instance {machine.instance}"


def _traffic(machine: Machine, device: Device) -> Iterator[Finding]:
    """Who writes, and how many read."""
    those = machine.holders.of(device.node)
    others = [holder for holder in those if not _is_ours(machine, holder.pid, holder.program)]
    readers = _readers(machine, device)
    facts = {"holders": [holder._asdict() for holder in those], "streaming_readers": readers}
    watched = "" if readers is None else "; an app shows it now" if readers else "; no app shows it now"
    if writes(machine, device):
        seen = f" (open in {in_words(others)})" if others else ""
        yield ok(check="virtual.writer", what=f"bgcamd writes to it{watched}{seen}", facts=facts)
    elif device.output:
        held = f"; open in {in_words(those)}" if those else ""
        unsure = "whether anybody writes to it can't be told" if device.capture else "nobody writes to it"
        yield ok(check="virtual.writer", what=f"{unsure}{watched}{held}", facts=facts)
    elif machine.daemon.state in {"denied", "silent"}:
        yield ok(check="virtual.writer", what=f"bgcamd, most likely, writes to it{watched}", facts=facts)
    elif not _control(machine, device.node, KEEP_FORMAT):  # with which it looks written to for ever
        yield _stranger(device, others, facts)


def _stranger(device: Device, others: Sequence[Holder], facts: Mapping[str, object]) -> Finding:
    suspects = [holder for holder in others if holder.program not in _LISTENERS]
    return broken(
        check="virtual.writer",
        what=f"another program writes to {device.node}: {in_words(suspects) if suspects else 'one of another user'}",
        means="Only one can; bgcamd takes over as soon as that one ends.",
        cure=f"kill {suspects[0].pid}" if len(suspects) == 1 else f"sudo fuser -v {device.node}",
        facts=facts,
    )


def _is_ours(machine: Machine, pid: int, program: str) -> bool:
    return program == "bgcamd" or pid == machine.daemon.pid or str(pid) == machine.unit["MainPID"]


def _readers(machine: Machine, device: Device) -> int | None:
    """How many apps stream from it, by the module's own word; None where it has none."""
    with suppress(OSError):
        events = StreamEvents(device.node, machine.kernel)
        try:
            return int(events.present())
        finally:
            events.close()
    return None


def _settings(machine: Machine, device: Device) -> Iterator[Finding]:
    """What somebody has set at the device."""
    if _control(machine, device.node, KEEP_FORMAT):
        yield note(
            check="virtual.keep_format",
            what=f"{device.node} keeps its format (keep_format is 1)",
            means="It stays a camera while nobody writes; bgcamd can't write in another size than the last one.",
            cure=f"v4l2-ctl -d {device.node} -c keep_format=0",
        )
    if _control(machine, device.node, TIMEOUT):
        yield note(
            check="virtual.timeout",
            what=f"{device.node} shows a picture of its own when frames are late (timeout is set)",
            means="Viewers would see green for a moment. bgcamd shows a card of its own.",
            cure=f"v4l2-ctl -d {device.node} -c timeout=0",
        )
    openers = machine.text(f"/sys/class/video4linux/{device.node.rpartition('/')[2]}/max_openers") or ""
    if openers.isdecimal() and int(openers) < _FEWEST_OPENERS:
        yield note(
            check="virtual.max_openers",
            what=f"{device.node} can be opened {openers} times at once",
            means="An app that only looks for cameras may keep out the one that shows it.",
            cure=reload_module(machine),
        )


def _control(machine: Machine, node: str, number: int) -> int:
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
