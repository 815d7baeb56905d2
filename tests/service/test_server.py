"""The server: nothing that a client does harms the daemon or the other clients."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgcamd.errors import ControlError
from bgcamd.service import places, rates
from bgcamd.service.dispatch import Interface, Reply, Service
from bgcamd.service.listen import Listener, adopt, listen
from bgcamd.service.places import LATE, MAX_CLIENTS
from bgcamd.service.server import Server
from bgcamd.service.varlink import MAX_REQUEST, Channel

Wait = Callable[[Callable[[], bool]], bool]
one_daemon = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def raw(daemon: Any) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(daemon.socket))
    sock.settimeout(5)
    return sock


def alive(daemon: Any) -> bool:
    with daemon.client() as client:
        return bool(client.call("org.bgcam.GetStatus")[0])


@given(garbage=st.binary(min_size=1, max_size=300))
@one_daemon
def test_garbage_closes_the_connection_and_nothing_else(daemon: Any, garbage: bytes) -> None:
    with raw(daemon) as sock:
        sock.sendall(b"\xff" + garbage + b"\0")
        with contextlib.suppress(ConnectionResetError):  # closed with some of it unread
            assert sock.recv(100) == b""
    assert alive(daemon)


CALLS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["org.bgcam.Set", "org.bgcam.Monitor", "org.bgcam.GetStatus", "org.bgcam", ".", ""])
        | st.text(max_size=5),
        "parameters": st.none()
        | st.integers()
        | st.dictionaries(
            st.sampled_from(
                ["replace", "blur", "color", "fit", "name", "mirror", "shift", "interval_ms", "model", "x"]
            ),
            st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2),
        ),
        "oneway": st.booleans(),
        "upgrade": st.none() | st.booleans(),
    },
)


def is_call(call: dict[str, Any]) -> bool:
    return isinstance(call.get("method"), str) and isinstance(call.get("parameters") or {}, dict)


@given(calls=st.lists(CALLS, min_size=1, max_size=4))
@one_daemon
def test_calls_of_any_shape_are_answered_in_order_or_the_connection_closes(
    daemon: Any, calls: list[dict[str, Any]]
) -> None:
    with raw(daemon) as sock, Channel(sock) as channel:
        for call in calls:
            sock.settimeout(5)
            sock.sendall(json.dumps(call).encode() + b"\0")
            if not is_call(call):
                assert channel.receive(5) is None
                break
            if not call.get("oneway"):
                message = channel.receive(5)
                assert message is not None
                assert set(message.body) <= {"parameters", "error"}
    assert alive(daemon)


def test_nesting_without_end_closes_the_connection(daemon: Any) -> None:
    with raw(daemon) as sock:
        sock.sendall(b"[" * 60_000 + b"\0")
        assert sock.recv(1) == b""
    assert alive(daemon)


def test_a_message_without_end_closes_the_connection(daemon: Any) -> None:
    with raw(daemon) as sock, pytest.raises(OSError, match=r"Broken pipe|reset"):
        sock.sendall(b"x" * 10_000_000)
    assert alive(daemon)


def test_a_silent_client_is_let_go(daemon: Any, tmp_path: Path) -> None:
    daemon.socket = tmp_path / "t.sock"
    with listen(daemon.socket) as listener, Server(listener, Service([]), idle_s=0.05), raw(daemon) as sock:
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    "message",
    [b"garbage\0", b'{"method":"org.bgcam.Set","parameters":{"replace":3}}\0', b'{"method":"org.bgcam.GetStatus"}\0',
     b'{"method":"no.such.Thing"}\0', b'{"half'],
)  # fmt: skip
def test_descriptors_that_came_are_closed_whatever_they_came_with(
    daemon: Any, message: bytes, open_fds: Callable[[], int], wait_for: Wait
) -> None:
    before = open_fds()
    for _ in range(20):
        with raw(daemon) as sock, Path(os.devnull).open("rb") as file:
            socket.send_fds(sock, [message], [file.fileno()] * 3)
    assert wait_for(lambda: open_fds() == before)


def test_a_client_that_sends_its_own_end_is_let_go_like_a_silent_one(
    daemon: Any, tmp_path: Path, open_fds: Callable[[], int], wait_for: Wait
) -> None:
    daemon.socket = tmp_path / "t.sock"
    with listen(daemon.socket) as listener, Server(listener, Service([]), idle_s=0.1):
        before = open_fds()
        with raw(daemon) as sock:  # once the server holds this end too, no close of ours reaches it
            socket.send_fds(sock, [b"{"], [sock.fileno()])
        assert wait_for(lambda: open_fds() == before)


def test_a_flood_of_descriptors_is_refused_and_closed(daemon: Any, open_fds: Callable[[], int], wait_for: Wait) -> None:
    before = open_fds()
    with raw(daemon) as sock:
        socket.send_fds(sock, [b"{"], [sock.fileno()] * 200)
        assert sock.recv(1) == b""
    assert wait_for(lambda: open_fds() == before)


def watching(daemon: Any) -> socket.socket:
    """A client that is answered all the time."""
    sock = raw(daemon)
    sock.sendall(b'{"method":"org.bgcam.Monitor","parameters":{"interval_ms":60000},"more":true}\0')
    assert sock.recv(1) == b"{"
    return sock


def test_more_clients_than_places_are_told_and_places_come_back(daemon: Any, wait_for: Wait) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CLIENTS):
            stack.enter_context(watching(daemon))
        with daemon.client() as late, pytest.raises(ControlError, match="8 clients are connected already"):
            late.call("org.bgcam.GetStatus")
    assert wait_for(lambda: _answers(daemon))


def test_all_can_be_hidden_though_all_places_are_taken(daemon: Any) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CLIENTS):
            stack.enter_context(watching(daemon))
        for _ in range(3 * LATE):  # who takes the late places too, and says nothing there, gives way
            stack.enter_context(raw(daemon))
        with daemon.client() as late:
            late.call("org.bgcam.Pause")
    assert daemon.controls.done == ["pause"]


def test_who_has_long_been_silent_gives_way_to_who_comes(daemon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_REST_S", 0)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(raw(daemon)) for _ in range(MAX_CLIENTS)]
        assert alive(daemon)
        assert silent[0].recv(1) == b""
        assert alive(daemon)


def test_who_makes_many_calls_waits_between_them(daemon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    counted = rates.Rates.wait_s

    def noted(self: rates.Rates, uid: int) -> float:
        waits.append(counted(self, uid))
        return 0

    monkeypatch.setattr(rates, "AT_ONCE", 5)
    monkeypatch.setattr(rates.Rates, "wait_s", noted)
    with daemon.client() as client:
        for _ in range(20):
            client.call("org.bgcam.GetStatus")
        client.call("org.bgcam.Pause")  # is not counted
    assert len(waits) == 20
    assert waits[0] == 0
    assert waits[-1] > 0


def test_a_request_longer_than_any_that_makes_sense_closes_the_connection(daemon: Any) -> None:
    with raw(daemon) as sock:
        sock.sendall(b'{"method":"' + b"x" * MAX_REQUEST + b'"}\0')
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
    assert alive(daemon)


def _answers(daemon: Any) -> bool:
    try:
        return alive(daemon)
    except ControlError:
        return False


def test_a_client_killed_while_it_watches_frees_its_place(
    daemon: Any, open_fds: Callable[[], int], wait_for: Wait
) -> None:
    before = open_fds()
    script = (
        "import sys, pathlib; from bgcamd.service.client import Client\n"
        "stream = Client(pathlib.Path(sys.argv[1])).stream('org.bgcam.Monitor', {'interval_ms': 60000})\n"
        "for _ in stream: print('seen', flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", script, daemon.socket], stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == b"seen\n"
        watcher.kill()
    assert wait_for(lambda: open_fds() == before)


def test_a_watcher_that_never_reads_does_not_stop_the_others(daemon: Any) -> None:
    with raw(daemon) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.sendall(b'{"method":"org.bgcam.Monitor","parameters":{"interval_ms":50},"more":true}\0')
        assert all(alive(daemon) for _ in range(20))


def test_calls_in_one_packet_are_answered_one_after_the_other(daemon: Any) -> None:
    with raw(daemon) as sock, Channel(sock) as channel:
        one = b'{"method":"org.varlink.service.GetInfo","parameters":null}\0'
        sock.sendall(one + b'{"method":"org.bgcam.Pause","oneway":true}\0' + one)
        answers = [channel.receive(5) for _ in range(2)]
        assert [each and "version" in each.body["parameters"] for each in answers] == [True, True]  # type: ignore[operator]
    assert daemon.controls.done == ["pause"]


def test_unknown_interfaces_and_methods_are_named(daemon: Any) -> None:
    with raw(daemon) as sock, Channel(sock) as channel:
        expected = {
            "org.other.Do": ("InterfaceNotFound", {"interface": "org.other"}),
            "org.bgcam.Do": ("MethodNotFound", {"method": "org.bgcam.Do"}),
            "Do": ("InterfaceNotFound", {"interface": ""}),
        }
        for method, (error, parameters) in expected.items():
            channel.send({"method": method}, timeout_s=1)
            message = channel.receive(5)
            assert message is not None
            assert message.body == {"error": f"org.varlink.service.{error}", "parameters": parameters}


def test_many_clients_at_once_are_all_served(daemon: Any) -> None:
    answers: list[int] = []

    def ask() -> None:
        for _ in range(20):
            with daemon.client() as client:
                for _ in range(random.randrange(4)):
                    client.call("org.bgcam.GetStatus")
                client.call("org.bgcam.Set", {"mirror": True})
        answers.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4


def test_closing_lets_a_call_in_progress_finish_and_wakes_watchers(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow() -> Reply:
        entered.set()
        leave.wait(5)
        return Reply({"done": True})

    with (
        listen(tmp_path / "s.sock") as listener,
        socket.socket(socket.AF_UNIX) as sock,
        Channel(sock) as channel,
    ):
        with Server(listener, Service([Interface("org.bgcam", {"Slow": slow})])):
            sock.connect(str(tmp_path / "s.sock"))
            channel.send({"method": "org.bgcam.Slow"}, timeout_s=1)
            entered.wait(5)
            threading.Timer(0.2, leave.set).start()
        answer = channel.receive(1)
        assert answer is not None
        assert answer.body["parameters"] == {"done": True}
        assert channel.receive(1) is None


def test_the_end_of_the_daemon_ends_a_stream_with_a_last_reply(daemon: Any, tmp_path: Path) -> None:
    def monitor(call: Any) -> Any:
        yield Reply({"n": 1}, continues=True)
        call.left(60)
        yield Reply({"n": 2})

    with listen(tmp_path / "t.sock") as listener:
        daemon.socket = tmp_path / "t.sock"
        with Server(listener, Service([Interface("org.bgcam", {"Monitor": monitor})])):
            client = daemon.client()
            stream = client.stream("org.bgcam.Monitor")
            assert next(stream) == {"n": 1}
        assert list(stream) == [{"n": 2}]
    assert client.wait_ended(1)
    client.__exit__(None, None, None)


def test_a_socket_handed_over_is_served_and_outlives_the_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(tmp_path / "s.sock"))
        given.listen(4)
        for _ in range(2):
            adopted = adopt(os.dup(given.fileno()))
            with adopted.sock, Server(adopted, Service([])), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(tmp_path / "s.sock"))
                with Channel(sock) as channel:
                    channel.send({"method": "org.varlink.service.GetInfo"}, timeout_s=1)
                    assert channel.receive(5) is not None


class Stranger(socket.socket):
    """A connection whose other end is, says the kernel, somebody else's."""

    def getsockopt(self, *args: Any) -> Any:
        return struct.pack("3i", 1, 54321, 54321)


class Door:
    """A listening socket by which only strangers come in."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def accept(self) -> tuple[socket.socket, str]:
        sock, address = self._sock.accept()
        return Stranger(fileno=sock.detach()), address


@pytest.mark.parametrize("anyone", [False, True])
def test_another_user_is_let_in_only_where_the_socket_is_a_groups(daemon: Any, tmp_path: Path, anyone: bool) -> None:
    with listen(tmp_path / "t.sock") as listener:
        door: Any = Door(listener.sock)
        daemon.socket = tmp_path / "t.sock"
        with Server(Listener(door, anyone), Service([])), daemon.client() as client:
            if anyone:
                assert client.call("org.varlink.service.GetInfo")[0]["product"] == "bgcamd"
            else:
                with pytest.raises(ControlError, match="you may not talk to bgcamd"):
                    client.call("org.bgcam.GetStatus")
