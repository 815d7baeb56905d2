"""How packets reach a client of RTSP: among the answers of its connection, or by UDP to its own address."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bgcamd.video.stream.packets import is_rtcp
from bgcamd.video.stream.rtsp_message import interleaved

_PAIR = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_LOW_PORTS = 1024
_TRIES = 32


@dataclass(frozen=True)
class Wanted:
    """A transport that a client takes. pair: two channels of its connection, or two ports of its host with ``udp``."""

    udp: bool
    pair: tuple[int, int]


def wanted(header: str) -> Wanted | None:
    """Read the header Transport (RFC 2326, 12.39): the first that we can do, or None."""
    return next((found for spec in header.split(",") if (found := _wanted(spec)) is not None), None)


def _wanted(spec: str) -> Wanted | None:
    protocol, *words = (word.strip() for word in spec.split(";"))
    parameters = dict(word.partition("=")[::2] for word in words)
    if "multicast" in parameters or parameters.get("mode", "PLAY").strip('"').upper() != "PLAY":
        return None
    if protocol.upper() == "RTP/AVP/TCP":
        pair = _pair(parameters.get("interleaved", "0-1"))
        return Wanted(udp=False, pair=pair) if pair and max(pair) < 256 else None
    if protocol.upper() in {"RTP/AVP", "RTP/AVP/UDP"}:
        pair = _pair(parameters.get("client_port", ""))
        return Wanted(udp=True, pair=pair) if pair and min(pair) >= _LOW_PORTS and max(pair) < 65536 else None
    return None


def _pair(text: str) -> tuple[int, int] | None:
    match = _PAIR.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    pair = first, int(match[2] or first + 1)
    return pair if pair[0] != pair[1] else None


class Carrier(Protocol):
    """Carries packets to one client."""

    @property
    def header(self) -> str:
        """What to answer as Transport."""

    @property
    def report(self) -> socket.socket | None:
        """The socket on which the client's reports arrive, if they have one of their own."""

    def send(self, packets: Sequence[bytes]) -> None:
        """Send a picture's packets. Raises OSError when the client is gone, or takes nothing any more."""

    def close(self) -> None:
        """Give back what it holds."""


class Wire:
    """A connection on which answers and packets go out, each whole. Raises TimeoutError for a client that stalls."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        with self._lock:
            self._connection.sendall(data)


class OverTcp:
    """A carrier that uses the client's own connection."""

    report = None

    def __init__(self, wire: Wire, pair: tuple[int, int], ssrc: int) -> None:
        self._wire, self._pair = wire, pair
        self.header = f"RTP/AVP/TCP;unicast;interleaved={pair[0]}-{pair[1]};ssrc={ssrc:08X}"

    def send(self, packets: Sequence[bytes]) -> None:
        """Send them, or wait until there is room; raises TimeoutError for a client that takes nothing."""
        self._wire.send(b"".join(interleaved(self._pair[is_rtcp(packet)], packet) for packet in packets))

    def close(self) -> None:
        """The connection is not ours."""


class OverUdp:
    """A carrier from two ports of ours to two of the client. What does not get through is lost.

    The client is who is at the other end of ``connection``, so that nobody can have packets sent to another.
    """

    def __init__(self, connection: socket.socket, pair: tuple[int, int], ssrc: int) -> None:
        ours, theirs = connection.getsockname()[0], connection.getpeername()
        self._sockets = _two_sockets(connection.family, ours)
        ports = [made.getsockname()[1] for made in self._sockets]
        for made, port in zip(self._sockets, pair, strict=True):
            made.setblocking(False)
            made.connect((theirs[0], port, *theirs[2:]))  # only what comes from there is taken, too
        self.report = self._sockets[1]
        self.header = (
            f"RTP/AVP;unicast;client_port={pair[0]}-{pair[1]};server_port={ports[0]}-{ports[1]};ssrc={ssrc:08X}"
        )

    def send(self, packets: Sequence[bytes]) -> None:
        """Send them; never waits, never raises."""
        for packet in packets:
            with suppress(OSError):
                self._sockets[is_rtcp(packet)].send(packet)

    def close(self) -> None:
        """Close both sockets."""
        for made in self._sockets:
            made.close()


def _two_sockets(family: int, host: str) -> tuple[socket.socket, socket.socket]:
    """Two sockets on an even port and the one after (RFC 3550, 11). Raises OSError where none are free."""
    for _ in range(_TRIES):
        rtp, rtcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        try:
            port = 32768 + 2 * secrets.randbelow(14000)
            rtp.bind((host, port))
            rtcp.bind((host, port + 1))
        except OSError:
            rtp.close()
            rtcp.close()
        else:
            return rtp, rtcp
    raise OSError("no two ports are free")
