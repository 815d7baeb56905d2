"""The whole examination, and how it is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import click
import pytest

from bgcamd.doctor.examine import CHECKS, Diagnosis, examine
from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding, Level, broken, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.page import diagnosis_page
from bgcamd.errors import SinkError

QUICK = {name: check for name, check in CHECKS.items() if name not in {"engine", "models"}}


def fails(_: Machine) -> Iterator[Finding]:
    yield ok(check="x.first", what="that far it came")
    raise ZeroDivisionError("by zero")


def refused(_: Machine) -> Iterator[Finding]:
    raise SinkError("it was refused")
    yield


def test_a_check_that_fails_is_a_finding_and_hides_nothing(machine: FakeMachine) -> None:
    diagnosis = examine(machine, checks={"x": fails, "y": refused, "module": CHECKS["module"]})
    assert [(finding.check, finding.level) for finding in diagnosis.findings] == [
        ("x.first", Level.OK),
        ("x.unchecked", Level.NOTE),
        ("y.unchecked", Level.NOTE),
        ("module.loaded", Level.OK),
    ]
    assert diagnosis.findings[1].what == "x could not be checked: ZeroDivisionError: by zero"
    assert diagnosis.findings[2].what == "y could not be checked: it was refused"


def test_every_finding_is_named_after_its_group(machine: FakeMachine) -> None:
    for group, check in QUICK.items():
        assert {finding.group for finding in check(machine)} <= {group}


def test_a_machine_on_which_all_is_well_is_healthy(machine: FakeMachine) -> None:
    diagnosis = examine(machine, checks=QUICK)
    assert diagnosis.healthy
    assert not [finding for finding in diagnosis.findings if finding.check.endswith("unchecked")]


def test_an_empty_machine_is_told_about_without_a_check_failing(machine: FakeMachine) -> None:
    for path in ("/proc", "/sys", "/lib", "/run", "/etc/os-release"):
        machine.remove(path)
    diagnosis = examine(machine, checks=QUICK)
    assert not [finding for finding in diagnosis.findings if finding.check.endswith("unchecked")]
    assert not diagnosis.healthy


def test_nothing_is_left_open_and_no_camera_turned_on(machine: FakeMachine) -> None:
    examine(machine, checks=QUICK)
    assert getattr(machine.kernel, "descriptors") == 0  # noqa: B009 - a fake one's


def test_the_shape_of_the_json_is_as_described(machine: FakeMachine) -> None:
    shape = json.loads(json.dumps(examine(machine, checks=QUICK).as_dict()))
    assert set(shape) == {
        *("shape", "bgcamd", "system", "kernel", "container", "complete", "healthy", "counts", "took_s", "findings")
    }
    assert set(shape["counts"]) == {"ok", "note", "broken"}
    assert all(set(each) == {"check", "level", "what", "means", "cure", "facts"} for each in shape["findings"])


def page(*findings: Finding, width: int = 60, complete: bool = True) -> str:
    diagnosis = Diagnosis(findings, "Debian 12", "6.1.0", "", complete, 0.5)
    return click.unstyle(diagnosis_page(diagnosis, width))


def test_what_is_broken_comes_first_with_its_cure() -> None:
    text = page(
        ok(check="a.a", what="fine"),
        note(check="b.b", what="hm", means="So it is."),
        broken(check="c.c", what="bad", cure="cure it"),
    )
    assert text.index("✗ c         bad") < text.index("→ cure it") < text.index("! b") < text.index("✓ a")
    assert "1 broken, 1 to know; 1 fine." in text


def test_long_text_is_wrapped_and_a_cure_never() -> None:
    cure = "sudo " + "modprobe " * 20
    text = page(broken(check="a.a", what="word " * 30, cure=cure))
    assert cure.strip() in text
    assert max(len(line) for line in text.splitlines() if "→" not in line) <= 60


def test_a_devices_name_steers_no_terminal() -> None:
    assert "\x1b" not in page(ok(check="a.a", what="a\x1b[2Jb"))


def test_that_not_all_could_be_seen_is_told() -> None:
    assert "sudo bgcam doctor" in page(complete=False)
    assert "Nothing is broken; 0 fine." in page()


@pytest.mark.parametrize("command", [["/nowhere/program"], ["sleep", "30"]])
def test_a_command_that_is_not_there_or_does_not_end_says_nothing(command: list[str]) -> None:
    before = time.monotonic()
    assert Machine(patience_s=0.1).run(*command) is None
    assert time.monotonic() - before < 20


def test_this_very_machine_can_be_looked_at() -> None:
    """Whatever it is: every check says something true or nothing, and none fails."""
    machine = Machine()
    diagnosis = examine(machine, checks={name: check for name, check in QUICK.items() if name != "daemon"})
    assert not [finding.what for finding in diagnosis.findings if finding.check.endswith("unchecked")]
