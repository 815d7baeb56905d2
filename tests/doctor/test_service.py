"""The daemon and its service: running, asleep, failed, hung, denied, of another version."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd import __version__
from bgcamd.doctor.contact import Contact, contact
from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding, Level
from bgcamd.doctor.folders import check_state
from bgcamd.doctor.machine import Answer
from bgcamd.doctor.service import check_daemon, check_service, process_state, who_may
from bgcamd.doctor.units import Unit, parse_unit
from bgcamd.errors import ControlError
from bgcamd.paths import service_socket

Found = Callable[[Iterable[Finding]], dict[str, Finding]]
Answering = Callable[..., None]
SHOW = f"systemctl show bgcamd.service --property={','.join(Unit.PROPERTIES)}"


def unit_is(machine: FakeMachine, **properties: str) -> None:
    machine.answers[SHOW] = "\n".join(f"{key}={value}" for key, value in properties.items())


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Path]:
    """A socket on which somebody listens and never answers."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "mute.sock"))
        sock.listen()
        yield tmp_path / "mute.sock"


class TestDaemon:
    def test_one_that_answers_is_fine(self, machine: FakeMachine, answering: Answering) -> None:
        answering(version=__version__, state="live", problems=[])
        (finding,) = check_daemon(machine)
        assert finding.level is Level.OK
        assert finding.what.startswith(f"bgcamd {__version__} answers on ")
        assert finding.what.endswith(": live")

    def test_its_problems_are_faults_with_their_cures(
        self, machine: FakeMachine, answering: Answering, found: Found
    ) -> None:
        answering(version=__version__, state="waiting", problems=["the camera is gone (plug it in again)"])
        finding = found(check_daemon(machine))["daemon.problem"]
        assert (finding.level, finding.what, finding.cure) == (
            Level.BROKEN,
            "the camera is gone",
            "plug it in again",
        )

    def test_one_of_another_version_is_restarted(
        self, machine: FakeMachine, answering: Answering, found: Found
    ) -> None:
        answering(version="0.0.1", state="live")
        assert found(check_daemon(machine))["daemon.version"].level is Level.NOTE

    def test_none_is_started_as_a_program_where_there_is_no_service(self, machine: FakeMachine) -> None:
        (finding,) = check_daemon(machine)
        assert (finding.level, finding.cure) == (Level.NOTE, "bgcamd")

    def test_none_is_started_as_a_service_where_that_is_installed(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="inactive")
        (finding,) = check_daemon(machine)
        assert finding.cure == "sudo systemctl start bgcamd"

    def test_one_that_hangs_is_ended_so_that_it_tells_where(self, machine: FakeMachine, mute: Path) -> None:
        machine.socket = mute
        (finding,) = check_daemon(machine)
        assert finding.level is Level.BROKEN
        assert finding.cure == f"kill -ABRT {finding.facts['pid']}"
        assert "did not answer" in finding.what

    def test_one_that_was_stopped_goes_on(self, machine: FakeMachine, mute: Path) -> None:
        machine.socket = mute
        machine.write(f"/proc/{machine.daemon.pid}/stat", f"{machine.daemon.pid} (a) b) T 1 1 1")
        (finding,) = check_daemon(machine)
        assert finding.cure == f"kill -CONT {machine.daemon.pid}"

    def test_a_service_that_hangs_is_ended_by_systemd(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="active")
        machine.daemon = Contact(service_socket(), "silent", error=ControlError("no answer"))
        (finding,) = check_daemon(machine)
        assert finding.cure == "sudo systemctl kill --signal=ABRT bgcamd"

    def test_the_folder_of_the_service_is_not_this_users_to_write(
        self, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="active")
        machine.socket = service_socket()
        monkeypatch.setattr("os.access", lambda path, mode: False)
        assert "disk.state" not in [finding.check for finding in check_state(machine)]

    def test_a_service_that_sleeps_is_not_woken(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="inactive")
        machine.socket = service_socket()
        (finding,) = check_daemon(machine)
        assert (finding.level, machine.daemon.state) == (Level.OK, "asleep")

    def test_who_may_not_talk_to_it_joins_its_group(self, machine: FakeMachine, tmp_path: Path) -> None:
        hint = "join its group: `sudo usermod -aG video $USER`, then log in again"
        machine.daemon = Contact(tmp_path / "s", "denied", error=ControlError("you may not talk to bgcamd", hint))
        (finding,) = check_daemon(machine)
        assert (finding.level, finding.cure) == (
            Level.BROKEN,
            "sudo usermod -aG video $USER, then log in again",
        )

    @pytest.mark.parametrize(
        ("owner", "said"),
        [
            (("bgcamd", "video", 0o660), "bgcamd, the group video and root may talk to it."),
            (("ada", "ada", 0o600), "ada and root may talk to it."),
            (("root", "video", 0o660), "Root and the group video may talk to it."),
            (("root", "root", 0o600), "Only root may talk to it."),
            (("ada", "ada", 0o666), "Everybody may talk to it."),
        ],
    )
    def test_who_may_talk_to_it(self, machine: FakeMachine, owner: tuple[str, str, int], said: str) -> None:
        machine.write("/run/s.sock", "")
        machine.owners["/run/s.sock"] = owner
        assert who_may(machine, Contact(Path("/run/s.sock"), "answers")) == said


class TestContact:
    def test_nobody_is_there(self, tmp_path: Path) -> None:
        assert contact(tmp_path / "none.sock", 0.1).state == "absent"

    def test_a_socket_that_nobody_listens_on_any_more(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(tmp_path / "old.sock"))
        assert contact(tmp_path / "old.sock", 0.1).state == "absent"

    def test_one_that_does_not_answer(self, mute: Path) -> None:
        assert contact(mute, 0.1).state == "silent"

    def test_one_that_may_not_be_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(socket.socket, "connect", denied)  # which root is not denied
        assert contact(tmp_path / "x.sock", 0.1).state == "denied"

    def test_a_status_that_makes_no_sense_has_no_words_and_numbers(self) -> None:
        odd = Contact(Path("x"), "answers", {"state": 3, "age_ms": "?"})
        assert odd.said("state") == ""
        assert odd.number("age_ms", "p50") is None


class TestService:
    def test_without_systemd_it_is_a_program_as_any_other(self, machine: FakeMachine) -> None:
        machine.answers[SHOW] = Answer(1, "System has not been booted with systemd")
        (finding,) = check_service(machine)
        assert (finding.level, finding.what.partition(":")[0]) == (Level.OK, "systemd does not run here")

    def test_one_that_runs_is_fine(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="active", UnitFileState="enabled", NRestarts="3")
        (finding,) = check_service(machine)
        assert (finding.level, finding.what) == (Level.OK, "bgcamd.service runs; it was started again 3 times")

    def test_one_that_has_failed_is_told_with_its_last_word(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="failed", Result="exit-code", ExecMainStatus="78")
        machine.answers["journalctl --unit bgcamd.service --lines 1 --output cat --no-pager --quiet"] = "no such model"
        (finding,) = check_service(machine)
        assert finding.level is Level.BROKEN
        assert finding.what == "bgcamd.service has failed (exit-code, exit code 78)"
        assert finding.means == "It said: no such model"
        assert finding.cure == "sudo systemctl restart bgcamd"

    def test_one_that_systemd_gave_up_is_forgiven_first(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="failed", Result="start-limit-hit", ExecMainStatus="1")
        (finding,) = check_service(machine)
        assert finding.cure == "sudo systemctl reset-failed bgcamd && sudo systemctl restart bgcamd"

    @pytest.mark.parametrize(("enabled", "command"), [("enabled", "start"), ("disabled", "enable --now")])
    def test_one_that_does_not_run_is_started(self, machine: FakeMachine, enabled: str, command: str) -> None:
        unit_is(machine, LoadState="loaded", ActiveState="inactive", UnitFileState=enabled)
        (finding,) = check_service(machine)
        assert finding.cure == f"sudo systemctl {command} bgcamd"

    def test_one_that_is_not_installed_is_no_fault(self, machine: FakeMachine) -> None:
        unit_is(machine, LoadState="not-found")
        (finding,) = check_service(machine)
        assert finding.level is Level.OK


@given(st.text())
def test_any_text_has_a_state_of_one_letter_at_most(text: str) -> None:
    assert len(process_state(text)) <= 1


@given(st.text())
def test_any_text_can_be_read_as_a_unit(text: str) -> None:
    assert isinstance(parse_unit("x.service", text).active, bool)
