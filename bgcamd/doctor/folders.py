"""What lies on disk: the settings file, the state folder, and room for both."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.errors import SettingsError, UsageError
from bgcamd.paths import config_files, models_folder
from bgcamd.service.state import load
from bgcamd.toml_file import find
from bgcamd.video.address import parse_camera, parse_output

_FULL, _SCARCE = 20 << 20, 500 << 20


def check_settings(machine: Machine) -> Iterator[Finding]:
    """Read the settings as the daemon would."""
    try:
        settings = machine.settings
        parse_camera(settings.camera.address)
        for address in settings.output.addresses:
            parse_output(address)
    except (SettingsError, UsageError) as error:
        file = find(machine.config, machine.name) or "its settings file"
        yield broken(
            check="settings.valid",
            what=error.message,
            means=f"The daemon does not start with it. {_sentence(error.hint)}".strip(),
            cure=f"{'$EDITOR' if os.access(file, os.W_OK) else 'sudoedit'} {shlex.quote(str(file))}",
        )
        return
    if settings.file is None:
        yield ok(check="settings.valid", what="no settings file: everything is as shipped")
        return
    yield ok(check="settings.valid", what=f"{settings.file} is valid", facts={"file": str(settings.file)})
    usual = config_files(machine.name)
    if settings.file == usual[0] and usual[1].exists() and machine.unit.installed:
        yield note(
            check="settings.second",
            what=f"you have settings of your own beside those of the service, {usual[1]}",
            means="A daemon that you start reads yours alone, the service only the other.",
        )


def check_state(machine: Machine) -> Iterator[Finding]:
    """Look at the folders that are written to."""
    ours = {"models": models_folder()}
    if not machine.is_service:  # whose folder systemd gives to its user at each start
        ours["state"] = machine.state
    for name, folder in ours.items():
        if not os.access(_nearest(folder), os.W_OK | os.X_OK):
            yield broken(
                check=f"disk.{name}",
                what=f"{folder} can't be written to",
                means="The scene would be forgotten at a restart." if name == "state" else "No model can be fetched.",
                cure=_give(folder, _who(machine)),
            )
    free = machine.free_bytes(machine.state)
    facts = {"folder": str(machine.state), "free_bytes": free}
    room = f"{free / 1e9:.0f} GB" if free >= 1e10 else f"{free / 1e6:.0f} MB"
    what = f"{room} are free where state is kept ({machine.state})"
    if free < _SCARCE:
        means = "A picture that is sent to the daemon is kept there, and what is compiled for a GPU."
        level = broken if free < _FULL else note
        yield level(
            check="disk.free",
            what=what,
            means=means,
            cure=f"df -h {shlex.quote(str(_nearest(machine.state)))}",
            facts=facts,
        )
    else:
        yield ok(check="disk.free", what=what, facts=facts)
    yield from _scene(machine.state / "scene.json")


def _scene(file: Path) -> Iterator[Finding]:
    """What was live last, as far as a file that is ours to read tells."""
    if not (os.access(file, os.R_OK) and file.is_file()):
        return
    _, trouble = load(file)
    if trouble:
        means = "The daemon starts with its usual scene instead, and writes the file anew."
        yield note(check="disk.scene", what=trouble, means=means, cure=f"rm {shlex.quote(str(file))}")


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists() and stat.S_ISDIR(each.stat().st_mode))


def _give(folder: Path, name: str) -> str:
    """The command that lets a user write to a folder of bgcamd's; never to one above it, which is not bgcamd's."""
    there = shlex.quote(str(folder))
    return f"sudo chown -R {name} {there}" if folder.is_dir() else f"sudo install -d -o {name} {there}"


def _who(machine: Machine) -> str:
    person = machine.person()
    return person.name if person else "$USER"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if not text or text[-1] in "?!." else ".")
