"""Varlink's wire: one JSON object a message, ended by a NUL byte, on a Unix stream socket.

The format is that of https://varlink.org/Method-Call. File descriptors travel beside a message (SCM_RIGHTS)
and the parameters name them by their index, as systemd does it; who sends some has one call in flight on that
connection, since a stream says of a descriptor only "with these bytes or the next".
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

from bgcamd.errors import ControlError

MAX_MESSAGE = 1 << 20
"""Bytes in a message; more is not ours."""
MAX_REQUEST = 1 << 16
"""The same in what a client asks: to parse a message of 1 MiB holds up a frame."""
MAX_FDS = 4
"""File descriptors with a message."""

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_CHUNK = 1 << 16
_ANCILLARY = socket.CMSG_LEN(MAX_FDS * array("i").itemsize)


class WireError(ControlError):
    """The other end sent what is not varlink, or left in the middle of it."""


class Descriptors:
    """File descriptors that came with a message, or go with one; closed on leaving, but for those taken."""

    def __init__(self, fds: Iterable[int] = ()) -> None:
        self._fds: list[int | None] = list(fds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._fds)

    def take(self, index: int) -> int:
        """Return the descriptor at ``index``, the caller's from now on. Raises LookupError where there is none."""
        fd = self._fds[index] if 0 <= index < len(self._fds) else None
        if fd is None:
            raise LookupError(f"no file descriptor {index} came with the message")
        self._fds[index] = None
        return fd

    def close(self) -> None:
        """Close those not taken; a second call does nothing."""
        fds, self._fds = self._fds, []
        for fd in fds:
            if fd is not None:
                os.close(fd)


class Message(NamedTuple):
    """What came: the JSON object, and its descriptors, which are the receiver's to close."""

    body: dict[str, object]
    fds: Descriptors


class Channel:
    """Whole messages in and out of a connected socket, which it owns. most: bytes in one that comes."""

    def __init__(self, sock: socket.socket, *, most: int = MAX_MESSAGE) -> None:
        self._sock, self._most = sock, most
        self._buffer = bytearray()
        self._scanned = 0
        self._fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket, and the descriptors of a message that never came to its end."""
        Descriptors(self._fds).close()
        self._fds = []
        self._sock.close()

    def send(self, message: Mapping[str, object], fds: Sequence[int] = (), *, timeout_s: float) -> None:
        """Send one message whole; the descriptors stay the caller's. Raises WireError (too long) and OSError."""
        raw = json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\0"
        if len(raw) > MAX_MESSAGE + 1:
            raise WireError(f"a message of {len(raw)} bytes is too long to send")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
        self._sock.settimeout(timeout_s)
        sent = self._sock.sendmsg([raw], rights)
        self._sock.sendall(memoryview(raw)[sent:])

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None where the other end has closed.

        Raises WireError (not varlink, too long, cut off), TimeoutError when it is not whole in ``timeout_s``,
        OSError.
        """
        deadline = time.monotonic() + timeout_s
        while (end := self._buffer.find(0, self._scanned)) < 0 and len(self._buffer) <= self._most:
            self._scanned = len(self._buffer)
            if not self._fill(deadline):
                if self._buffer:
                    raise WireError("the connection ended in the middle of a message")
                return None
        if not 0 <= end <= self._most:
            raise WireError(f"a message of more than {self._most} bytes")
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._scanned = 0
        body = decode(raw)
        fds, self._fds = self._fds, []
        return Message(body, Descriptors(fds))

    def hung_up(self, timeout_s: float) -> bool:
        """Wait; return True as soon as the other end has closed, or ``stop_reading`` was called, False after that."""
        poller = select.poll()
        poller.register(self._sock, select.POLLRDHUP)
        return bool(poller.poll(timeout_s * 1000))

    def stop_reading(self, *, writing: bool = False) -> None:
        """From another thread: let ``receive`` end as if the other end had closed; with ``writing``, ``send`` too."""
        with contextlib.suppress(OSError):  # it may be closed already
            self._sock.shutdown(socket.SHUT_RDWR if writing else socket.SHUT_RD)

    def _fill(self, deadline: float) -> bool:
        """Read once; False at the end."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the message is not whole in time")
        self._sock.settimeout(left)
        data, ancillary, flags, _ = self._sock.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                came = array("i")
                came.frombytes(payload[: len(payload) - len(payload) % came.itemsize])
                self._fds.extend(came)
        if flags & socket.MSG_CTRUNC or len(self._fds) > MAX_FDS:
            raise WireError(f"more than {MAX_FDS} file descriptors with a message")
        self._buffer += data
        return bool(data)


def in_memory(content: bytes) -> int:
    """A descriptor of an anonymous file that holds ``content``, at its start; nobody can change the file any more."""
    fd = os.memfd_create("bgcamd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def decode(raw: bytes) -> dict[str, object]:
    """Parse a message without its NUL. Raises WireError unless it is one JSON object in UTF-8."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:  # "[" times 60,000
        raise WireError("a message nested too deep") from None
    except ValueError as error:
        raise WireError(f"a message that is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise WireError("a message that is not a JSON object")
    return body


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
