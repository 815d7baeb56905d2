"""The machine as the checks see it. Everything they know comes through here, so that a folder can stand for it."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bgcamd.doctor import holders
from bgcamd.doctor.contact import Contact, contact
from bgcamd.doctor.units import Unit, parse_unit
from bgcamd.paths import DEFAULT_INSTANCE, SERVICE_STATE, service_socket, state_folder
from bgcamd.service.client import find_socket
from bgcamd.settings import Settings, load_settings
from bgcamd.video.v4l2.advice import LABEL
from bgcamd.video.v4l2.devices import Device, list_devices
from bgcamd.video.v4l2.kernel import LINUX, Kernel

_COMMAND_S = 3.0
_SYSTEM_PATHS = ("/usr/sbin", "/sbin")  # where modinfo and mokutil are, which a user's PATH may lack


class Answer(NamedTuple):
    """What a command said. code: 0 where it went well; text: stdout, then stderr, without blanks around it."""

    code: int
    text: str


@dataclass(frozen=True)
class Person:
    """Somebody. groups: of this process; listed: in the database, which a new login gets."""

    name: str
    uid: int
    groups: frozenset[str]
    listed: frozenset[str]


@dataclass
class Machine:
    """This machine, looked at when asked. Nothing is changed, and no camera is turned on.

    root: what all paths begin at. kernel: who answers for video devices.
    instance, socket, config: which daemon is meant, and its settings file; None for the usual ones.
    patience_s: how long the daemon and any command may take to answer.
    """

    root: Path = Path("/")
    kernel: Kernel = LINUX
    instance: str | None = None
    socket: Path | None = None
    config: Path | None = None
    patience_s: float = field(default=_COMMAND_S)

    def path(self, path: str | Path) -> Path:
        """Where an absolute path lies."""
        return self.root / str(path).lstrip("/")

    def text(self, path: str | Path) -> str | None:
        """A file's content without blanks around it; None where there is no such file. Raises OSError."""
        data = self.data(path)
        return None if data is None else data.decode(errors="replace").strip()

    def data(self, path: str | Path) -> bytes | None:
        """The same, in bytes."""
        try:
            return self.path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, path: str | Path) -> bool:
        """Whether there is something; also where only its folder may be seen."""
        return os.path.lexists(self.path(path))

    def glob(self, pattern: str) -> Iterator[str]:
        """The paths that fit an absolute pattern, in order."""
        for found in sorted(self.root.glob(pattern.lstrip("/"))):
            yield f"/{found.relative_to(self.root)}"

    def may(self, path: str | Path) -> bool:
        """Whether this process may read and write it."""
        return os.access(self.path(path), os.R_OK | os.W_OK)

    def owner(self, path: str | Path) -> tuple[str, str, int]:
        """User, group and mode of a file. Raises OSError."""
        status = self.path(path).stat()
        return _user(status.st_uid), _group(status.st_gid), status.st_mode & 0o777

    def free_bytes(self, path: Path) -> int:
        """How much room there is for an ordinary user where ``path`` is, or will be. Raises OSError."""
        there = next(each for each in (path, *path.parents) if each.exists())
        return shutil.disk_usage(there).free

    def run(self, *command: str) -> Answer | None:
        """Run a program that only tells something; None where there is none, or it does not end."""
        places = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PATHS))
        program = shutil.which(command[0], path=places)
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.patience_s,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return Answer(done.returncode, f"{done.stdout}\n{done.stderr}".strip())

    def person(self, name: str | None = None) -> Person | None:
        """Who runs this, or the user of that name; None where there is no such user."""
        try:
            entry = pwd.getpwuid(os.geteuid()) if name is None else pwd.getpwnam(name)
        except KeyError:
            return Person(str(os.geteuid()), os.geteuid(), _own_groups(), frozenset()) if name is None else None
        listed = frozenset(map(_group, os.getgrouplist(entry.pw_name, entry.pw_gid)))
        return Person(entry.pw_name, entry.pw_uid, _own_groups() if name is None else listed, listed)

    @cached_property
    def release(self) -> str:
        """Of the kernel that runs, "6.1.0-18-amd64"."""
        return self.text("/proc/sys/kernel/osrelease") or "unknown"

    @cached_property
    def container(self) -> str:
        """What kind of container this is, "docker"; "" for none."""
        if kind := self.text("/run/systemd/container"):
            return kind
        marks = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
        return next((kind for mark, kind in marks.items() if self.exists(mark)), "")

    @property
    def label(self) -> str:
        """What the daemon's virtual camera is called."""
        return LABEL if self.name == DEFAULT_INSTANCE else f"{LABEL} {self.name}"

    @property
    def name(self) -> str:
        """The daemon's name."""
        return self.instance or DEFAULT_INSTANCE

    @property
    def is_service(self) -> bool:
        """Whether the daemon that is meant is the system's service."""
        return self.unit.installed and find_socket(self.socket, self.instance) == service_socket(self.name)

    @property
    def state(self) -> Path:
        """The folder of what outlives a restart of the daemon that is meant."""
        return SERVICE_STATE if self.is_service else state_folder()

    @cached_property
    def devices(self) -> list[Device]:
        """All video devices."""
        return list_devices(self.kernel)

    @property
    def virtual(self) -> Device | None:
        """The daemon's virtual camera."""
        return next((each for each in self.devices if each.name == self.label and (each.loopback or each.error)), None)

    @cached_property
    def holders(self) -> holders.Holders:
        """Which programs have which video device open."""
        return holders.find_holders(self.path("/proc"), {device.node for device in self.devices})

    @cached_property
    def settings(self) -> Settings:
        """The daemon's. Raises SettingsError."""
        return load_settings(self.config, {}, self.name)

    @cached_property
    def unit(self) -> Unit:
        """The system's service."""
        service = "bgcamd.service" if self.name == DEFAULT_INSTANCE else f"bgcamd@{self.name}.service"
        answer = self.run("systemctl", "show", service, f"--property={','.join(Unit.PROPERTIES)}")
        return parse_unit(service, answer.text if answer is not None and answer.code == 0 else None)

    @cached_property
    def daemon(self) -> Contact:
        """The daemon that ``bgcam status`` would ask."""
        socket = find_socket(self.socket, self.instance)
        if socket == service_socket(self.name) and self.unit.asleep:
            return Contact(socket, "asleep")  # to connect would start it
        return contact(socket, self.patience_s)


def _own_groups() -> frozenset[str]:
    return frozenset(map(_group, {os.getegid(), *os.getgroups()}))


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
