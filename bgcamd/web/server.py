"""Serves pages to browsers by HTTP: only under a secret address, only so much at a time, and never in anybody's way.

Each connection has a thread of its own and one request. Only requests to this machine's own names, or to its bare
addresses, are answered, so that a page elsewhere whose name was made to point here (DNS rebinding) learns nothing;
and what changes anything is taken only from the page itself.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import select
import socket
import socketserver
import sys
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from bgcamd.errors import BgcamError, SinkError
from bgcamd.web.answers import Request, Route, Stream, as_json
from bgcamd.web.budget import Budget
from bgcamd.web.hosts import is_ours, plain
from bgcamd.web.network import network_hint

_CONNECTIONS = 16
_STALLED_S = 5.0  # how long a client may be silent within a request or take nothing of an answer
_ASKING_S = 10.0  # how long a request without a body may take to arrive
_BYTES_PER_S = 1 << 17  # how slowly a body may come at the least
_BODIES = 128 << 20  # bytes, of all that are in the works at once
_SEND_BUFFER = 1 << 18  # a picture or two: a slow client then skips pictures instead of seeing old ones
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class WebServer(ThreadingHTTPServer):
    """Listens from the moment it is made until ``close``; a context manager.

    Parameters
    ----------
    host, port: an IP address of this machine, or 0.0.0.0 or ::; port 0 for any that is free.
    secret: the first part of every path.
    gets, posts: the routes under ``/SECRET/``, by the rest of the path, "" for the page itself.

    Attributes
    ----------
    url: the address of the page at "", ending in "/".

    Raises
    ------
    SinkError: the port is taken, or not ours to take.
    """

    daemon_threads = False  # so that server_close waits for them
    request_queue_size = _CONNECTIONS

    def __init__(
        self, host: str, port: int, secret: str, gets: Mapping[str, Route], posts: Mapping[str, Route] | None = None
    ) -> None:
        self.secret = secret
        self.routes = {"GET": gets, "HEAD": gets, "POST": posts or {}}
        self.bodies = Budget(_BODIES)
        self.closing = threading.Event()
        self._host = ipaddress.ip_address(host)
        self._connections: set[Any] = set()
        self._counting = threading.Lock()
        self.address_family = socket.AF_INET if self._host.version == 4 else socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            message = f"can't listen on {host}:{port}: {error.strerror}"
            raise SinkError(message, network_hint(error.errno, "choose another port, or end what has it")) from error
        self.url = f"http://{self._name}:{self.server_port}/{secret}/"
        self._thread = threading.Thread(target=self.serve_forever, args=(60.0,), name="web")
        self._thread.start()

    @property
    def _name(self) -> str:
        """The host of the URL: where we listen everywhere, what this machine calls itself."""
        if self._host.is_unspecified:
            return socket.gethostname()
        return str(self._host) if self._host.version == 4 else f"[{self._host}]"

    def server_bind(self) -> None:
        """Bind; without HTTPServer's look-up of the host's name, which may ask the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection; past the limit, close it."""
        with self._counting:
            admitted = len(self._connections) < _CONNECTIONS
            if admitted:
                self._connections.add(request)
        if admitted:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._counting:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening, cut all connections, and wait for every thread; a second call does nothing."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever, which would else look up only once a minute
        self.shutdown()
        self._thread.join()
        with self._counting:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    server_version = "bgcamd"
    sys_version = ""
    timeout = _STALLED_S
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Give the request so long to arrive, however it drips."""
        super().setup()
        self._deadline = self._cut_after(_ASKING_S)

    def finish(self) -> None:
        self._deadline.cancel()
        self._deadline.join()  # so that no thread is left once we have closed
        super().finish()

    def do_GET(self) -> None:
        route = self._route()
        if route is not None:
            self._deadline.cancel()
            self._answer(route, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        route = self._route()
        if route is None:
            return
        length = self.headers.get("Content-Length", "")
        if not self._comes_from_page():
            self._refuse(HTTPStatus.FORBIDDEN, "Not asked by the page itself")
        elif not re.fullmatch(r"[0-9]{1,12}", length, re.ASCII):
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > route.longest_body:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {route.longest_body} bytes")
        else:
            self._deadline.cancel()
            self._deadline = self._cut_after(_ASKING_S + int(length) / _BYTES_PER_S)
            with self.server.bodies.part(int(length)) as there_is_room:
                if there_is_room:
                    self._take(route, int(length))
                else:
                    self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Others send much at the moment")

    def _take(self, route: Route, length: int) -> None:
        body = self.rfile.read(length)
        self._deadline.cancel()
        if len(body) == length:
            self._answer(route, body)

    def _refuse(self, status: HTTPStatus, why: str | None = None) -> None:
        """Answer an error, and throw away what still comes: who is cut off while sending never reads the answer."""
        self.send_error(status, explain=why)
        with suppress(OSError):  # it has hung up already
            self.connection.shutdown(socket.SHUT_WR)
        while self.rfile.read1(_SEND_BUFFER):  # until it is tired of it, or its time is up
            pass

    def _cut_after(self, seconds: float) -> threading.Timer:
        connection = self.connection

        def cut() -> None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        return timer

    def _route(self) -> Route | None:
        """What answers this request; None, and an error sent, where nothing does."""
        if not is_ours(self.headers.get("Host", ""), self.server.server_port):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        given, _, rest = self.path.removeprefix("/").partition("?")[0].partition("/")
        known = "/" in self.path[1:] and secrets.compare_digest(given.encode(), self.server.secret.encode())
        route = self.server.routes[self.command].get(rest) if known else None
        if route is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        return route

    def _comes_from_page(self) -> bool:
        """Whether the browser says that our own page asks, or it is no browser, which sends neither header."""
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        origin = self.headers.get("Origin", f"http://{self.headers['Host']}")
        return site == "same-origin" and origin.lower() == f"http://{self.headers['Host']}".lower()

    def _answer(self, route: Route, body: bytes) -> None:
        try:
            query = dict(parse_qsl(self.path.partition("?")[2], keep_blank_values=True, max_num_fields=16))
        except ValueError:  # no page of ours sends as many
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        try:
            client, host = plain(self.client_address[0]), plain(self.connection.getsockname()[0])
            answer = route.answer(Request(query, body, client, host))
        except BgcamError as error:
            answer = as_json({"error": error.message, "hint": error.hint}, HTTPStatus.CONFLICT)
        if isinstance(answer, Stream):
            with closing(answer.chunks) as chunks:
                self._begin(HTTPStatus.OK, answer.kind)
                for chunk in chunks if self.command != "HEAD" else ():
                    if self.server.closing.is_set() or self._left():
                        break
                    self.wfile.write(chunk)
            return
        self._begin(answer.status, answer.kind, len(answer.body))
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _left(self) -> bool:
        """Whether the client has hung up."""
        poll = select.poll()
        poll.register(self.connection, select.POLLRDHUP)
        return bool(poll.poll(0))

    def _begin(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer; one by HTTP/0.9, which any garbled request counts as, would lack the headers below."""
        if self.request_version == "HTTP/0.9":
            self.request_version = "HTTP/1.0"
        super().send_response(code, message)

    def end_headers(self) -> None:
        """Every answer, errors too: keep nothing, guess nothing, show it nowhere else, tell nobody the address."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "same-origin")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as BaseHTTPRequestHandler names it
        """Requests are nobody's business."""
