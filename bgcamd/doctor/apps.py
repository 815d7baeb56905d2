"""What other programs see of the virtual camera: those that ask the device, and those that go by what udev noted."""

from __future__ import annotations

from collections.abc import Iterator

from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.traffic import writes
from bgcamd.doctor.virtual import start
from bgcamd.video.v4l2.devices import Device

_ASKING = "what asks the device itself (Chrome, Zoom, OBS …)"
_NOTED = "PipeWire, and what goes by it (the camera portal, Firefox on many systems),"
_SNAPS = ("chromium", "firefox", "brave", "zoom-client", "teams-for-linux", "discord")


def check_apps(machine: Machine) -> Iterator[Finding]:
    """Look at the device as apps do."""
    device = machine.virtual
    if device is not None and device.error is None:
        yield from _asking(machine, device)
        yield from _noted(machine, device)
    yield from _snaps(machine)


def _asking(machine: Machine, device: Device) -> Iterator[Finding]:
    facts = {"node": device.node, "capture": device.capture, "output": device.output}
    if device.capture and device.output:  # which the virtual camera's own check has said
        return
    if device.capture:
        yield ok(check="apps.caps", what=f"{_ASKING} lists {device.name}", facts=facts)
        return
    what = f"{_ASKING} does not list {device.name} now: it is a camera only while bgcamd writes to it"
    if machine.daemon.state == "answers" and not writes(machine, device):
        output = machine.daemon.said("output") or "somewhere else"
        yield note(check="apps.caps", what=what, means=f"The daemon that runs writes to {output}.", facts=facts)
    else:
        yield note(check="apps.caps", what=what, cure=start(machine), facts=facts)


def _noted(machine: Machine, device: Device) -> Iterator[Finding]:
    """What udev keeps in its database of the device, made at a time when it was no camera yet."""
    if not machine.exists("/run/udev/data"):
        yield note(
            check="apps.udev",
            what="udev does not run here, so PipeWire and the camera portal see no cameras",
            means="As in most containers; apps that ask the device itself don't mind.",
        )
        return
    number = machine.text(f"/sys/class/video4linux/{device.node.rpartition('/')[2]}/dev")
    properties = udev_properties(machine.text(f"/run/udev/data/c{number}") or "")
    noted = properties.get("ID_V4L_CAPABILITIES", "")
    facts = {"ID_V4L_CAPABILITIES": noted}
    if ":capture:" in noted:
        yield ok(check="apps.udev", what=f"{_NOTED} lists it (udev notes {noted})", facts=facts)
    elif device.capture:
        yield broken(
            check="apps.udev",
            what=f"{_NOTED} does not list {device.name} (udev notes {noted or 'nothing'})",
            means="udev looked before anybody wrote to it, and the module does not tell of the change.",
            cure=f"sudo udevadm trigger --action=change {device.node}",
            facts=facts,
        )


def udev_properties(text: str) -> dict[str, str]:
    """The properties of an entry of udev's database: its lines "E:KEY=VALUE"."""
    pairs = (line[2:].partition("=") for line in text.splitlines() if line.startswith("E:"))
    return {key: value for key, sign, value in pairs if sign}


def _snaps(machine: Machine) -> Iterator[Finding]:
    """Browsers and the like that are snaps see cameras only when they are let."""
    for name in _SNAPS:
        if not machine.exists(f"/snap/{name}/current"):
            continue
        answer = machine.run("snap", "connections", name)
        if answer is not None and camera_connected(answer.text) is False:
            yield note(
                check="apps.snap",
                what=f"the snap {name} may not use cameras",
                means="It lists none, whatever there is.",
                cure=f"sudo snap connect {name}:camera",
            )


def camera_connected(table: str) -> bool | None:
    """Whether a snap's camera interface is connected, by ``snap connections``; None where it has none."""
    rows = [line.split() for line in table.splitlines()]
    slots = [row[2] for row in rows if len(row) >= 3 and row[0] == "camera"]
    return all(slot != "-" for slot in slots) if slots else None
