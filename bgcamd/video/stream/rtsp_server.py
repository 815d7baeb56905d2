"""Listens for clients of RTSP: only so many at a time, each in a thread of its own and in nobody's way."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from bgcamd.atomic import reason
from bgcamd.errors import SinkError
from bgcamd.video.stream.rtsp_session import Served, Session
from bgcamd.web.network import network_hint

_CONNECTIONS = 16  # twice the viewers, so that those who only knock don't keep them out
_STALLED_S = 5.0  # how long a client may take nothing of what is sent
_SEND_BUFFER = 1 << 16  # a slow client then misses pictures instead of seeing old ones


class RtspServer(socketserver.ThreadingTCPServer):
    """Listens from the moment it is made until ``close``; a context manager.

    Parameters
    ----------
    host, port: an IP address of this machine, or 0.0.0.0 or ::; port 0 for any that is free.
    served: the one stream.

    Attributes
    ----------
    url: the stream's address, with the secret.

    Raises
    ------
    SinkError: the port is taken, or not ours to take.
    """

    allow_reuse_address = True
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = _CONNECTIONS

    def __init__(self, host: str, port: int, served: Served) -> None:
        self.served, self.closing = served, threading.Event()
        self._connections: set[Any] = set()
        self._counting = threading.Lock()
        address = ipaddress.ip_address(host)
        self.address_family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            message = f"can't listen on {host}:{port}: {reason(error)}"
            raise SinkError(message, network_hint(error.errno, "choose another port, or end what has it")) from error
        name = host if address.version == 4 else f"[{host}]"
        name = socket.gethostname() if address.is_unspecified else name
        self.url = f"rtsp://{name}:{self.server_address[1]}/{served.secret}/{served.stream}"
        self._thread = threading.Thread(target=self.serve_forever, args=(60.0,), name="rtsp")
        self._thread.start()

    def server_bind(self) -> None:
        """Bind, with a bound on what a client that reads slowly has before it."""
        super().server_bind()
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
        if not isinstance(sys.exc_info()[1], OSError):
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


class _Handler(socketserver.BaseRequestHandler):
    server: RtspServer

    def handle(self) -> None:
        self.request.settimeout(_STALLED_S)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Session(self.request, self.server.served).run(self.server.closing)
