"""One client's conversation (RFC 2326): what it may ask, and in which order."""

from __future__ import annotations

import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

from bgcamd.frame import Size
from bgcamd.video.stream.packets import Packetizer
from bgcamd.video.stream.rtsp_message import Incoming, Interleaved, MessageError, Request, answer
from bgcamd.video.stream.rtsp_transport import Carrier, OverTcp, OverUdp, Wanted, Wire, wanted
from bgcamd.video.stream.viewer import Viewer

TRACK = "video"
TIMEOUT_S = 60.0
"""How long a client may say nothing at all; reports of RTCP count."""

_ASKING_S = 10.0  # how long a request may take to arrive, and a client that has no session to ask for one
_PACE_S = 0.01  # between two looks at what a client sent, so that one that floods us takes no time from the loop
_PIECE = 4096
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER"


class Served(Protocol):
    """The stream as a session sees it. secret, stream: the two parts of its path; size: of the picture."""

    secret: str
    stream: str
    size: Size

    def description(self, host: str) -> str:
        """What DESCRIBE answers to a client that reached us at ``host``."""

    def join(self, viewer: Viewer) -> bool:
        """Let a viewer see what is encoded; False when there are too many."""

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""

    def want_key(self) -> None:
        """Make one of the next pictures a key frame."""


class Session:
    """Talks to one client until it leaves, breaks a rule, or is cut off; the connection is the caller's to close."""

    def __init__(self, connection: socket.socket, served: Served) -> None:
        self._connection, self._served = connection, served
        self._wire, self._incoming = Wire(connection), Incoming()
        self._id = secrets.token_hex(8)
        self._viewer: Viewer | None = None
        self._began_s = 0.0  # when the message began that has not ended, or else the wait for one
        self._starts, self._ended = False, False
        self._asks: Mapping[str, Callable[[Request], bytes]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._get_parameter,
        }

    def run(self, closing: threading.Event) -> None:
        """Answer until the end. Raises OSError when the client is gone."""
        try:
            while not self._ended and not closing.wait(_PACE_S) and self._take():
                while not self._ended and (message := self._incoming.next()) is not None:
                    self._heed(message)
        except MessageError as error:
            self._wire.send(answer(error.status, 0))
        finally:
            if self._viewer is not None:
                with suppress(OSError):  # ends a send that waits
                    self._connection.shutdown(socket.SHUT_RDWR)
                self._served.leave(self._viewer)
                self._viewer.close()

    def _take(self) -> bool:
        """Wait for more bytes of the client; False when it has left, or said nothing for too long."""
        partial = self._incoming.partial
        patience = TIMEOUT_S if self._viewer is not None and not partial else _ASKING_S
        if not partial:
            self._began_s = time.monotonic()
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        report = self._viewer.carrier.report if self._viewer is not None else None
        if report is not None:
            poll.register(report, select.POLLIN)
        left_s = self._began_s + patience - time.monotonic()
        if left_s <= 0:  # however much of it keeps coming
            return False
        ready = {handle for handle, _ in poll.poll(left_s * 1000)}
        if report is not None and report.fileno() in ready:
            with suppress(OSError):  # nobody at its port, which its own end of the connection tells better
                report.recv(_PIECE)
        if self._connection.fileno() in ready:
            data = self._connection.recv(_PIECE)
            self._incoming.feed(data)
            if not partial:
                self._began_s = time.monotonic()
            return bool(data)
        return bool(ready)

    def _heed(self, message: Request | Interleaved) -> None:
        if isinstance(message, Interleaved):
            if self._viewer is None or self._viewer.carrier.report is not None:
                raise MessageError(400)
            return  # a report; that it came is all we need to know
        self._wire.send(self._answer(message))
        if self._starts and self._viewer is not None:  # not before the answer: some clients take it for one
            self._starts = False
            self._viewer.play()
            self._served.want_key()

    def _answer(self, request: Request) -> bytes:
        if request.method not in self._asks:
            return answer(405, request.number, {"Allow": _METHODS})
        if "require" in request.headers:
            return answer(551, request.number, {"Unsupported": request.headers["require"]})
        if not (request.method == "OPTIONS" and request.url == "*") and not self._is_ours(request):
            return answer(404, request.number)
        return self._asks[request.method](request)

    def _is_ours(self, request: Request) -> bool:
        """Whether the URL names our stream; for SETUP, its track."""
        try:
            path = urlsplit(request.url).path
        except ValueError:
            return False
        secret, _, rest = path.removeprefix("/").partition("/")
        known = secrets.compare_digest(secret.encode(), self._served.secret.encode())
        name, _, track = rest.partition("/")
        return known and name == self._served.stream and track in {"", TRACK}

    def _options(self, request: Request) -> bytes:
        return answer(200, request.number, {"Public": _METHODS})

    def _describe(self, request: Request) -> bytes:
        body = self._served.description(self._connection.getsockname()[0])
        headers = {"Content-Type": "application/sdp", "Content-Base": request.url.rstrip("/") + "/"}
        return answer(200, request.number, headers, body)

    def _setup(self, request: Request) -> bytes:
        if self._viewer is not None:
            return answer(455, request.number)
        chosen = wanted(request.headers.get("transport", ""))
        if chosen is None:
            return answer(461, request.number)
        packetizer = Packetizer(self._served.size)
        try:
            carrier = self._carrier(chosen, packetizer.ssrc)
        except OSError:
            packetizer.close()
            return answer(453, request.number)
        viewer = Viewer(carrier, packetizer, self._cut)
        if not self._served.join(viewer):
            viewer.close()
            return answer(453, request.number)
        self._viewer = viewer
        headers = {"Transport": carrier.header, "Session": f"{self._id};timeout={TIMEOUT_S:.0f}"}
        return answer(200, request.number, headers)

    def _carrier(self, chosen: Wanted, ssrc: int) -> Carrier:
        if chosen.udp:
            return OverUdp(self._connection, chosen.pair, ssrc)
        return OverTcp(self._wire, chosen.pair, ssrc)

    def _play(self, request: Request) -> bytes:
        if (refusal := self._refusal(request)) is not None or self._viewer is None:
            return refusal or answer(455, request.number)
        headers = {"Session": self._id, "Range": "npt=now-"}
        if not self._viewer.playing:
            track = f"{request.url.rstrip('/').removesuffix('/' + TRACK)}/{TRACK}"
            headers["RTP-Info"] = f"url={track};seq={self._viewer.next_number}"
            self._starts = True
        return answer(200, request.number, headers)

    def _pause(self, request: Request) -> bytes:
        if (refusal := self._refusal(request)) is not None or self._viewer is None:
            return refusal or answer(455, request.number)
        self._viewer.pause()
        return answer(200, request.number, {"Session": self._id})

    def _teardown(self, request: Request) -> bytes:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        self._ended = True
        return answer(200, request.number, {"Session": self._id})

    def _get_parameter(self, request: Request) -> bytes:
        """Without a body it is a sign of life; parameters we have none."""
        return answer(451 if request.body.strip() else 200, request.number, {"Session": self._id})

    def _refusal(self, request: Request) -> bytes | None:
        """The answer to who asks for something of a session that is not there, or not theirs."""
        if self._viewer is None:
            return answer(455, request.number)
        given = request.headers.get("session", "").partition(";")[0].strip()
        return None if given == self._id else answer(454, request.number)

    def _cut(self) -> None:
        """End the conversation with a client that takes nothing any more."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
