"""All checks, one after the other; one that fails itself becomes a finding."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from bgcamd import __version__
from bgcamd.doctor.access import check_access
from bgcamd.doctor.apps import check_apps
from bgcamd.doctor.cameras import check_cameras
from bgcamd.doctor.distribution import system_name
from bgcamd.doctor.engine import check_engine
from bgcamd.doctor.finding import Finding, Level, note
from bgcamd.doctor.folders import check_settings, check_state
from bgcamd.doctor.graphics import check_gpu
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.module import check_module
from bgcamd.doctor.service import check_daemon, check_service
from bgcamd.doctor.virtual import check_virtual
from bgcamd.doctor.weights import check_models
from bgcamd.errors import BgcamError

Check = Callable[[Machine], Iterable[Finding]]

CHECKS: Mapping[str, Check] = {
    "module": check_module,
    "virtual": check_virtual,
    "apps": check_apps,
    "access": check_access,
    "camera": check_cameras,
    "settings": check_settings,
    "disk": check_state,
    "models": check_models,
    "engine": check_engine,
    "gpu": check_gpu,
    "service": check_service,
    "daemon": check_daemon,
}
"""By the group of their findings, in the order in which they are told."""

SHAPE = 1
"""Of what ``Diagnosis.as_dict`` returns: goes up when a key changes its meaning or goes; keys may be added."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Diagnosis:
    """All findings. system: the distribution; kernel: its release; took_s: how long it was looked for."""

    findings: tuple[Finding, ...]
    system: str
    kernel: str
    container: str
    complete: bool
    took_s: float

    def count(self, level: Level) -> int:
        """How many findings are of a level."""
        return sum(finding.level is level for finding in self.findings)

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken."""
        return not self.count(Level.BROKEN)

    def as_dict(self) -> dict[str, object]:
        """What ``bgcam doctor --json`` prints.

            {"shape": 1, "bgcamd": "0.1.0", "system": "Debian GNU/Linux 12", "kernel": "6.1.0", "container": "",
             "complete": true, "healthy": false, "counts": {"ok": 9, "note": 2, "broken": 1}, "took_s": 1.2,
             "findings": [{"check": "module.loaded", "level": "broken", "what": "...", "means": "...", "cure": "...",
                           "facts": {...}}]}

        complete: whether all processes could be looked at, so that who holds what is the whole truth.
        """
        return {
            "shape": SHAPE,
            "bgcamd": __version__,
            "system": self.system,
            "kernel": self.kernel,
            "container": self.container,
            "complete": self.complete,
            "healthy": self.healthy,
            "counts": {level.value: self.count(level) for level in Level},
            "took_s": round(self.took_s, 2),
            "findings": [
                {
                    "check": finding.check,
                    "level": finding.level.value,
                    "what": finding.what,
                    "means": finding.means,
                    "cure": finding.cure,
                    "facts": dict(finding.facts),
                }
                for finding in self.findings
            ],
        }


def examine(
    machine: Machine,
    *,
    measure: bool = False,
    checks: Mapping[str, Check] = CHECKS,
    tell: Callable[[str], object] = str,
) -> Diagnosis:
    """Run the checks. measure: cameras are turned on to count their frames. tell: hears the group that is next."""
    began = time.monotonic()
    findings: list[Finding] = []
    for group, check in checks.items():
        tell(group)
        ready = partial(check_cameras, measure=measure) if check is check_cameras else check
        findings += guarded(group, ready, machine)
    return Diagnosis(
        tuple(findings),
        system_name(machine),
        machine.release,
        machine.container,
        machine.holders.complete,
        time.monotonic() - began,
    )


def guarded(group: str, check: Check, machine: Machine) -> Iterator[Finding]:
    """What a check finds; where it fails, what it had found, and that it failed. Raises nothing."""
    try:
        yield from check(machine)
    except Exception as error:  # one thing that can't be looked at, or a bug of ours, must not hide all the rest
        _log.debug("the check %s", group, exc_info=True)
        reason = error.message if isinstance(error, BgcamError) else f"{type(error).__name__}: {error}"
        yield note(check=f"{group}.unchecked", what=f"{group} could not be checked: {reason}")
