"""What systemd is told and hands over, by systemd-python where it is installed, and by the plain protocol."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bgcamd.service import systemd
from bgcamd.service.heartbeat import Heartbeat

PARTS = ("systemd.daemon", "systemd.journal")
WITHOUT_LIBRARY = f"import sys; sys.modules.update(dict.fromkeys({PARTS}))\n"


@pytest.fixture(params=["plain protocol", "systemd-python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways; returns the code with which another Python goes the same."""
    if request.param == "systemd-python":
        pytest.importorskip("systemd.daemon", reason="pip install 'bgcamd[systemd]' to test with systemd-python")
        return ""
    without_library(monkeypatch)
    return WITHOUT_LIBRARY


def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in PARTS:
        monkeypatch.setitem(sys.modules, part, None)


class Systemd:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, name: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(name)
        self.sock.settimeout(30)

    def hears(self) -> list[str]:
        """The lines of the next message."""
        return self.sock.recv(4096).decode().split("\n")

    def until(self, wanted: str) -> list[str]:
        """All lines up to the one that begins so."""
        lines: list[str] = []
        while not any(line.startswith(wanted) for line in lines):
            lines += self.hears()
        return lines

    def silent(self) -> bool:
        """Whether nothing more has come."""
        self.sock.setblocking(False)
        try:
            self.sock.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(30)
        return False


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """A systemd that listens for us."""
    heard = Systemd(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with heard.sock:
        yield heard


def run(code: str, *, fds: tuple[int, ...] = (), **environment: str) -> str:
    """What another Python prints that has ``fds`` as its descriptors 3, 4, ... and is the LISTEN_PID."""
    moved = "".join(f"os.dup2({fd}, {number + 50})\n" for number, fd in enumerate(fds))
    moved += "".join(f"os.dup2({number + 50}, {number + 3})\n" for number in range(len(fds)))
    code = f"import os\n{moved}os.environ.setdefault('LISTEN_PID', str(os.getpid()))\n{code}"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=ours | environment, pass_fds=fds, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestNotify:
    def test_tells_each_line(self, way: str, manager: Systemd) -> None:
        assert systemd.notify("READY=1", "STATUS=live: ä")
        assert manager.hears() == ["READY=1", "STATUS=live: ä"]

    def test_finds_a_socket_that_is_no_file(self, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        name = f"bgcamd-test-{os.getpid()}"
        heard = Systemd(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        with heard.sock:
            assert systemd.notify("READY=1")
            assert heard.hears() == ["READY=1"]

    def test_hands_over_a_descriptor_to_keep(self, way: str, manager: Systemd, tmp_path: Path) -> None:
        with (tmp_path / "device").open("w+b") as device:
            device.write(b"the device")
            device.flush()
            assert systemd.store_fd("loopback", device.fileno())
        message, fds, _, _ = socket.recv_fds(manager.sock, 4096, 4)
        assert message.decode().split("\n") == ["FDSTORE=1", "FDNAME=loopback", "FDPOLL=0"]
        with os.fdopen(fds[0], "rb") as kept:
            assert os.pread(kept.fileno(), 99, 0) == b"the device"

    def test_waits_until_what_was_kept_is_closed(self, way: str, manager: Systemd) -> None:
        systemd.forget_fd("loopback")
        asked = threading.Thread(target=systemd.was_heard)
        asked.start()
        assert manager.hears() == ["FDSTOREREMOVE=1", "FDNAME=loopback"]
        message, fds, _, _ = socket.recv_fds(manager.sock, 4096, 1)
        assert message == b"BARRIER=1"
        assert asked.is_alive()
        os.close(fds[0])
        asked.join(30)
        assert not asked.is_alive()

    def test_outside_systemd_does_nothing(self, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        assert not systemd.notify("READY=1")

    def test_a_systemd_that_is_gone_is_no_error(self, way: str, manager: Systemd) -> None:
        manager.sock.close()
        assert not systemd.notify("READY=1")


class TestWhatIsHandedOver:
    SAY = "import json; from bgcamd.service.systemd import listen_fds, stored_fds\n"
    SAY += "print(json.dumps([listen_fds(), stored_fds(), [os.get_inheritable(fd) for fd in (3, 4)]]))"

    def test_sockets_and_kept_descriptors_are_told_apart(self, way: str, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening, (tmp_path / "device").open("w") as device:
            listening.bind(str(tmp_path / "s.sock"))
            listening.listen()
            fds = (listening.fileno(), device.fileno())
            said = run(way + self.SAY, fds=fds, LISTEN_FDS="2", LISTEN_FDNAMES="control:loopback")
        assert json.loads(said) == [[3], {"loopback": 4}, [False, False]]

    def test_who_waits_at_a_socket_is_turned_away(self, way: str, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
            listening.bind(str(tmp_path / "s.sock"))
            listening.listen()
            client.connect(str(tmp_path / "s.sock"))
            code = "from bgcamd.service.systemd import turn_away; turn_away()"
            run(way + code, fds=(listening.fileno(),), LISTEN_FDS="1")
            assert client.recv(1) == b""

    def test_what_is_meant_for_another_process_is_left_alone(self, way: str) -> None:
        code = "from bgcamd.service.systemd import listen_fds, stored_fds; print(listen_fds(), stored_fds())"
        assert run(way + code, LISTEN_FDS="2", LISTEN_PID="1") == "[] {}"
        assert run(way + code) == "[] {}"


class TestWatchdog:
    def test_interval_is_in_seconds(self, manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
        assert systemd.watchdog_interval() is None
        monkeypatch.setenv("WATCHDOG_USEC", "20000000")
        assert systemd.watchdog_interval() == 20
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        assert systemd.watchdog_interval() == 20

    @pytest.mark.parametrize(("name", "value"), [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "x"), ("WATCHDOG_USEC", "0")])
    def test_there_is_none_for_others(
        self, manager: Systemd, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv("WATCHDOG_USEC", "20000000")
        monkeypatch.setenv(name, value)
        assert systemd.watchdog_interval() is None


class TestLog:
    def test_lines_have_levels_where_stderr_is_the_journal(self) -> None:
        code = (
            f"{WITHOUT_LIBRARY}from bgcamd.service.systemd import log_handler\n"
            "import logging\n"
            "os.dup2(1, 2)\n"
            "found = os.fstat(2)\n"
            "os.environ['JOURNAL_STREAM'] = f'{found.st_dev}:{found.st_ino}'\n"
            "logging.basicConfig(level=logging.DEBUG, handlers=[log_handler()])\n"
            "logging.debug('d'); logging.info('i'); logging.warning('w\\nw'); logging.error('e'); logging.critical('c')"
        )
        assert run(code).splitlines() == ["<7>d", "<6>i", "<4>w", "<4>w", "<3>e", "<2>c"]

    def test_lines_are_plain_elsewhere(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        systemd.log_handler().handle(logging.LogRecord("x", logging.WARNING, "x", 1, "no camera", (), None))
        assert capfd.readouterr().err == "no camera\n"

    def test_fields_go_to_the_journal_by_systemd_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        journal = pytest.importorskip("systemd.journal", reason="pip install 'bgcamd[systemd]'")
        found = os.fstat(2)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        handler = systemd.log_handler()
        assert isinstance(handler, journal.JournalHandler)
        sent: list[dict[str, object]] = []
        monkeypatch.setattr(handler, "send", lambda message, /, **fields: sent.append({"MESSAGE": message, **fields}))
        record = logging.LogRecord("bgcamd.x", logging.WARNING, "x.py", 7, "no camera", (), None)
        record.BGCAMD_STATE = "waiting"
        handler.handle(record)
        wanted = {"MESSAGE": "no camera", "PRIORITY": "4", "LOGGER": "bgcamd.x", "BGCAMD_STATE": "waiting"}
        assert wanted.items() <= sent[0].items()


class Loop:
    """A daemon that works as often as it is told."""

    def __init__(self) -> None:
        self.count, self.asked, self.works = 0, 0, False
        self.state = "waiting: no camera"

    def written(self) -> int:
        self.asked += 1
        self.count += self.works
        return self.count


class TestHeartbeat:
    def test_says_ready_with_the_first_picture_and_not_before(
        self, manager: Systemd, wait_for: Callable[[Callable[[], bool]], bool]
    ) -> None:
        loop = Loop()
        with Heartbeat(loop.written, lambda: loop.state):
            assert wait_for(lambda: loop.asked > 2)
            assert manager.silent()
            loop.works = True
            assert manager.hears() == ["READY=1"]
            assert manager.hears() == ["STATUS=waiting: no camera"]
            loop.state = "live: a\nb"
            assert manager.hears() == ["STATUS=live: a b"]
        assert manager.hears() == ["STOPPING=1"]

    def test_beats_only_while_pictures_go_out(
        self, manager: Systemd, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[[Callable[[], bool]], bool]
    ) -> None:
        monkeypatch.setenv("WATCHDOG_USEC", "30000")
        loop = Loop()
        loop.works = True
        with Heartbeat(loop.written, lambda: loop.state):
            manager.until("WATCHDOG=1")
            manager.until("WATCHDOG=1")
            loop.works = False
            assert wait_for(manager.silent)
            asked = loop.asked
            assert wait_for(lambda: loop.asked > asked + 10)
            assert manager.silent()
            loop.works = True
            manager.until("WATCHDOG=1")

    def test_a_daemon_that_ends_before_its_first_picture_was_never_ready(self, manager: Systemd) -> None:
        with Heartbeat(lambda: 0, lambda: "waiting"):
            pass
        assert manager.hears() == ["STOPPING=1"]

    def test_outside_systemd_has_no_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        with Heartbeat(lambda: pytest.fail("asked"), lambda: pytest.fail("asked")):
            pass


def test_the_program_serves_the_socket_that_systemd_made(tmp_path: Path, manager: Systemd, models: Path) -> None:
    """And tells ready, state and end."""
    path = tmp_path / "bgcamd.sock"
    home = {"HOME": str(tmp_path), "BGCAMD_MODELS": str(models), "XDG_RUNTIME_DIR": str(tmp_path / "none")}
    code = f"import os\nos.dup2({{}}, 3)\nos.environ['LISTEN_PID'] = str(os.getpid())\n{WITHOUT_LIBRARY}"
    code += "from bgcamd.__main__ import main; main()"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        daemon = subprocess.Popen(
            [sys.executable, "-c", code.format(listening.fileno()), "--camera", "/dev/no-camera", "--output", "null:"],
            env=os.environ | home | {"LISTEN_FDS": "1"}, cwd=tmp_path, pass_fds=[listening.fileno()],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert "READY=1" in manager.until("STATUS=waiting")
            bgcam = [sys.executable, "-c", "from bgcamd.cli import main; main()"]
            asked = [*bgcam, "status", "--json", "--socket", str(path)]
            assert json.loads(subprocess.check_output(asked, timeout=60))["state"] == "waiting"
            own = subprocess.run([*bgcam, "set", "--model", "./own.toml", "--socket", str(path)],
                                 capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
            assert "only models by name" in own.stderr
            daemon.send_signal(signal.SIGTERM)
            manager.until("STOPPING=1")
            daemon.wait(30)
        finally:
            daemon.kill()
            print(daemon.communicate(timeout=30)[0])  # noqa: T201 - pytest shows it where the test fails
    assert daemon.returncode == 0
    assert path.is_socket(), "it is systemd's"


def test_settings_that_make_no_sense_turn_away_who_waits_at_the_socket(tmp_path: Path, manager: Systemd) -> None:
    """For them systemd would start it again at once, to fail again."""
    code = f"import os\nos.dup2({{}}, 3)\nos.environ['LISTEN_PID'] = str(os.getpid())\n{WITHOUT_LIBRARY}"
    code += "from bgcamd.__main__ import main; main()"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "bgcamd.sock"))
        listening.listen()
        client.connect(str(tmp_path / "bgcamd.sock"))
        done = subprocess.run(
            [sys.executable, "-c", code.format(listening.fileno()), "--output", "rtsp://here"],
            env=os.environ | {"HOME": str(tmp_path), "LISTEN_FDS": "1"}, cwd=tmp_path, pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
        client.settimeout(30)
        assert client.recv(1) == b""
    assert done.returncode == 78
    assert done.stderr.startswith("Error: ")
    assert any(line.startswith("STATUS=") for line in manager.until("STATUS="))
