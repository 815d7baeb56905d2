"""bgcam doctor as a user runs it: its text, its JSON and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bgcamd.cli import doctor as module
from bgcamd.cli import main
from bgcamd.doctor.examine import Diagnosis
from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding, broken, note
from bgcamd.video.v4l2.fake_kernel import FakeKernel, FakeLoopback

Run = Callable[..., Result]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``bgcam doctor`` on a machine of which it finds the given."""

    def run(*words: str, findings: tuple[Finding, ...]) -> Result:
        diagnosis = Diagnosis(findings, "Debian 12", "6.1", "", complete=True, took_s=0.1)
        monkeypatch.setattr(module, "examine", lambda *_, **__: diagnosis)
        return CliRunner().invoke(main, ["doctor", *words])

    return run


def test_it_succeeds_where_nothing_is_broken(told: Run) -> None:
    done = told(findings=(note(check="a.b", what="worth knowing"),))
    assert done.exit_code == 0
    assert "! a         worth knowing" in done.stdout


def test_it_fails_where_something_is(told: Run) -> None:
    done = told(findings=(broken(check="a.b", what="bad", cure="cure it"),))
    assert done.exit_code == 1
    assert "→ cure it" in done.stdout


def test_it_is_not_coloured_where_there_is_no_terminal(told: Run) -> None:
    assert "\x1b" not in told(findings=(broken(check="a.b", what="bad"),)).output


def test_machines_get_json_and_the_same_exit_code(told: Run) -> None:
    done = told("--json", findings=(broken(check="a.b", what="bad", facts={"n": 1}),))
    assert done.exit_code == 1
    assert json.loads(done.stdout)["findings"][0]["facts"] == {"n": 1}


def test_cameras_are_measured_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def examine(*_: object, measure: bool, **__: object) -> Diagnosis:
        asked.append(measure)
        return Diagnosis((), "", "", "", complete=True, took_s=0)

    monkeypatch.setattr(module, "examine", examine)
    CliRunner().invoke(main, ["doctor"])
    CliRunner().invoke(main, ["doctor", "--measure"])
    assert asked == [False, True]


def test_a_made_up_machine_is_examined_from_end_to_end(tmp_path: Path) -> None:
    machine = FakeMachine(tmp_path, FakeKernel(FakeLoopback(exclusive_caps=False)))
    diagnosis = module.examined(machine)
    assert "virtual.exclusive_caps" in [finding.check for finding in diagnosis.findings]
    assert not [finding.what for finding in diagnosis.findings if finding.check.endswith("unchecked")]
