"""The virtual camera: its device, who writes it, how many show it, and what is set otherwise than it should be."""

from __future__ import annotations

from collections.abc import Iterator

from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.holders import in_words
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.module import is_loaded, reload_module
from bgcamd.doctor.traffic import KEEP_FORMAT, TIMEOUT, Writer, control, traffic
from bgcamd.video.v4l2.devices import Device
from bgcamd.video.v4l2.loopback_control import CONTROL_NODE

_FEWEST_OPENERS = 3  # bgcamd, who watches, and one that looks


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
    yield _writer(machine, device)
    yield from _settings(machine, device)


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


def _writer(machine: Machine, device: Device) -> Finding:
    seen = traffic(machine, device)
    facts = {
        "writer": seen.writer.value,
        "readers": seen.readers,
        "holders": [holder._asdict() for holder in machine.holders.of(device.node)],
    }
    if seen.writer is not Writer.OTHER:
        return ok(check="virtual.writer", what=f"{device.node}: {seen}", facts=facts)
    return broken(
        check="virtual.writer",
        what=f"another program writes to {device.node}: {in_words(seen.suspects) or 'one of another user'}",
        means="Only one can; bgcamd takes over as soon as that one ends.",
        cure=f"kill {seen.suspects[0].pid}" if len(seen.suspects) == 1 else f"sudo fuser -v {device.node}",
        facts=facts,
    )


def _settings(machine: Machine, device: Device) -> Iterator[Finding]:
    """What somebody has set at the device."""
    if control(machine, device.node, KEEP_FORMAT):
        yield note(
            check="virtual.keep_format",
            what=f"{device.node} keeps its format (keep_format is 1)",
            means="It stays a camera while nobody writes; bgcamd can't write in another size than the last one.",
            cure=f"v4l2-ctl -d {device.node} -c keep_format=0",
        )
    if control(machine, device.node, TIMEOUT):
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
