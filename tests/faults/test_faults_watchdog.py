"""The watchdog is fed while pictures go out by the loop, in whatever state, and only then."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from fault_house import House

from bgcamd.matting.fake import Fault as Wrong
from bgcamd.video.null import NullSink

BEAT_S = 0.3


class Manager:
    """systemd, as far as it listens."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def fed(self, seconds: float) -> bool:
        """Whether "WATCHDOG=1" comes within so long, from now on."""
        self._socket.setblocking(False)
        while self._heard():
            pass
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            if "WATCHDOG=1" in self._heard():
                return True
        return False

    def _heard(self) -> str:
        try:
            return self._socket.recv(1 << 16).decode()
        except (BlockingIOError, TimeoutError):
            return ""

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    it = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", str(round(BEAT_S * 1e6)))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield it
    it.close()


@pytest.fixture
def addresses() -> tuple[str, ...]:
    return "loopback:", "null:"


@pytest.fixture
def guarded(manager: Manager, tmp_path: Path, addresses: tuple[str, ...]) -> Iterator[House]:
    settings = {"camera.linger": 0.0, "output.addresses": addresses}
    with House(tmp_path, settings=settings, page=False) as house:
        house.live()
        yield house


def test_it_is_fed_while_it_is_live_paused_waits_or_hides(guarded: House, manager: Manager) -> None:
    assert manager.fed(5)
    guarded.ask("Pause")
    assert manager.fed(5)
    guarded.ask("Resume")
    guarded.engine.fault = Wrong.NAN
    guarded.until("hidden")
    assert manager.fed(5)
    guarded.engine.fault = None
    guarded.live()
    guarded.camera.unplug()
    guarded.until("waiting")
    assert manager.fed(5)


@pytest.mark.parametrize("addresses", [("loopback:",)])  # of any other, somebody may always be watching
def test_it_is_fed_while_nobody_watches(guarded: House, manager: Manager) -> None:
    guarded.output.read_by(0)
    guarded.until("idle")
    assert manager.fed(5)


def test_it_is_not_fed_by_the_cards_of_the_understudy_while_the_loop_hangs(guarded: House, manager: Manager) -> None:
    guarded.engine.fault = Wrong.STALL
    guarded.card()
    start = len(guarded.written)
    assert not manager.fed(4 * BEAT_S)
    assert all(each.card for each in guarded.written[start:])
    assert len(guarded.written) > start
    guarded.engine.fault = None
    guarded.engine.unstall.set()
    guarded.live()
    assert manager.fed(5)


def test_it_is_not_fed_while_an_output_hangs(guarded: House, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Event()
    monkeypatch.setattr(NullSink, "write", lambda *_: held.wait() and None)
    deadline = time.monotonic() + 5
    while guarded.loop._air.acquire(timeout=0.2):
        guarded.loop._air.release()
        assert time.monotonic() < deadline
    assert not manager.fed(4 * BEAT_S)
    held.set()
    guarded.live()
    assert manager.fed(5)
