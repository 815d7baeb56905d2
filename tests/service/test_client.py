"""The client: whatever answers, or does not, it says so in one line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bgcamd.errors import ControlError
from bgcamd.service.client import Client, find_socket


@contextmanager
def answering(path: Path, *answers: bytes | None) -> Iterator[Path]:
    """A server that reads a call and sends the next of ``answers``, then closes; None: it never answers."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with sock:
            for answer in answers:
                sock.recv(100_000)
                if answer is None:
                    done.wait(5)
                else:
                    sock.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield path
        done.set()
        thread.join()


def reply(**body: object) -> bytes:
    return json.dumps(body).encode() + b"\0"


def unknown(version: str) -> tuple[bytes, bytes]:
    """What a daemon of that version says to a method that it does not know, and to GetInfo."""
    error = reply(error="org.varlink.service.MethodNotFound", parameters={"method": "org.bgcam.New"})
    return error, reply(parameters={"version": version})


def test_no_socket_tells_how_to_start_the_daemon(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no bgcamd is running: there is no socket") as caught:
        Client(tmp_path / "s.sock")
    assert "systemctl start bgcamd" in caught.value.hint
    assert caught.value.exit_code == 69


def test_the_socket_of_a_dead_daemon_tells_the_same(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s.sock"))
    with pytest.raises(ControlError, match="nobody answers on"):
        Client(tmp_path / "s.sock")


def test_a_daemon_that_lets_nobody_in_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgcamd.service.client._CONNECT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(tmp_path / "s.sock"))
        stuck.listen(0)
        with Client(tmp_path / "s.sock"), pytest.raises(ControlError, match="takes no more clients"):
            Client(tmp_path / "s.sock")


@pytest.mark.parametrize("name", ["file", "folder", "x" * 200, "file/s.sock"])
def test_a_path_that_is_no_socket_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ControlError):
        Client(tmp_path / name)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user to be")
def test_a_socket_that_we_may_not_use_names_the_group_to_join(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from bgcamd.service.client import Client\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "try: Client(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "s.sock"))
        daemon.listen(1)
        (tmp_path / "s.sock").chmod(0o660)
        found = subprocess.run([sys.executable, "-c", script, tmp_path / "s.sock"], capture_output=True, text=True)  # noqa: PLW1510
    assert found.stdout.startswith("ControlError you may not talk to bgcamd"), found
    assert "usermod -aG root" in found.stdout


def test_a_daemon_that_hangs_is_told_after_the_timeout(tmp_path: Path) -> None:
    with (
        answering(tmp_path / "s.sock", None) as path,
        Client(path) as client,
        pytest.raises(ControlError, match=r"did not answer org.bgcam.GetStatus within 0.1 s"),
    ):
        client.call("org.bgcam.GetStatus", timeout_s=0.1)


@pytest.mark.parametrize("garbage", [b"hello\0", b"[]\0", b'{"parameters":[1]}\0', b'{"error":5}\0', b"\0"])
def test_an_answer_that_is_garbage_is_told(tmp_path: Path, garbage: bytes) -> None:
    with (
        answering(tmp_path / "s.sock", garbage) as path,
        Client(path) as client,
        pytest.raises(ControlError, match="is no bgcamd"),
    ):
        client.call("org.bgcam.GetStatus")


def test_a_daemon_that_dies_in_a_call_is_told(tmp_path: Path) -> None:
    with (
        answering(tmp_path / "s.sock", b"") as path,
        Client(path) as client,
        pytest.raises(ControlError, match="closed the connection"),
    ):
        client.call("org.bgcam.GetStatus")


@pytest.mark.parametrize(
    ("daemon", "ours", "said"),
    [("0.1.0", "0.2.0", "the daemon is older (daemon 0.1.0, bgcam 0.2.0)"),
     ("0.10.0", "0.9.1", "the daemon is newer (daemon 0.10.0, bgcam 0.9.1)"),
     ("0.2.0", "0.2.0", "does not know org.bgcam.New")],
)  # fmt: skip
def test_a_daemon_of_another_version_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: str, ours: str, said: str
) -> None:
    monkeypatch.setattr("bgcamd.service.client.__version__", ours)
    with (
        answering(tmp_path / "s.sock", *unknown(daemon)) as path,
        Client(path) as client,
        pytest.raises(ControlError) as caught,
    ):
        client.call("org.bgcam.New")
    assert said in caught.value.message
    assert "restart it" in caught.value.hint


def test_an_error_that_only_a_newer_daemon_knows_is_told(tmp_path: Path) -> None:
    answers = reply(error="org.bgcam.Newer", parameters={"message": "soup"}), reply(parameters={"version": "99.0"})
    with (
        answering(tmp_path / "s.sock", *answers) as path,
        Client(path) as client,
        pytest.raises(ControlError, match="the daemon is newer"),
    ):
        client.call("org.bgcam.GetStatus")


def test_descriptors_that_nobody_asked_for_are_closed(tmp_path: Path, open_fds: Callable[[], int]) -> None:
    before = open_fds()
    one, other = socket.socketpair()
    with one, other, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.sock"))
        listener.listen(1)
        with Client(tmp_path / "s.sock") as client, listener.accept()[0] as server:
            socket.send_fds(server, [reply(error="org.bgcam.Failed")], [one.fileno()])
            with pytest.raises(Exception, match="Failed"):
                client.call("org.bgcam.GetStatus")
    assert open_fds() == before


def test_the_socket_is_the_one_named_then_the_environments_then_ours_then_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("BGCAMD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert find_socket() == Path("/run/bgcamd/bgcamd.sock")
    (tmp_path / "bgcamd.sock").touch()
    assert find_socket() == tmp_path / "bgcamd.sock"
    monkeypatch.setenv("BGCAMD_SOCKET", "/elsewhere")
    assert find_socket() == Path("/elsewhere")
    assert find_socket(Path("named")) == Path("named")


def test_a_socket_in_another_users_folder_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("BGCAMD_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "bgcamd.sock").touch()
    someone = tmp_path.stat().st_uid or 1
    monkeypatch.setattr(os, "getuid", lambda: someone + 1)
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        status = list(real(self, follow_symlinks=follow_symlinks))
        status[4] = someone  # st_uid; also where the tests run as root
        return os.stat_result(status)

    monkeypatch.setattr(Path, "stat", stat)
    assert find_socket() == Path("/run/bgcamd/bgcamd.sock")
