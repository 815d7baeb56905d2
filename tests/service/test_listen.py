"""The socket as a file: who may bind it, and what is left behind."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bgcamd.errors import ControlError, SettingsError
from bgcamd.service.listen import adopt, listen


def test_socket_and_lock_are_gone_afterwards(tmp_path: Path) -> None:
    with listen(tmp_path / "new" / "s.sock"):
        assert stat.S_ISSOCK((tmp_path / "new" / "s.sock").stat().st_mode)
    assert list((tmp_path / "new").iterdir()) == []


def test_socket_and_new_folder_are_only_for_us(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with listen(tmp_path / "new" / "s.sock") as listener:
            assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
            assert stat.S_IMODE((tmp_path / "new" / "s.sock").stat().st_mode) == 0o600
            assert not listener.anyone
    finally:
        os.umask(old)


def test_a_group_gets_the_socket(tmp_path: Path) -> None:
    import grp

    ours = grp.getgrgid(os.getgid()).gr_name
    with listen(tmp_path / "new" / "s.sock", group=ours) as listener:
        found = (tmp_path / "new" / "s.sock").stat()
        assert stat.S_IMODE(found.st_mode) == 0o660
        assert found.st_gid == os.getgid()
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o710
        assert listener.anyone


def test_a_group_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no group"), listen(tmp_path / "s.sock", group="no-such-group-here"):
        pass


def test_a_second_daemon_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listen(path):
        with pytest.raises(ControlError, match="another bgcamd is answering"), listen(path):
            pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_of_many_daemons_at_once_one_wins(tmp_path: Path) -> None:
    path, won, lost = tmp_path / "s.sock", [], []
    start, decided = threading.Barrier(8), threading.Barrier(8)

    def attempt() -> None:
        start.wait()
        try:
            with listen(path):
                won.append(1)
                decided.wait()
        except ControlError:
            lost.append(1)
            decided.wait()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert list(tmp_path.iterdir()) == []


def test_the_socket_of_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    script = (
        "import os, sys, pathlib, bgcamd.service.listen as l\nwith l.listen(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, path], check=False)
    assert path.is_socket()
    with listen(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_that_another_program_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        with pytest.raises(ControlError, match="answering"), listen(path):
            pass
    assert path.is_socket()


@pytest.mark.parametrize("name", ["file", "folder"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ControlError, match="is no socket"), listen(tmp_path / name):
        pass
    assert (tmp_path / "file").read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="too long"), listen(tmp_path / ("x" * 120)):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(ControlError, match="another user"), listen(tmp_path / "s.sock"):
        pass


def test_a_listening_socket_is_adopted_and_nothing_else(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as given:
        with pytest.raises(ControlError, match="does not listen"):
            adopt(given.fileno())
        given.bind(str(tmp_path / "s.sock"))
        given.listen(1)
        adopted = adopt(os.dup(given.fileno()))
        assert adopted.anyone
        adopted.sock.close()
    with Path(os.devnull).open("rb") as file, pytest.raises(ControlError, match="no socket"):
        adopt(file.fileno())
