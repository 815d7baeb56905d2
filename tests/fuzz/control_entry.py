"""The control socket as an entry: bytes as they come out of it, and calls of any shape."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from bgcamd.decoding import work
from bgcamd.errors import InputError, ModelError
from bgcamd.frame import Size
from bgcamd.live.looks import Looks
from bgcamd.matting.manifest import find_manifest
from bgcamd.scene import Clip, Picture, Scene
from bgcamd.service import control, server
from bgcamd.service.backgrounds import Backgrounds
from bgcamd.service.dispatch import Call, Service, parameters_of
from bgcamd.service.gallery import Gallery
from bgcamd.service.places import Guest
from bgcamd.service.server import Server
from bgcamd.service.state import scene_to_dict
from bgcamd.service.varlink import MAX_REQUEST, Channel, Descriptors

_ROOM = 100_000  # bytes of replies that wait to be read; a client that lets more wait is let go
_REPLY_KEYS = {"parameters", "error", "continues"}
_VALUES = (
    None, True, False, 0, 1, 50, -1, 100, 2**63, -(2**70), 0.5, 1e300, "", "cover", "tile", "#0af", "teal", "selfie",
    "rvm", "x.toml", "a" * 300, "\0", "\ud800", "../..", "blur", "color:green", [], [1], {}, {"a": []},
)  # fmt: skip


def _sent(fds: int, *calls: tuple[str, dict[str, object]], **flags: bool) -> bytes:
    """An input for ``Control.wire``: so many descriptors, and these calls of org.bgcam."""
    bodies = [{"method": f"org.bgcam.{method}", "parameters": given, **flags} for method, given in calls]
    return bytes([fds]) + b"".join(json.dumps(body).encode() + b"\0" for body in bodies)


class Controls:
    """A daemon that only remembers what it was told."""

    def __init__(self) -> None:
        self.scene, self.looks = Scene(), Looks(Size(64, 48))

    def status(self) -> dict[str, object]:
        """Nearly nothing."""
        return {"state": "live", "scene": scene_to_dict(self.scene)}

    def apply(self, scene: Scene, model: str | None) -> None:
        """As the real one for a stranger."""
        if model is not None:
            if "/" in model or model.endswith(".toml"):
                raise ModelError("only models by name")
            find_manifest(model)
        self.scene = scene

    def snapshot(self) -> bytes:
        """No picture, but bytes."""
        return b"PNG"

    def __getattr__(self, name: str) -> Any:
        """All else is nothing here: pause, resume, stop, and what org.bgcam learns next."""
        return lambda *_, **__: None


class _Log(logging.Handler):
    """Raises what the dispatcher caught as an error of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]


class Control:
    """org.bgcam on a fake daemon, with the server's own way of talking to one client, in the calling thread."""

    WORDS = (
        '"method":"org.bgcam.', '"parameters":{', '"oneway":true', '"more":true', '"replace":0', '"name":"', '"blur":',
        '"choice":"', '"fit":"', "GetStatus", "Monitor", "Set", "Look", "Snapshot", "Backgrounds", "Thumbnail",
        "Forget", "Pause", "Resume", "org.varlink.service.GetInfo", "GetInterfaceDescription", "\\u0000", "1e9999",
    )  # fmt: skip
    WIRE_SEEDS = (
        _sent(0, ("GetStatus", {}), ("Monitor", {"interval_ms": 50}), more=True),
        _sent(2, ("Set", {"replace": 1, "name": "a.png", "fit": "tile"})),
        _sent(0, ("Set", {"color": "#0af", "mirror": True, "shift": -3}), oneway=True) + b"[[[[]]]]\0",
        _sent(0, ("Look", {"before": True}), ("Snapshot", {}), more=True),
        _sent(0, ("Backgrounds", {}), ("Thumbnail", {"choice": "blur"}), ("Forget", {"choice": "sent:1"})),
        _sent(2, ("Pause", {"picture": 0, "name": "b.png"}), ("Pause", {"text": "Back at 3", "freeze": False})),
        b'\0{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"org.bgcam"}}\0{"half',
    )
    CALL_SEEDS = (bytes(range(64)), bytes(64), b"\x02\x11\x05\x07" * 12)

    def __init__(self, folder: Path) -> None:
        self._controls = Controls()
        gallery = Gallery(Backgrounds(folder / "sent", _kind), (folder / "mine",), _kind, work.small)
        served = control.Control(cast(Any, self._controls), gallery, folder / "state.json")
        self._interface = served.interface
        self._service = Service([served.interface])
        self._server = Server(cast(Any, None), self._service, idle_s=0.5)
        self._picture = os.memfd_create("picture")
        os.write(self._picture, b"PIC" * 20)
        self._log = _Log()
        self._fds = self._users = 0

    def __enter__(self) -> Self:
        logging.getLogger("bgcamd.service.dispatch").addHandler(self._log)
        self._send_s, server._SEND_S = server._SEND_S, 0.02  # we read only when all is said
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("bgcamd.service.dispatch").removeHandler(self._log)
        server._SEND_S = self._send_s
        os.close(self._picture)

    def wire(self, data: bytes) -> None:
        """One connection: the first byte says how many descriptors come along. It ends, and leaves none behind."""
        before = _open_fds()
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.settimeout(1)
            fds = [self._picture] * (data[0] % 6 if data else 0)
            if data[1:]:
                socket.send_fds(theirs, [data[1:]], fds)
            theirs.shutdown(socket.SHUT_WR)
            self._users += 1  # each of whom may make many calls at once
            self._server._talk(Guest(Channel(ours, most=MAX_REQUEST), self._users))
            for reply in _replies(theirs):
                _check(reply)
        if _open_fds() != before:
            raise AssertionError("descriptors are left open")

    def calls(self, data: bytes) -> None:
        """Calls of known methods, with known and unknown parameters of all types: each has a reply."""
        source = iter(data)
        methods = [
            *(f"org.bgcam.{name}" for name in self._interface.methods),
            "org.varlink.service.GetInfo",
            "org.bgcam.X",
        ]
        while (first := next(source, None)) is not None:
            method = methods[first % len(methods)]
            known = self._interface.methods.get(method.rpartition(".")[2])
            names = [*(parameters_of(known) if known else ()), "unknown"]
            chosen = {names[key % len(names)]: _VALUES[next(source, 0) % len(_VALUES)] for key in _taken(source, 4)}
            fds = Descriptors([os.dup(self._picture)])
            with fds, closing(self._service.answer(Call(method, chosen, fds, first > 127))) as replies:
                found = list(replies)
            for reply in found:
                Descriptors(reply.fds).close()
                _check({"parameters": reply.parameters, "error": reply.error} if reply.error else {})
                json.dumps(reply.parameters, allow_nan=False)
            if not found:
                raise AssertionError(f"{method} has no reply")


def _taken(source: Iterator[int], most: int) -> list[int]:
    """So many parameters as the next byte says, at most ``most``."""
    return [next(source, 0) for _ in range(next(source, 0) % (most + 1))]


def _replies(sock: socket.socket) -> Iterator[dict[str, object]]:
    """What was sent to us before the end."""
    raw = bytearray()
    try:
        while data := sock.recv(1 << 16):
            raw += data
    except ConnectionResetError:  # not all that we sent was read
        pass
    *whole, rest = raw.split(b"\0")
    if rest and len(raw) < _ROOM:
        raise AssertionError("half a reply")
    yield from map(json.loads, whole)


def _check(reply: dict[str, object]) -> None:
    if not reply.keys() <= _REPLY_KEYS or (reply.get("error") or "org.") == "org.bgcam.Failed":
        raise AssertionError(reply)


def _kind(path: Path, name: str) -> Picture | Clip:
    if path.read_bytes()[:3] != b"PIC":
        raise InputError(f"{path} is no picture")
    return Picture(path, name)


def _open_fds() -> int:
    with os.scandir("/proc/self/fd") as entries:
        return sum(1 for _ in entries)
