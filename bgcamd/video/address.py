"""What an address means: ``--camera`` and ``--output`` as the user writes them.

    camera:  auto  demo:  /dev/video0  v4l2:///dev/video0  v4l2:NAME  v4l2:  clip.mp4  photo.jpg  file:///a%20b.mp4
    output:  auto  loopback:  loopback:LABEL  /dev/video9  clip.mp4  preview:  preview:8080  null:
    both:    the streams of ``stream_address``: rtsp, rtp, webrtc, csi, display

An address is a word (the colon may be left out), a URL with a path (percent-decoded) or a plain path, taken as it
stands. A path that looks like a word or a URL is written with ``./`` before it. ``str(address)`` gives text
that means the same address again.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

from bgcamd.errors import UsageError
from bgcamd.video.stream_address import (
    Csi,
    Display,
    Rtp,
    Rtsp,
    Served,
    parse_csi,
    parse_display,
    parse_rtp_camera,
    parse_rtp_output,
    parse_rtsp_camera,
    parse_rtsp_output,
    parse_webrtc,
)
from bgcamd.video.v4l2.advice import LABEL

_MOST_LABEL = 31  # v4l2_capability.card holds 32 bytes with its end
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_DEVICE = re.compile(r"/dev/([^/]+|v4l/.+)", re.DOTALL)


@dataclass(frozen=True)
class Auto:
    """The best that this machine has."""

    def __str__(self) -> str:
        return "auto"


@dataclass(frozen=True)
class Demo:
    """The clip that needs no camera."""

    def __str__(self) -> str:
        return "demo:"


@dataclass(frozen=True)
class Device:
    """A V4L2 device node: any name directly in /dev, or one of udev's links in /dev/v4l."""

    path: Path

    def __str__(self) -> str:
        return str(self.path) if _DEVICE.fullmatch(str(self.path)) else f"v4l2://{_quoted(self.path)}"


@dataclass(frozen=True)
class Named:
    """A camera by its name or its bus, or a part that only one has: ``v4l2:HD Webcam``, ``v4l2:usb-0000:00:14.0-5``.

    With no text, ``v4l2:``, whatever camera there is: the one that it was, else the first.
    """

    text: str

    def __str__(self) -> str:
        return f"v4l2:{self.text}"


@dataclass(frozen=True)
class File:
    """A clip, a picture or a numbered pattern of pictures (``frames/%04d.png``), absolute or relative."""

    path: Path

    def __str__(self) -> str:
        text = str(self.path)
        if _DEVICE.fullmatch(text):
            return f"file://{_quoted(self.path)}"
        return f"./{text}" if _SCHEME.fullmatch(text) or text in _WORDS else text


@dataclass(frozen=True)
class Loopback:
    """The v4l2loopback device whose card label is ``label``."""

    label: str = LABEL

    def __str__(self) -> str:
        return "loopback:" if self.label == LABEL else f"loopback:{self.label}"


@dataclass(frozen=True)
class Preview:
    """A page on 127.0.0.1; port 0: any that is free."""

    port: int = 0

    def __str__(self) -> str:
        return f"preview:{self.port}" if self.port else "preview:"


@dataclass(frozen=True)
class Null:
    """Nowhere."""

    def __str__(self) -> str:
        return "null:"


CameraAddress = Auto | Demo | Device | Named | File | Rtsp | Rtp | Served | Csi
OutputAddress = Auto | Loopback | Device | File | Preview | Null | Rtp | Served | Display

_T = TypeVar("_T")


def parse_camera(text: str) -> CameraAddress:
    """Say which camera ``text`` means. Raises UsageError."""
    return _parse(text, "camera", _CAMERAS)


def parse_output(text: str) -> OutputAddress:
    """Say which output ``text`` means. Raises UsageError."""
    return _parse(text, "output", _OUTPUTS)


def _parse(text: str, what: str, known: Mapping[str, Callable[[str], _T]]) -> _T | Device | File:
    if not text or "\0" in text:
        raise UsageError(f"the {what}'s address is empty or holds a zero byte", f"known: {_listed(known)}, or a path")
    if text in known:
        return known[text]("")
    if match := _SCHEME.fullmatch(text):
        scheme, rest = match[1].lower(), match[2]
        if scheme not in known:
            raise _unknown(text, scheme, what, known)
        return known[scheme](rest)
    return Device(Path(text)) if _DEVICE.fullmatch(text) else File(Path(text))


def _unknown(text: str, scheme: str, what: str, known: Mapping[str, object]) -> UsageError:
    near = difflib.get_close_matches(scheme, known, n=1)
    hint = f"did you mean {_shown(near[0])}" if near else f"known: {_listed(known)}, or a path"
    return UsageError(f"{what} {text!r}: there is no {scheme}: here", f"{hint}; the file of that name is ./{text}")


def _listed(known: Mapping[str, object]) -> str:
    return ", ".join(_shown(word) for word in known)


def _shown(word: str) -> str:
    return word if word == "auto" else f"{word}:"


def _bare(word: str, meaning: _T) -> Callable[[str], _T]:
    def parse(rest: str) -> _T:
        if rest:
            raise UsageError(f"{word}:{rest}: nothing may follow {word}:", f"write {meaning}")
        return meaning

    return parse


def _device(rest: str) -> Device:
    return Device(_url_path("v4l2", rest))


def _camera(rest: str) -> Device | Named:
    return _device(rest) if rest.startswith("/") else Named(rest)


def _file(rest: str) -> File:
    return File(_url_path("file", rest))


def _url_path(scheme: str, rest: str) -> Path:
    """The path of ``//host/path`` or ``/path``, percent-decoded (RFC 8089); the host may be empty or localhost."""
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", rest[:1], rest[1:])
    decoded = os.fsdecode(unquote_to_bytes(os.fsencode(path)))
    if host not in {"", "localhost"} or slash != "/" or not decoded or "\0" in decoded:
        raise UsageError(
            f"{scheme}:{rest}: not the absolute path of something on this machine",
            f"write {scheme}:/// and the path, or the path alone",
        )
    return Path("/" + decoded)


def _quoted(path: Path) -> str:
    return quote(os.fsencode(path))


def _loopback(rest: str) -> Loopback:
    if len(os.fsencode(rest)) > _MOST_LABEL:
        raise UsageError(f"loopback:{rest}: the label is too long", f"at most {_MOST_LABEL} bytes")
    return Loopback(rest) if rest else Loopback()


def _preview(rest: str) -> Preview:
    if not rest:
        return Preview()
    if not re.fullmatch(r"[0-9]{1,5}", rest) or int(rest) > 65535:
        raise UsageError(f"preview:{rest}: not a port", "a port is a number from 1 to 65535, as in preview:8080")
    return Preview(int(rest))


_CAMERAS: dict[str, Callable[[str], CameraAddress]] = {
    "auto": _bare("auto", Auto()),
    "demo": _bare("demo", Demo()),
    "v4l2": _camera,
    "file": _file,
    "rtsp": parse_rtsp_camera,
    "rtp": parse_rtp_camera,
    "webrtc": parse_webrtc,
    "csi": parse_csi,
}
_OUTPUTS: dict[str, Callable[[str], OutputAddress]] = {
    "auto": _bare("auto", Auto()),
    "loopback": _loopback,
    "v4l2": _device,
    "file": _file,
    "preview": _preview,
    "null": _bare("null", Null()),
    "rtsp": parse_rtsp_output,
    "rtp": parse_rtp_output,
    "webrtc": parse_webrtc,
    "display": parse_display,
}
_WORDS = _CAMERAS.keys() | _OUTPUTS.keys()
