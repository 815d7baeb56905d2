"""The addresses of streams: what a URL of the network, of a window or of a CSI camera means.

    in:   rtsp://HOST[:554]/PATH   rtp://@[HOST]:5004   webrtc://@[HOST]:8554/NAME   csi://0
    out:  rtsp://@[HOST]:8554/NAME   rtp://HOST:5004   webrtc://@[HOST]:8554/NAME   display://0

An ``@`` before the host says that we listen there; without a host that is this machine only (127.0.0.1), and
``@0.0.0.0`` or ``@[::]`` is every interface. jetson-utils writes its streams the same way.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from bgcamd.errors import UsageError

LOOPBACK = "127.0.0.1"
CODECS = ("h264", "h265", "vp8", "vp9", "mjpeg")
"""What RTP may carry to us; ``?codec=`` in the address names another than the first."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_RTSP_PORT = 554
_LOW_PORTS = 1024


@dataclass(frozen=True)
class Served:
    """A stream that others fetch from us, or, as a camera, bring to us. host: the interface, an IP address."""

    scheme: Literal["rtsp", "webrtc"]
    host: str
    port: int
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}://@{_listening(self.host)}:{self.port}/{self.name}"


@dataclass(frozen=True)
class Rtp:
    """Packets to a host, or, for a camera, those that arrive at one of ours. port is even; RTCP has the next."""

    host: str
    port: int
    listens: bool = False
    codec: str = CODECS[0]

    def __str__(self) -> str:
        host = f"@{_listening(self.host)}" if self.listens else bracketed(self.host)
        return f"rtp://{host}:{self.port}" + (f"?codec={self.codec}" if self.codec != CODECS[0] else "")


@dataclass(frozen=True)
class Rtsp:
    """A stream that somebody else serves. url: the whole of it; text for people leaves out user and password."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def shown(self) -> str:
        """The URL without what is secret in it."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


@dataclass(frozen=True)
class Display:
    """A window on a screen; number: which of those that the window system knows."""

    number: int = 0

    def __str__(self) -> str:
        return f"display://{self.number}"


@dataclass(frozen=True)
class Csi:
    """A camera on the board's own connector."""

    number: int = 0

    def __str__(self) -> str:
        return f"csi://{self.number}"


def bracketed(host: str) -> str:
    """The host as URLs write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _listening(host: str) -> str:
    return "" if host == LOOPBACK else bracketed(host)


def parse_rtsp_camera(rest: str) -> Rtsp:
    """``rtsp:`` and ``rest``. Raises UsageError."""
    parts = _split("rtsp", rest, "rtsp://camera.lan:554/stream")
    if parts.netloc.startswith("@"):
        raise UsageError(
            f"rtsp:{rest}: nobody can send to us by RTSP", "name who serves it, or take webrtc://@:8554/in"
        )
    _port(parts, "rtsp", rest, _RTSP_PORT)
    return Rtsp(f"rtsp:{rest}")


def parse_rtp_camera(rest: str) -> Rtp:
    """``rtp:`` and ``rest``, where packets arrive. Raises UsageError."""
    parts = _split("rtp", rest, "rtp://@:5004")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    codec = query.pop("codec", CODECS[0])
    if codec not in CODECS or query or not parts.netloc.startswith("@") or parts.path.strip("/"):
        raise UsageError(f"rtp:{rest}: not where packets arrive", f"rtp://@:5004, and ?codec= is one of {_or(CODECS)}")
    return Rtp(_interface(parts, "rtp", rest), _even(parts, rest), listens=True, codec=codec)


def parse_rtp_output(rest: str) -> Rtp:
    """``rtp:`` and ``rest``, who gets the packets. Raises UsageError."""
    parts = _split("rtp", rest, "rtp://192.168.1.7:5004")
    host = parts.hostname or ""
    if "@" in parts.netloc or parts.path.strip("/") or parts.query:
        raise UsageError(f"rtp:{rest}: name who gets the packets", "for example rtp://192.168.1.7:5004")
    return Rtp(host, _even(parts, rest))


def parse_rtsp_output(rest: str) -> Served:
    """``rtsp:`` and ``rest``, where we serve. Raises UsageError."""
    return _served("rtsp", rest)


def parse_webrtc(rest: str) -> Served:
    """``webrtc:`` and ``rest``, where we serve, and bring or fetch the picture. Raises UsageError."""
    return _served("webrtc", rest)


def parse_display(rest: str) -> Display:
    """``display:`` and ``rest``. Raises UsageError."""
    return Display(_number("display", rest))


def parse_csi(rest: str) -> Csi:
    """``csi:`` and ``rest``. Raises UsageError."""
    return Csi(_number("csi", rest))


def _served(scheme: Literal["rtsp", "webrtc"], rest: str) -> Served:
    example = f"{scheme}://@:8554/output"
    parts = _split(scheme, rest, example)
    name = parts.path.removeprefix("/")
    if not parts.netloc.startswith("@"):
        raise UsageError(f"{scheme}:{rest}: no @, which says that it is served here", f"for example {example}")
    if not _NAME.fullmatch(name) or set(name) == {"."} or parts.query:
        raise UsageError(f"{scheme}:{rest}: the stream has no name, or one of odd letters", f"for example {example}")
    return Served(scheme, _interface(parts, scheme, rest), _listening_port(parts, scheme, rest), name)


def _split(scheme: str, rest: str, example: str) -> SplitResult:
    """Take the URL apart; what urlsplit calls an error, and letters that no URL has, are ours to tell."""
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        hostname = parts.hostname or ""
    except ValueError:
        parts, hostname = SplitResult("", "", "", "", ""), ""
    good = _HOST.fullmatch(hostname) or _is_ip(hostname) or (not hostname and parts.netloc.startswith("@"))
    if not good or parts.fragment or not rest.isprintable() or " " in rest:
        raise UsageError(f"{scheme}:{rest}: not an address of a stream", f"for example {example}")
    return parts


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _interface(parts: SplitResult, scheme: str, rest: str) -> str:
    host = parts.hostname or LOOPBACK
    host = LOOPBACK if host == "localhost" else host
    if not _is_ip(host):
        raise UsageError(
            f"{scheme}:{rest}: {host} is no IP address", "an interface of this machine, or @0.0.0.0 for all"
        )
    return host


def _port(parts: SplitResult, scheme: str, rest: str, default: int | None = None) -> int:
    try:
        port = parts.port or default
    except ValueError:
        port = None
    if port is None:
        raise UsageError(f"{scheme}:{rest}: no port from 1 to 65535", f"for example {scheme}://@:8554")
    return port


def _listening_port(parts: SplitResult, scheme: str, rest: str) -> int:
    port = _port(parts, scheme, rest)
    if port < _LOW_PORTS:
        raise UsageError(f"{scheme}:{rest}: ports below {_LOW_PORTS} are the system's", "8554, say")
    return port


def _even(parts: SplitResult, rest: str) -> int:
    """The port of RTP; RTCP takes the odd one after it (RFC 3550, 11)."""
    port = _listening_port(parts, "rtp", rest)
    if port % 2:
        raise UsageError(f"rtp:{rest}: the port is odd", f"RTP takes an even one, and the one after it: {port - 1}")
    return port


def _number(scheme: str, rest: str) -> int:
    number = rest.removeprefix("//")
    if not re.fullmatch(r"[0-9]{1,3}", number, re.ASCII):
        raise UsageError(f"{scheme}:{rest}: no number", f"for example {scheme}://0")
    return int(number)


def _or(words: tuple[str, ...]) -> str:
    return ", ".join(words)
