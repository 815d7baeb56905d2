"""RTSP's messages as bytes, and its transports."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.video.stream.rtsp_message import (
    LONGEST_BODY,
    LONGEST_LINE,
    MOST_HEADERS,
    Incoming,
    Interleaved,
    MessageError,
    Request,
    answer,
    interleaved,
)
from bgcamd.video.stream.rtsp_transport import Wanted, wanted

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
names = st.from_regex(r"x-[a-z0-9-]{1,20}", fullmatch=True)
requests = st.builds(
    Request,
    st.from_regex(r"[A-Z_]{1,32}", fullmatch=True),
    words,
    st.integers(0, 10**10 - 1),
    st.dictionaries(names, words, max_size=8),
    st.binary(max_size=200),
)
packets = st.builds(Interleaved, st.integers(0, 255), st.binary(max_size=300))


def written(message: Request | Interleaved) -> bytes:
    if isinstance(message, Interleaved):
        return interleaved(message.channel, message.data)
    headers = {"CSeq": str(message.number), "Content-Length": str(len(message.body)), **message.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{message.method} {message.url} RTSP/1.0\r\n{lines}\r\n".encode() + message.body


def read(*pieces: bytes) -> list[Request | Interleaved]:
    incoming, messages = Incoming(), []
    for piece in pieces:
        incoming.feed(piece)
        while (message := incoming.next()) is not None:
            messages.append(message)
    return messages


def plain(message: Request | Interleaved) -> Request | Interleaved:
    """Without the headers that ``written`` added."""
    if isinstance(message, Interleaved):
        return message
    headers = {name: value for name, value in message.headers.items() if name.startswith("x-")}
    return Request(message.method, message.url, message.number, headers, message.body)


@given(st.lists(requests | packets, max_size=5), st.data())
def test_messages_are_read_as_they_were_written_in_whatever_pieces_they_come(
    messages: list[Request | Interleaved], data: st.DataObject
) -> None:
    stream = b"".join(map(written, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(map(plain, read(*pieces))) == messages


@given(st.binary(max_size=2000))
def test_whatever_comes_is_a_message_or_an_error_or_waited_for(data: bytes) -> None:
    with suppress(MessageError):
        read(data)


@given(st.integers(500, 4000), st.sampled_from([b"A" * 4000, b"\r\nA: b" * 600, b"A: b\r\n" * 600]))
def test_what_is_waited_for_is_bounded(size: int, line: bytes) -> None:
    incoming, most = Incoming(), (MOST_HEADERS + 2) * (LONGEST_LINE + 2)

    def feed_for_ever() -> None:
        incoming.feed(b"OPTIONS * RTSP/1.0\r\n")
        for _ in range(most // size + 1):
            incoming.feed(line[:size])
            incoming.next()

    with pytest.raises(MessageError):
        feed_for_ever()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
        (b"OPTIONS * RTSP/1.0\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: one\r\n\r\n", 400),
        (b"OPTIONS  RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400),
        (b"options * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nCSeq: 2\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nno colon\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nA: \x00\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nA: b\nC: d\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n", 400),
        (f"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: {LONGEST_BODY + 1}\r\n\r\n".encode(), 413),
        (b"OPTIONS * RTSP/1.0\r\n" + b"A" * (LONGEST_LINE + 2), 400),
        (b"OPTIONS * RTSP/1.0\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(MOST_HEADERS + 1)), 400),
    ],
)
def test_what_is_no_request_of_rtsp_is_refused(text: bytes, status: int) -> None:
    with pytest.raises(MessageError) as caught:
        read(text)
    assert caught.value.status == status


def test_a_header_that_comes_twice_is_a_list() -> None:
    (request,) = read(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: a\r\nuser-agent: b\r\n\r\n")
    assert isinstance(request, Request)
    assert request.headers["user-agent"] == "a,b"


def test_an_answer_has_the_requests_number_and_its_bodys_length() -> None:
    assert answer(200, 7, {"Session": "a"}, "é") == (
        b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nServer: bgcamd\r\nSession: a\r\nContent-Length: 2\r\n\r\n\xc3\xa9"
    )


class TestTransport:
    @pytest.mark.parametrize(
        ("header", "transport"),
        [
            ("RTP/AVP/TCP;unicast;interleaved=2-3", Wanted(udp=False, pair=(2, 3))),
            ("RTP/AVP/TCP", Wanted(udp=False, pair=(0, 1))),
            ("RTP/AVP;unicast;client_port=5000-5001", Wanted(udp=True, pair=(5000, 5001))),
            ("RTP/AVP/UDP;unicast;client_port=5000;mode=play", Wanted(udp=True, pair=(5000, 5001))),
            ('RTP/AVP;multicast, RTP/AVP/TCP;interleaved=0-1;mode="PLAY"', Wanted(udp=False, pair=(0, 1))),
        ],
    )
    def test_the_first_that_we_can_do_is_taken(self, header: str, transport: Wanted) -> None:
        assert wanted(header) == transport

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "RTP/AVP;multicast",
            "RTP/AVP;unicast",
            "RTP/AVP;unicast;client_port=80-81",
            "RTP/AVP;unicast;client_port=65535",
            "RTP/AVP;unicast;client_port=5000-5000",
            "RTP/AVP/TCP;interleaved=255",
            "RTP/AVP/TCP;interleaved=0-1;mode=RECORD",
            "RTP/SAVP;unicast;client_port=5000-5001",
            "RAW/RAW/UDP;unicast;client_port=5000-5001",
        ],
    )
    def test_others_are_refused(self, header: str) -> None:
        assert wanted(header) is None

    @given(st.text(max_size=200))
    def test_whatever_the_header_says_the_ports_are_ports(self, header: str) -> None:
        found = wanted(header)
        assert found is None or all(0 <= number < 65536 for number in found.pair)
