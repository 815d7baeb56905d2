"""Who may open the video devices: this user, and the service's."""

from __future__ import annotations

from collections.abc import Iterator

from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.machine import Machine, Person
from bgcamd.video.v4l2.devices import Device

_SERVICE = "bgcamd"


def check_access(machine: Machine) -> Iterator[Finding]:
    """Look whether every video device can be opened, and by whom."""
    person = machine.person()
    denied = [device for device in machine.devices if isinstance(device.error, PermissionError)]
    if person is None:  # which can't be of who runs this
        return
    if denied:
        yield _denied(machine, person, denied)
    elif machine.devices:
        yield ok(check="access.devices", what=f"{person.name} may open every video device")
    yield from _service(machine)


def _denied(machine: Machine, person: Person, denied: list[Device]) -> Finding:
    nodes = ", ".join(device.node for device in denied)
    _, group, mode = machine.owner(denied[0].node)
    what = f"{person.name} may not open {nodes}"
    facts = {"nodes": [device.node for device in denied], "group": group, "mode": f"{mode:04o}"}
    if group in person.listed and group not in person.groups:
        return broken(
            check="access.devices",
            what=f"{what}: not before the next login",
            means=f"{person.name} is in the group {group}, but was not yet when this session began.",
            cure=f"log out and in again; in this terminal only: newgrp {group}",
            facts=facts,
        )
    if group == "root" or not mode & 0o060 or group in person.groups:
        inside = f" --device {denied[0].node} --group-add video" if machine.container else ""
        return broken(
            check="access.devices",
            what=f"{what}: it belongs to {group}, mode {mode:04o}",
            means="udev gives cameras to the group video; here it has not.",
            cure=f"start the container with{inside}" if inside
            else "sudo udevadm trigger --action=add --subsystem-match=video4linux",
            facts=facts,
        )  # fmt: skip
    return broken(
        check="access.devices",
        what=f"{what}: that is for the group {group}",
        means="Who is logged in at the machine itself gets it anyway; over ssh, or as a service, only the group does.",
        cure=f"sudo usermod -aG {group} {person.name}, then log in again",
        facts=facts,
    )


def _service(machine: Machine) -> Iterator[Finding]:
    """The service runs as a user of its own."""
    person = machine.person(_SERVICE) if machine.unit.installed else None
    if person is not None and "video" not in person.listed:
        yield note(
            check="access.service",
            what=f"the service's user {_SERVICE} is not in the group video",
            means="bgcamd.service asks for that group itself; another unit would not get at the camera.",
            cure="sudo systemd-sysusers",
        )
