"""What the page asks of the daemon: each is a call on its socket, over a connection of its own."""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Generator, Mapping
from pathlib import Path

from bgcamd.errors import BgcamError, ControlError, UsageError
from bgcamd.service.client import Client
from bgcamd.service.varlink import Descriptors, in_memory

SETTABLE = frozenset(
    {"choice", "blur", "color", "remove", "keep", "fit", "mirror"}
    | {"feather", "shift", "threshold", "smooth", "light_wrap"}
)
"""The parameters of org.bgcam.Set that a page may name; what values they may have, the daemon knows."""

HEAD = struct.Struct("!III")
"""Before each moment of ``moments``: the picture's number, its length, and the length of the one before, 0 for none."""

_SET_S = 30.0  # a clip may have to be opened
_MOST_BYTES = 32 << 20  # of one picture


class Calls:
    """The daemon that listens on ``socket``. Any thread may call; each method raises BgcamError."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._small = threading.Lock()

    def ask(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = 5.0
    ) -> dict[str, object]:
        """Call a method of org.bgcam; return its reply."""
        with Client(self._socket) as client:
            reply, fds = client.call(f"org.bgcam.{method}", parameters, timeout_s=timeout_s)
            fds.close()
            return reply

    def set(self, parameters: Mapping[str, object]) -> dict[str, object]:
        """Change the scene as a page asked; return it."""
        for name in parameters:
            if name not in SETTABLE:
                raise UsageError(f"{name[:40]!r} is nothing to set here")
        return self.ask("Set", parameters, timeout_s=_SET_S)

    def show(self, content: bytes, name: str) -> dict[str, object]:
        """Show a picture or a clip behind the person; return the scene."""
        if not content:
            raise UsageError("the file is empty", "choose a picture, a GIF or a video")
        fd = in_memory(content)
        try:
            with Client(self._socket) as client:
                reply, fds = client.call("org.bgcam.Set", {"replace": 0, "name": name}, [fd], timeout_s=_SET_S)
                fds.close()
                return reply
        finally:
            os.close(fd)

    def thumbnail(self, choice: str) -> bytes:
        """A small JPEG of a background. One at a time: the daemon has few places for clients."""
        with self._small, Client(self._socket) as client:
            reply, fds = client.call("org.bgcam.Thumbnail", {"choice": choice}, timeout_s=_SET_S)
            with fds:
                return _content(fds, reply.get("picture"))

    def moments(self, *, before: bool) -> Generator[bytes, None, None]:
        """What viewers see, picture after picture, each a ``HEAD`` and one JPEG or two; first an empty one.

        Ends where the daemon does. What hinders the first picture is raised.
        """
        with Client(self._socket) as client:
            replies = client.stream_with_fds("org.bgcam.Look", {"before": before})
            first = _moment(*next(replies))
            yield b""
            yield first
            try:
                for reply, fds in replies:
                    yield _moment(reply, fds)
            except BgcamError:  # whoever asks for the status is told
                return


def _moment(reply: Mapping[str, object], fds: Descriptors) -> bytes:
    with fds:
        picture = _content(fds, reply.get("picture"))
        before = b"" if reply.get("before") is None else _content(fds, reply.get("before"))
    number = reply.get("number")
    return HEAD.pack(number if isinstance(number, int) else 0, len(picture), len(before)) + picture + before


def _content(fds: Descriptors, index: object) -> bytes:
    """What the descriptor that a reply names is open on."""
    try:
        fd = fds.take(index if isinstance(index, int) else -1)
    except LookupError:
        raise ControlError("the daemon sent no picture", "restart it: it may be of another version") from None
    try:
        size = os.fstat(fd).st_size
        if not 0 < size <= _MOST_BYTES:
            raise ControlError(f"the daemon sent a picture of {size} bytes", "restart it: it may be of another version")
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as memory:
            return memory[:]
    finally:
        os.close(fd)
