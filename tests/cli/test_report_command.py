"""bgcam report as a user runs it."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bgcamd.cli import main
from bgcamd.cli import report as module
from bgcamd.doctor.examine import Diagnosis


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    healthy = Diagnosis((), "Debian 12", "6.1", "", complete=True, took_s=0)
    monkeypatch.setattr(module, "examined", lambda _: healthy)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def report(*words: str) -> Result:
    return CliRunner().invoke(main, ["report", *words, "--socket", "none.sock"])


def test_it_is_named_after_the_time_and_says_what_is_in_it_and_that_nothing_was_sent(tmp_path: Path) -> None:
    done = report()
    assert done.exit_code == 0, done.output
    (made,) = tmp_path.glob("bgcam-report-*.tar.gz")
    assert done.output.startswith(f"{made.name}, ")
    with tarfile.open(made) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert [name for name in names if f"  {name} " not in done.output] == []
    assert "Nothing was sent." in done.output


def test_a_folder_gets_it_under_its_usual_name(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    assert report("reports").exit_code == 0
    assert len(list((tmp_path / "reports").glob("bgcam-report-*.tar.gz"))) == 1


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.tar.gz").write_text("mine")
    refused = report("mine.tar.gz")
    assert refused.exit_code == 73
    assert refused.stderr == "Error: mine.tar.gz is there already\nHint: name another file, or none\n"
    assert (tmp_path / "mine.tar.gz").read_text() == "mine"


def test_a_folder_that_is_missing_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "examined", lambda _: pytest.fail("too late"))
    assert report("nowhere/x.tar.gz").exit_code == 73
