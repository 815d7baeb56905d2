"""The web server as an entry: a request as it comes from the network."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

from bgcamd.web.answers import Answer, Request, Route, as_json
from bgcamd.web.server import WebServer, _Handler

_SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0"
_LONGEST = 64


class _Connection(socket.socket):
    """One end of a pair, which says that it is TCP's."""

    def getsockname(self) -> Any:
        return ("127.0.0.1", 80)

    def setsockopt(self, *_: Any) -> None:
        """There is nothing to be set."""


class Page:
    """A page with a button, behind a secret."""

    WORDS = ("GET ", "POST ", "HEAD ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "Host: 127.0.0.1\r\n", "Content-Length: 4\r\n",
             f"/{_SECRET}/", "Origin: http://127.0.0.1\r\n", "Sec-Fetch-Site: same-origin\r\n", "\r\n\r\n",
             "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n")  # fmt: skip
    SEEDS = (
        f"GET /{_SECRET}/?a=1&b=%20 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode(),
        f"POST /{_SECRET}/set HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        "Origin: http://localhost\r\n\r\n{}  ".encode(),
        b"HEAD /other/ HTTP/1.0\r\nHost: [::1]:80\r\n\r\n",
        f"POST /{_SECRET}/set HTTP/0.9\r\nHost: localhost\r\n\r\n".encode(),
        b"GET /\r\n",
        b"\xff\xff / c2 HTTP/0.9\r\n",
        b"BREW / HTTP/1.1\r\nHost: example.org\r\nX: y\r\n z\r\n\r\n",
    )

    def __enter__(self) -> Self:
        self._asked = list[Request]()
        gets, posts = {"": Route(self._answer)}, {"set": Route(self._answer, _LONGEST)}
        self._server = WebServer("127.0.0.1", 0, _SECRET, gets, posts)
        self._server.server_port = 80
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def _answer(self, request: Request) -> Answer:
        self._asked.append(request)
        if request.body:
            request.json()
        return as_json({})

    def request(self, data: bytes) -> None:
        """Whatever comes is answered or cut off; only who knows the secret, and our name, gets through."""
        self._asked.clear()
        one, theirs = socket.socketpair()
        with theirs, _Connection(fileno=one.detach()) as ours:
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            try:
                _Handler(ours, ("127.0.0.1", 5), self._server)
            except (ConnectionError, TimeoutError):  # as the server takes them: the client has left
                return
            ours.shutdown(socket.SHUT_RDWR)
            answer = theirs.recv(1 << 16)
        for asked in self._asked:
            if _SECRET.encode() not in data or b"ost:" not in data.lower() or len(asked.body) > _LONGEST:
                raise AssertionError("it got through")
        if answer and not (answer.startswith(b"HTTP/1.") and b"Content-Security-Policy: default-src 'none'" in answer):
            raise AssertionError(answer[:100])
