"""What one run of the service leaves to the next: its virtual camera, open, and a card to show at once."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bgcamd.service import systemd
from bgcamd.service.keeping import Keeping

CARD = np.arange(48, dtype=np.uint8)


class Store:
    """systemd's: it hears what is to be kept, and hands it over at the next start."""

    def __init__(self, path: Path) -> None:
        self.kept: dict[str, int] = {}
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def hand_over(self) -> dict[str, int]:
        """Duplicates of what is kept, after what was said so far."""
        assert systemd.was_heard()
        return {name: os.dup(fd) for name, fd in self.kept.items()}

    def close(self) -> None:
        systemd.notify("END=1")
        self._thread.join()
        self._sock.close()
        for fd in self.kept.values():
            os.close(fd)

    def _hear(self) -> None:
        while True:
            message, fds, _, _ = socket.recv_fds(self._sock, 4096, 4)
            said = dict(line.split("=") for line in message.decode().split("\n"))
            if "END" in said:
                return
            if "FDSTORE" in said:
                self.kept[said["FDNAME"]] = fds.pop()
            elif said.get("FDNAME") in self.kept:
                fds.append(self.kept.pop(said["FDNAME"]))
            for fd in fds:
                os.close(fd)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    store = Store(tmp_path / "notify")
    monkeypatch.setattr(systemd, "stored_fds", store.hand_over)
    yield store
    store.close()


def device_number(fd: int) -> int:
    return os.fstat(fd).st_rdev


def test_a_device_is_found_again_by_its_node(store: Store) -> None:
    with Path("/dev/null").open("wb") as device:
        assert Keeping().keep("/dev/null", device.fileno())
        number = device_number(device.fileno())
    with Keeping() as later:
        fd = later.take("/dev/null")
        assert fd is not None
        assert device_number(fd) == number
        os.close(fd)
        assert later.take("/dev/null") is None  # it is the first caller's


def test_a_node_that_is_another_device_now_is_not_taken_and_forgotten(store: Store, tmp_path: Path) -> None:
    node = tmp_path / "null"
    node.symlink_to("/dev/null")
    with node.open("wb") as device:
        Keeping().keep(str(node), device.fileno())
    node.unlink()
    node.symlink_to("/dev/zero")
    assert Keeping().take(str(node)) is None
    assert store.hand_over() == {}


def test_what_was_left_and_nobody_took_is_closed(store: Store) -> None:
    with Path("/dev/null").open("wb") as device:
        Keeping().keep("/dev/null", device.fileno())
    later = Keeping()
    later.clear()
    assert later.take("/dev/null") is None
    assert store.hand_over() == {}


def test_the_last_runs_card_is_shown_until_the_device_is_taken(store: Store) -> None:
    reader, writer = os.pipe()
    first = Keeping()
    first.keep("/dev/video10", writer)
    first.keep_card(CARD[:32], CARD[32:].reshape(4, 4))
    os.close(writer)
    with Keeping() as later:
        assert os.read(reader, 48) == CARD.tobytes()
        assert os.read(reader, 48) == CARD.tobytes()  # again and again
        assert later.take("/dev/video10") is None  # a pipe is no device: it is closed
    store.hand_over()
    while os.read(reader, 1024):
        pass  # nobody holds its other end: the card is written no more
    os.close(reader)


def test_the_card_is_the_newest(store: Store) -> None:
    reader, writer = os.pipe()
    first = Keeping()
    first.keep("/dev/video10", writer)
    first.keep_card(CARD)
    first.keep_card(CARD[::-1])
    os.close(writer)
    with Keeping() as later:
        assert os.read(reader, 48) == CARD[::-1].tobytes()
        later.clear()
    os.close(reader)


def test_outside_systemd_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with Keeping() as keeping, Path("/dev/null").open("wb") as device:
        assert keeping.take("/dev/null") is None
        assert not keeping.keep("/dev/null", device.fileno())
        keeping.keep_card(CARD)
