"""What a check found: how bad it is, what it is, what it means, and the one command that cures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial


class Level(StrEnum):
    """How bad it is: nothing to do; worth knowing; something does not work."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One thing that is so.

    check: what was looked at, "module.loaded": group and name, which stay from release to release.
    what: a line. means: what that comes to for the user, "" where it goes without saying.
    cure: one command, or where none does it one thing to do; "" where nothing has to be done.
    facts: what a program may want to know of it, as JSON can say it.
    """

    check: str
    level: Level
    what: str
    means: str = ""
    cure: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The first word of ``check``."""
        return self.check.partition(".")[0]


ok = partial(Finding, level=Level.OK)
note = partial(Finding, level=Level.NOTE)
broken = partial(Finding, level=Level.BROKEN)
