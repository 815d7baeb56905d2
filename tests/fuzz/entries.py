"""Where bytes of strangers come in, each as a function of bytes that raises where a promise is broken.

``run.py`` gives them millions of inputs that libFuzzer thinks of; ``test_entries.py`` some that hypothesis does.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from control_entry import Control
from page_entry import Page

from bgcamd.decoding.order import answer_from, answered
from bgcamd.errors import ModelError, SettingsError, UsageError
from bgcamd.matting.manifest import read_manifest
from bgcamd.paths import shipped
from bgcamd.scene import Blur, Clip, Colour, Edge, Fit, Picture, Scene
from bgcamd.service.backgrounds import Backgrounds, cleaned
from bgcamd.service.state import Saved, load, save
from bgcamd.settings import load_settings
from bgcamd.video.address import parse_camera, parse_output
from bgcamd.video.stream.rtsp_message import LONGEST_BODY, Incoming, Interleaved, MessageError
from bgcamd.video.stream.rtsp_transport import wanted
from bgcamd.video.webrtc.offer import codec_of, offer_of
from bgcamd.web.answers import Request

Target = Callable[[bytes], None]


@dataclass(frozen=True)
class Entry:
    """One way in. seeds: good inputs to begin with. words: what good inputs are made of. longest: bytes of an input."""

    target: Target
    seeds: tuple[bytes, ...]
    words: tuple[str, ...] = field(default=())
    longest: int = 2048


@contextlib.contextmanager
def entries(folder: Path) -> Iterator[dict[str, Entry]]:
    """All of them, by name; their files are in ``folder``."""
    with Control(folder) as control, Page() as page:
        yield {
            "wire": Entry(control.wire, control.WIRE_SEEDS, control.WORDS),
            "calls": Entry(control.calls, control.CALL_SEEDS, longest=24),
            "scene": Entry(*_scene(folder)),
            "names": Entry(*_names(folder)),
            "settings": Entry(*_settings(folder)),
            "manifest": Entry(*_manifest(folder)),
            "address": Entry(address, _ADDRESSES, _ADDRESS_WORDS, 256),
            "rtsp": Entry(rtsp, _RTSP, ("RTSP/1.0", "CSeq: 1", "Content-Length: 4", "\r\n", "SETUP", "Transport:")),
            "page": Entry(page.request, page.SEEDS, page.WORDS),
            "decoder": Entry(decoder, (answered({"kind": "picture"}), answered({"error": "no", "hint": "\n"}))),
            "offer": Entry(
                offer, (json.dumps({"type": "offer", "sdp": _OFFER}).encode(),), ("a=", "m=video ", "\\r\\n")
            ),
        }


def _scene(folder: Path) -> tuple[Target, tuple[bytes, ...], tuple[str, ...]]:
    file, here = folder / "scene.json", folder / "here.png"
    here.write_bytes(b"PIC")
    seeds = []
    for scene in (Scene(Blur(9)), Scene(Colour(), Fit.TILE, mirror=True), Scene(Picture(here, "a"), edge=Edge(1, -2))):
        save(file, Saved(scene, "rvm"))
        seeds.append(file.read_bytes())

    def target(data: bytes) -> None:
        """Whatever the file holds, a scene comes of it that can be saved and is then the same."""
        file.write_bytes(data)
        found, note = load(file)
        if isinstance(found.scene.background, Picture | Clip) and not found.scene.background.path.is_file():
            raise AssertionError("a picture that is not there")
        if note:
            return
        save(file, found)
        if load(file) != (found, ""):
            raise AssertionError(f"{found} does not come back")

    return (
        target,
        tuple(seeds),
        ("background", "picture", "clip", "keep", "path", '"/', "null", "true", "-1", "light_wrap"),
    )


def _names(folder: Path) -> tuple[Target, tuple[bytes, ...]]:
    place = folder / "kept"
    place.mkdir()
    (place / "0123456789abcdef.png").write_bytes(b"PIC")
    kept = Backgrounds(place, Picture)

    def target(data: bytes) -> None:
        """What clients called their pictures is text that can be shown, or forgotten."""
        (place / "names.json").write_bytes(data)
        [(_, name)] = kept.kept()
        if name != cleaned(name):
            raise AssertionError(repr(name))

    return target, (b'{"0123456789abcdef.png": "reef.png"}',)


def _settings(folder: Path) -> tuple[Target, tuple[bytes, ...], tuple[str, ...]]:
    file = folder / "settings.toml"

    def target(data: bytes) -> None:
        """A file of settings is read, or refused with its name."""
        file.write_bytes(data)
        try:
            load_settings(file, {})
        except SettingsError as error:
            if str(file) not in error.message:
                raise AssertionError(error.message) from error

    shown = (shipped("config") / "bgcamd.toml", shipped("config") / "demo.toml")
    words = (
        "[camera]",
        "[scene]",
        "address",
        "size",
        "fps",
        "linger",
        '"1280x720"',
        "replace",
        "1e999",
        "nan",
        "0o7",
        "'''",
    )
    return target, (*(file.read_bytes() for file in shown), b'[scene]\ncolor = "teal"\nblur = 3\n'), words


def _manifest(folder: Path) -> tuple[Target, tuple[bytes, ...], tuple[str, ...]]:
    file = folder / "model.toml"

    def target(data: bytes) -> None:
        """A manifest is read and can be asked, or refused with its name."""
        file.write_bytes(data)
        try:
            read_manifest(file).path()
        except ModelError as error:
            if str(file) not in error.message:
                raise AssertionError(error.message) from error

    shown = sorted(shipped("models").glob("*.toml"))
    return (
        target,
        tuple(file.read_bytes() for file in shown),
        ("[input]", "[asset]", "states", "scale", '"max"', "inf", "[[", "{"),
    )


def address(data: bytes) -> None:
    """An address is refused, or what it means, written down, means the same again."""
    text = os.fsdecode(data)
    for parse in (parse_camera, parse_output):
        with contextlib.suppress(UsageError):
            found = parse(text)
            if parse(str(found)) != found:
                raise AssertionError(f"{text!r}: {found!r} is written {found}")


_ADDRESSES = tuple(
    each.encode()
    for each in (
        "auto", "demo:", "/dev/video0", "v4l2:///dev/v4l/by-id/a%20b", "v4l2:HD Webcam", "./clip.mp4", "file:///a%20b.mp4",
        "loopback:Label", "preview:8080", "null:", "rtsp://user:pw@host:554/a?b", "rtp://@:5004?codec=vp8",
        "rtp://[::1]:5004", "webrtc://@0.0.0.0:8554/in", "csi://0", "display://1",
    )
)  # fmt: skip
_ADDRESS_WORDS = ("://", "@", "[::]", "%00", "v4l2:", "file:", "rtsp:", "?codec=", "127.0.0.1", "localhost", "/dev/")


def rtsp(data: bytes) -> None:
    """However the bytes are cut, the same messages come of them, none larger than it may be."""
    whole, cut = _messages([data[1:]]), data[0] if data else 1
    pieces = [data[1:][at : at + cut + 1] for at in range(0, len(data) - 1, cut + 1)]
    if _messages(pieces) != whole:
        raise AssertionError("other messages where it is cut")


def _messages(pieces: list[bytes]) -> list[object]:
    incoming, found = Incoming(), list[object]()
    for piece in pieces:
        incoming.feed(piece)
        try:
            while (message := incoming.next()) is not None:
                found.append(message)
                if isinstance(message, Interleaved):
                    continue
                wanted(message.headers.get("transport", ""))
                if len(message.body) > LONGEST_BODY:
                    raise AssertionError("a long body")
        except MessageError as error:
            return [*found, error.status]
    return found


_OPTIONS = b"OPTIONS rtsp://h/o RTSP/1.0\r\nCSeq: 1\r\n\r\n"
_SETUP = (
    b"SETUP rtsp://h/o/t RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;interleaved=0-1,RTP/AVP;client_port=5000\r\n\r\n"
)
_RTSP = (
    b"\x03" + _OPTIONS + _SETUP + _OPTIONS,
    b"\x40SET_PARAMETER * RTSP/1.0\r\nCSeq: 3\r\nContent-Length: 4\r\n\r\nabcd$\x01\x00\x03abc",
)
_OFFER = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 102\r\n"
    "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\n"
)


def decoder(data: bytes) -> None:
    """Whatever a decoder answers that a bad picture has taken over: plain texts, or it talks nonsense."""
    with contextlib.suppress(ValueError):
        if not all(text.isprintable() and len(text) <= 300 for text in answer_from(data).values()):
            raise AssertionError(data)


def offer(data: bytes) -> None:
    """A browser's offer is refused, or comes without an address that somebody else named, in plain lines."""
    with contextlib.suppress(UsageError):
        sdp = offer_of(Request({}, data))
        if "a=candidate" in sdp or not sdp.isascii() or sdp.count("\r\nm=") != 1:
            raise AssertionError(sdp)
        codec_of(sdp)
