"""A systemd unit, as ``systemctl show`` tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Unit:
    """One service. properties: as systemd names them; None where systemd is not to be asked."""

    name: str
    properties: Mapping[str, str] | None

    PROPERTIES: ClassVar = (
        *("LoadState", "ActiveState", "SubState", "UnitFileState", "Result"),
        *("MainPID", "NRestarts", "ExecMainStatus", "StatusText"),
    )

    def __getitem__(self, key: str) -> str:
        return (self.properties or {}).get(key, "")

    @property
    def installed(self) -> bool:
        """Whether systemd knows it."""
        return self["LoadState"] == "loaded"

    @property
    def active(self) -> bool:
        """Whether it runs, or is about to."""
        return self["ActiveState"] in {"active", "activating", "reloading"}

    @property
    def asleep(self) -> bool:
        """Whether it is there and does not run."""
        return self.installed and not self.active


def parse_unit(name: str, text: str | None) -> Unit:
    """Read lines of KEY=VALUE; of None, the unit of a machine without systemd."""
    if text is None:
        return Unit(name, None)
    pairs = (line.partition("=") for line in text.splitlines())
    return Unit(name, {key: value for key, sign, value in pairs if sign})
