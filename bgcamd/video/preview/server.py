"""The HTTP side of the preview: a page, a stream of pictures, one picture. Nothing else, and nothing without the token.

Only requests to this machine's own names are answered, so that a page elsewhere whose name was made to point
here (DNS rebinding) learns nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import select
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from bgcamd.video.preview.newest_jpeg import NewestJpeg

_VIEWERS = 4
_CONNECTIONS = 16
_STALLED_S = 5.0  # how long a client may take to ask, or to take one picture
_PICTURE_S = 2.0  # how long a client waits for a picture
_SEND_BUFFER = 1 << 18  # a picture or two: a slow client then skips pictures instead of seeing old ones
_PATH = re.compile(r"/(?P<token>[^/?]+)/(?P<what>[^/?]*)(\?.*)?")
_BOUNDARY = b"\r\n--picture\r\n"


class PreviewServer(ThreadingHTTPServer):
    """Listens from the moment it is made.

    Parameters
    ----------
    host, port: where; port 0 for any that is free. Raises OSError where that isn't possible.
    newest: the pictures.
    page: the HTML document at ``/TOKEN/``.

    Attributes
    ----------
    url: the page's address.
    """

    daemon_threads = False  # so that server_close waits for them
    request_queue_size = _CONNECTIONS

    def __init__(self, host: str, port: int, newest: NewestJpeg, page: str) -> None:
        self.newest = newest
        self.page = page.encode()
        self.token = secrets.token_urlsafe()
        self.policy = _policy(page)
        self._connections: set[Any] = set()
        self._counting = threading.Lock()
        super().__init__((host, port), _Handler)
        self.url = f"http://{host}:{self.server_port}/{self.token}/"
        names = (host, "127.0.0.1", "localhost", "[::1]")
        self.hosts = {f"{name}:{self.server_port}".removesuffix(":80") for name in names}
        self._thread = threading.Thread(target=self.serve_forever, args=(60.0,), name="preview")
        self._thread.start()

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

    def stop(self) -> None:
        """Stop listening, cut all connections, and wait for every thread. Once."""
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever, which would else look up only once a minute
        self.shutdown()
        self._thread.join()
        with self._counting:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PreviewServer
    server_version = "bgcamd"
    sys_version = ""
    timeout = _STALLED_S
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = _PATH.fullmatch(self.path)
        answer = self._answers.get(path["what"]) if path and self._is_ours(path["token"]) else None
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            answer(self)

    def _is_ours(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self.server.token.encode())

    def _page(self) -> None:
        self._begin("text/html; charset=utf-8", len(self.server.page))
        self.wfile.write(self.server.page)

    def _picture(self) -> None:
        newest = self.server.newest
        with newest.watched(_VIEWERS) as number:
            found = None if number is None else newest.after(number, _PICTURE_S)
        if found is None:
            self._refuse()
            return
        self._begin("image/jpeg", len(found[1]))
        self.wfile.write(found[1])

    def _stream(self) -> None:
        newest = self.server.newest
        with newest.watched(_VIEWERS) as before:
            if before is None:
                self._refuse()
                return
            self._begin("multipart/x-mixed-replace; boundary=picture")
            self.wfile.write(_BOUNDARY)
            number = before
            while not newest.closed and not self._left():
                found = newest.after(number, _PICTURE_S)
                if found is not None:
                    number, jpeg = found
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                    self.wfile.write(b"".join((head, jpeg, _BOUNDARY)))  # browsers show it at the next boundary

    _answers: ClassVar = {"": _page, "frame.jpg": _picture, "stream.mjpg": _stream}

    def _left(self) -> bool:
        """Whether the client has hung up."""
        poll = select.poll()
        poll.register(self.connection, select.POLLRDHUP)
        return bool(poll.poll(0))

    def _begin(self, kind: str, length: int | None = None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _refuse(self) -> None:
        self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain="No picture now, or too many viewers")

    def end_headers(self) -> None:
        """Every answer, errors too: keep nothing, guess nothing, show it nowhere else, tell nobody the address."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as BaseHTTPRequestHandler names it
        """Requests are nobody's business."""


def _policy(page: str) -> str:
    """A Content-Security-Policy that allows the page its own style sheet and pictures, and no more."""
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; img-src 'self'; style-src {allowed}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
