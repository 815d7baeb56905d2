"""bgcamd as the system's service in the guest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from guest import Done, Guest

FILE = "/etc/bgcamd/bgcamd.toml"
INSTALLED = "/run/installed.toml"


@dataclass(frozen=True)
class Service:
    """The unit bgcamd.service, and bgcam as the user "desk", who is in the group video and nothing more."""

    guest: Guest

    def start(self, **sections: dict[str, object]) -> None:
        """Write other settings than the installed ones, section by section, if any are given, and start."""
        if sections:
            self.configure(**sections)
        self.guest.run("systemctl start bgcamd")

    def configure(self, **sections: dict[str, object]) -> None:
        """Write the settings file; the output is the virtual camera."""
        lines = []
        for section, keys in ({"output": {"addresses": ["loopback:"]}} | sections).items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        self.guest.run("\n".join([f"cp -n {FILE} {INSTALLED}; cat >{FILE} <<'END'", *lines, "END"]))

    def remove(self) -> None:
        """Stop it, and forget the settings, the scene, and that it was started often."""
        forget = f"[ ! -e {INSTALLED} ] || mv {INSTALLED} {FILE}; rm -f /var/lib/bgcamd/scene.json"
        self.guest.run(f"systemctl stop bgcamd; {forget}; systemctl reset-failed")

    def bgcam(self, words: str, *, user: str = "desk") -> str:
        """Run a bgcam command that must succeed; returns what it printed."""
        return self.guest.run(f"bgcam {words}", user=user)

    def refused(self, words: str, *, user: str = "desk") -> Done:
        """Run a bgcam command that must not succeed."""
        done = self.guest.call(f"bgcam {words}", user=user)
        assert done.status != 0, f"bgcam {words} should have failed; it said: {done.output}"
        return done

    def status(self) -> dict[str, Any]:
        """What ``bgcam status --json`` says."""
        return dict(json.loads(self.bgcam("status --json")))

    def wait_for_state(self, state: str, *, timeout: float = 15) -> None:
        """Wait until status says so."""
        self.guest.wait_for(f'bgcam status --json | grep -E \'"state": *"{state}"\'', timeout=timeout)
