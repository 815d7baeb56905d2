"""The wire: framing, limits, descriptors."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgcamd.service.varlink import MAX_FDS, MAX_MESSAGE, Channel, WireError, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the raw socket at its other end."""
    ours, theirs = socket.socketpair()
    with Channel(ours) as channel, theirs:
        yield channel, theirs


@given(messages=st.lists(OBJECTS, max_size=5), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_messages_arrive_whole_however_the_stream_is_cut(messages: list[dict[str, object]], cuts: list[int]) -> None:
    stream = b"".join(json.dumps(message).encode() + b"\0" for message in messages)
    ours, theirs = socket.socketpair()
    with Channel(ours) as channel, theirs:
        _feed(theirs, stream, itertools.cycle(cuts))
        received = [channel.receive(5) for _ in messages]
    assert [each and each.body for each in received] == messages


@given(message=OBJECTS)
def test_what_is_sent_is_received(message: dict[str, object]) -> None:
    one, other = socket.socketpair()
    with Channel(one) as sender, Channel(other) as receiver:
        sender.send(message, timeout_s=1)
        received = receiver.receive(1)
    assert received is not None
    assert received.body == message


@given(raw=st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_an_object_or_a_wire_error(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(decode(raw), dict)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b'"x"', b"{", b'{"a":NaN}', b'{"a":-Infinity}', b"\xff{}", b"[" * 60_000, b'{"a":' * 60_000,
     b'{"a":' + b"9" * 5000 + b"}", '{"a":1}'.encode("utf-16")],
    ids=["empty", "list", "null", "string", "cut", "nan", "infinity", "no utf-8", "list bomb", "object bomb",
         "endless number", "utf-16"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(WireError):
        decode(raw)


def test_a_message_of_the_longest_size_passes_and_a_longer_one_does_not(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    longest = b'{"a":"' + b"x" * (MAX_MESSAGE - 8) + b'"}'
    _feed(theirs, longest + b"\0" + longest + b" \0")
    first = channel.receive(10)
    assert first is not None
    assert len(str(first.body["a"])) == MAX_MESSAGE - 8
    with pytest.raises(WireError, match="more than"):
        channel.receive(10)


def test_an_endless_message_is_refused_before_it_fills_the_memory(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    _feed(theirs, b"x" * (MAX_MESSAGE + 200_000))
    with pytest.raises(WireError, match="more than"):
        channel.receive(10)


def test_a_message_that_dribbles_in_runs_out_of_time(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    theirs.sendall(b'{"a":')
    with pytest.raises(TimeoutError):
        channel.receive(0.05)


def test_a_connection_that_ends_in_a_message_is_an_error(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    theirs.sendall(b'{"a":')
    theirs.close()
    with pytest.raises(WireError, match="middle"):
        channel.receive(1)


def test_descriptors_come_with_their_message_and_are_closed_unless_taken(open_fds: Callable[[], int]) -> None:
    before = open_fds()
    one, other = socket.socketpair()
    with Channel(one) as sender, Channel(other) as receiver, Path(os.devnull).open("rb") as file:
        sender.send({"n": 1}, [file.fileno(), file.fileno()], timeout_s=1)
        message = receiver.receive(1)
        assert message is not None
        with message.fds as fds:
            taken = fds.take(0)
            with pytest.raises(LookupError):
                fds.take(0)
            with pytest.raises(LookupError):
                fds.take(2)
        assert os.path.samestat(os.fstat(taken), os.fstat(file.fileno()))
        assert not os.get_inheritable(taken)
        os.close(taken)
    assert open_fds() == before


def test_too_many_descriptors_are_refused_and_closed(open_fds: Callable[[], int]) -> None:
    before = open_fds()
    one, other = socket.socketpair()
    with Channel(one) as sender, Channel(other) as receiver:
        sender.send({}, [one.fileno()] * (MAX_FDS + 1), timeout_s=1)
        with pytest.raises(WireError, match="descriptors"):
            receiver.receive(1)
    assert open_fds() == before


def test_descriptors_of_a_message_that_is_garbage_are_closed(open_fds: Callable[[], int]) -> None:
    before = open_fds()
    one, other = socket.socketpair()
    with one, Channel(other) as receiver:
        socket.send_fds(one, [b"garbage\0"], [one.fileno()])
        with pytest.raises(WireError):
            receiver.receive(1)
    assert open_fds() == before


def test_hung_up_tells_that_the_other_end_closed(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    assert not channel.hung_up(0.01)
    theirs.close()
    assert channel.hung_up(1)


def _feed(sock: socket.socket, data: bytes, cuts: Iterator[int] | None = None) -> None:
    """Send more than the socket's buffer holds, in pieces of these sizes, from a thread."""

    def send() -> None:
        rest = data
        with contextlib.suppress(OSError):  # the reader may have seen enough
            while rest:
                size = next(cuts) if cuts else len(rest)
                sock.sendall(rest[:size])
                rest = rest[size:]

    threading.Thread(target=send, daemon=True).start()
