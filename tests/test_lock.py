"""requirements-dev.lock is what pyproject.toml asks for, to the byte, and names no place to fetch it from."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parent.parent
LOCK = (CHECKOUT / "requirements-dev.lock").read_text("utf-8")
_ENTRY = re.compile(r"([a-z0-9.-]+)==([^\s;]+)( ; [^\\\n]+)? (?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+\n")


def wanted(requirements: list[str], extras: dict[str, list[str]]) -> Iterator[Requirement]:
    """What these requirements come to, the package's own extras resolved."""
    for requirement in map(Requirement, requirements):
        if requirement.name == "bgcamd":
            for extra in requirement.extras:
                yield from wanted(extras[extra], extras)
        else:
            yield requirement


def test_every_dependency_is_locked_within_its_range() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    locked = defaultdict(list)
    for name, version, _ in _ENTRY.findall(LOCK):
        locked[name].append(version)
    extras = project["project"]["optional-dependencies"]
    asked = project["project"]["dependencies"] + extras["dev"] + project["build-system"]["requires"]
    unmet = [
        str(each)
        for each in wanted(asked, extras)
        if not locked[each.name] or not all(version in each.specifier for version in locked[each.name])
    ]
    assert not unmet, "make lock"


def test_the_lock_is_nothing_but_versions_with_their_hashes() -> None:
    assert _ENTRY.sub("", LOCK) == ""
