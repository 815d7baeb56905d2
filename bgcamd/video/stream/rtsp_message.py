"""RTSP's requests and answers as bytes (RFC 2326, 4 to 7 and 10.12), strict, and bounded in everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_LINE = 2048
MOST_HEADERS = 64
LONGEST_BODY = 4096

_REQUEST = re.compile(r"([A-Z_]{1,32}) ([!-~]{1,1024}) RTSP/([0-9])\.([0-9])")
_HEADER = re.compile(r"([A-Za-z0-9-]{1,64}):[ \t]*([ -~\t]*?)[ \t]*")
_NUMBER = re.compile(r"[0-9]{1,10}")
_DOLLAR = b"$"
_END = b"\r\n"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    505: "RTSP Version not supported",
    551: "Option not supported",
}


class MessageError(Exception):
    """What a client sent is no RTSP; nothing after it can be understood. status: what to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS[status])
        self.status = status


@dataclass(frozen=True)
class Request:
    """One request. headers: by their names in lower case; number: CSeq."""

    method: str
    url: str
    number: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Interleaved:
    """A packet among the requests (RFC 2326, 10.12)."""

    channel: int
    data: bytes


class Incoming:
    """What arrives on one connection, in whatever pieces, as whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Ask ``next`` for messages until there is none before more are fed."""
        self._buffer += data

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._buffer)

    def next(self) -> Request | Interleaved | None:
        """Take the next message; None while it is not whole. Raises MessageError; the connection is then of no use."""
        while self._buffer.startswith(_END):  # allowed between messages
            del self._buffer[:2]
        if self._buffer.startswith(_DOLLAR):
            return self._interleaved()
        return self._request()

    def _interleaved(self) -> Interleaved | None:
        length = int.from_bytes(self._buffer[2:4], "big")
        if len(self._buffer) < 4 or len(self._buffer) < 4 + length:
            return None
        channel, data = self._buffer[1], self._take(4 + length)[4:]
        return Interleaved(channel, data)

    def _request(self) -> Request | None:
        lines, end = self._lines()
        if end is None:
            return None
        headers = _headers(lines[1:])
        length = headers.get("content-length", "0")
        if not _NUMBER.fullmatch(length):
            raise MessageError(400)
        if int(length) > LONGEST_BODY:
            raise MessageError(413)
        method, url = _first_line(lines[0])
        if not _NUMBER.fullmatch(headers.get("cseq", "")):
            raise MessageError(400)
        if len(self._buffer) < end + int(length):
            return None
        body = self._take(end + int(length))[end:]
        return Request(method, url, int(headers["cseq"]), headers, body)

    def _lines(self) -> tuple[list[str], int | None]:
        """The lines there are before the empty one, and where that one ends, if it is there."""
        lines: list[str] = []
        start = 0
        while (stop := self._buffer.find(_END, start, start + LONGEST_LINE + 2)) >= 0:
            if stop == start:
                return lines, stop + 2
            if len(lines) > MOST_HEADERS:
                raise MessageError(400)
            lines.append(self._buffer[start:stop].decode("latin-1"))
            start = stop + 2
        if len(self._buffer) - start > LONGEST_LINE + 1:
            raise MessageError(400)
        return lines, None

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def answer(status: int, number: int, headers: Mapping[str, str] | None = None, body: str = "") -> bytes:
    """Write an answer to the request of that number; a body gets its length."""
    content = body.encode()
    lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {number}", "Server: bgcamd"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if content:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join((*lines, "", "")).encode() + content


def interleaved(channel: int, data: bytes) -> bytes:
    """Write a packet among the answers."""
    return _DOLLAR + bytes((channel,)) + len(data).to_bytes(2, "big") + data


def _first_line(line: str) -> tuple[str, str]:
    match = _REQUEST.fullmatch(line)
    if match is None:
        raise MessageError(400)
    if match[3] != "1":
        raise MessageError(505)
    return match[1], match[2]


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise MessageError(400)
        name, value = match[1].lower(), match[2]
        headers[name] = f"{headers[name]},{value}" if name in headers else value  # RFC 2068, 4.2
    return headers
