"""What comes of talking to the daemon: its status, or how it fails to answer."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bgcamd.errors import BgcamError
from bgcamd.service.client import Client

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


@dataclass(frozen=True)
class Contact:
    """One daemon.

    state: it "answers"; nobody is there ("absent"); it is a service that starts when it is asked ("asleep"); we may
        not ask ("denied"); it takes the call and says nothing sensible ("silent").
    status: as org.bgcam has it; empty where it does not answer. error: why it does not.
    pid: of whoever listens, where that can be told.
    """

    socket: Path
    state: Literal["answers", "absent", "asleep", "denied", "silent"]
    status: Mapping[str, object] = field(default_factory=dict)
    error: BgcamError | None = None
    pid: int | None = None

    def said(self, key: str) -> str:
        """A text of the status; "" where it is missing."""
        value = self.status.get(key)
        return value if isinstance(value, str) else ""

    def number(self, *keys: str) -> float | None:
        """A number of the status, under keys within keys; None where it is missing."""
        value: object = self.status
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return float(value) if isinstance(value, int | float) else None


def contact(path: Path, patience_s: float) -> Contact:
    """Ask the daemon on ``path`` how it is."""
    try:
        client = Client(path)
    except BgcamError as error:
        match error.__cause__:
            case FileNotFoundError() | NotADirectoryError() | ConnectionRefusedError():
                return Contact(path, "absent", error=error)
            case PermissionError():
                return Contact(path, "denied", error=error)
        return Contact(path, "silent", error=error, pid=_listener(path))
    with client:
        try:
            reply, fds = client.call("org.bgcam.GetStatus", timeout_s=patience_s)
        except BgcamError as error:
            return Contact(path, "silent", error=error, pid=_listener(path))
        fds.close()
    status = reply.get("status")
    return Contact(path, "answers", status if isinstance(status, Mapping) else {}, pid=_listener(path))


def _listener(path: Path) -> int | None:
    """The process that listens there; with a socket that systemd opened, systemd's 1, which tells nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, suppress(OSError):
        sock.setblocking(False)
        sock.connect(str(path))
        pid, _, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return int(pid) if pid > 1 else None
    return None
