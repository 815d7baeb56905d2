"""bgcamd as the system's service in the guest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from guest import Done, Guest


@dataclass(frozen=True)
class Service:
    """bgcamd.service, or with an instance's name bgcamd@NAME.service, and bgcam as the user "desk".

    "desk" is in the group video, and nothing more.
    """

    guest: Guest
    instance: str = ""

    @property
    def unit(self) -> str:
        """The name of the unit."""
        return f"bgcamd@{self.instance}" if self.instance else "bgcamd"

    @property
    def file(self) -> str:
        """The settings file."""
        return f"/etc/bgcamd/{self.instance or 'bgcamd'}.toml"

    def start(self, **sections: dict[str, object]) -> None:
        """Write other settings than the installed ones, section by section, if any are given, and start."""
        if sections:
            self.configure(**sections)
        self.guest.run(f"systemctl start {self.unit}")

    def configure(self, **sections: dict[str, object]) -> None:
        """Write the settings file, and keep the installed one; the output is the virtual camera."""
        lines = []
        for section, keys in ({"output": {"addresses": ["loopback:"]}} | sections).items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        keep = f"[ ! -e {self.file} ] || cp -n {self.file} {self.file}.installed"
        self.guest.run("\n".join([f"{keep}; cat >{self.file} <<'END'", *lines, "END"]))

    def remove(self) -> None:
        """Stop it, and forget the settings, the scene, and that it was started often."""
        back = f"[ ! -e {self.file}.installed ] || mv {self.file}.installed {self.file}"
        forget = "rm -rf /var/lib/bgcamd/scene.json /var/lib/bgcamd/instances"
        self.guest.run(f"systemctl stop {self.unit}; {back}; {forget}; systemctl reset-failed")

    def bgcam(self, words: str, *, user: str = "desk") -> str:
        """Run a bgcam command that must succeed; returns what it printed."""
        return self.guest.run(f"{self._program} {words}", user=user)

    def refused(self, words: str, *, user: str = "desk") -> Done:
        """Run a bgcam command that must not succeed."""
        done = self.guest.call(f"{self._program} {words}", user=user)
        assert done.status != 0, f"bgcam {words} should have failed; it said: {done.output}"
        return done

    def status(self) -> dict[str, Any]:
        """What ``bgcam status --json`` says."""
        return dict(json.loads(self.bgcam("status --json")))

    def wait_for_state(self, state: str, *, timeout: float = 15) -> None:
        """Wait until status says so."""
        self.guest.wait_for(f'{self._program} status --json | grep -E \'"state": *"{state}"\'', timeout=timeout)

    def opened(self, node: str) -> bool:
        """Whether the service has a device open."""
        return node in self.guest.run(f"ls -l /proc/$(systemctl show -P MainPID {self.unit})/fd")

    @property
    def _program(self) -> str:
        return f"bgcam --instance {self.instance}" if self.instance else "bgcam"
