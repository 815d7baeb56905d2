"""The client of the control socket. Imports no more than it must: ``bgcam status`` starts at once."""

from __future__ import annotations

import grp
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bgcamd import __version__
from bgcamd.errors import BgcamError, ControlError
from bgcamd.paths import DEFAULT_INSTANCE, named_socket, service_socket, user_socket
from bgcamd.service import faults
from bgcamd.service.listen import is_ours, lock_of
from bgcamd.service.varlink import Channel, Descriptors, Message, WireError

_START = "start it: `bgcamd`, or `systemctl start bgcamd` for the system's"
_HUNG = "`bgcam status` tells how it is; its log: `journalctl -u bgcamd`, or the terminal where it runs"
_RESTART = "restart it: `bgcam stop`, then `bgcamd`, or `systemctl restart bgcamd`"
_CONNECT_S = 5.0
_SERVICE = "org.varlink.service"
_UNKNOWN = {f"{_SERVICE}.{name}" for name in ("InterfaceNotFound", "MethodNotFound", "MethodNotImplemented")}


def find_socket(given: Path | None = None, instance: str | None = None) -> Path:
    """The socket to talk to: ``given``, that of a named instance, $BGCAMD_SOCKET, or the usual daemon's.

    An instance of this user's comes before the system's, if it is there and nobody else can have put it there:
    anyone may make the folder in /tmp before we do.
    """
    if given is not None:
        return given
    if instance is None and (chosen := named_socket()) is not None:
        return chosen
    name = instance or DEFAULT_INSTANCE
    own = user_socket(name)
    return own if own.exists() and is_ours(own.parent) else service_socket(name)


class Client:
    """A connection to a daemon; one call at a time.

    Raises ControlError, here and below, when the daemon is not there, does not answer, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._channel = Channel(_connected(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(
        self,
        method: str,
        parameters: Mapping[str, object] | None = None,
        fds: Sequence[int] = (),
        *,
        timeout_s: float = 5.0,
    ) -> tuple[dict[str, object], Descriptors]:
        """Call a method; return its reply, and the descriptors with it, which are the caller's to close.

        ``fds`` stay the caller's. Raises the BgcamError that an error of org.bgcam stands for.
        """
        self._send({"method": method, "parameters": dict(parameters or {})}, fds, timeout_s)
        message = self._receive(method, timeout_s)
        return self._parameters(method, message), message.fds

    def stream(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = 5.0
    ) -> Iterator[dict[str, object]]:
        """Call a method with "more"; yield every reply until the last. Each must come within ``timeout_s``."""
        for reply, fds in self.stream_with_fds(method, parameters, timeout_s=timeout_s):
            fds.close()
            yield reply

    def stream_with_fds(
        self, method: str, parameters: Mapping[str, object] | None = None, *, timeout_s: float = 5.0
    ) -> Iterator[tuple[dict[str, object], Descriptors]]:
        """As ``stream``, with the descriptors that came with each reply, which are the caller's to close."""
        self._send({"method": method, "parameters": dict(parameters or {}), "more": True}, (), timeout_s)
        continues = True
        while continues:
            message = self._receive(method, timeout_s)
            yield self._parameters(method, message), message.fds
            continues = message.body.get("continues") is True

    def wait_ended(self, timeout_s: float) -> bool:
        """Wait until the daemon has ended, so that another may start; False where it has not in time."""
        deadline = time.monotonic() + timeout_s
        ended = self._channel.hung_up(timeout_s)
        while (waiting := lock_of(self._path).exists()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return ended and not waiting

    def _send(self, body: Mapping[str, object], fds: Sequence[int], timeout_s: float) -> None:
        try:
            self._channel.send(body, fds, timeout_s=timeout_s)
        except BrokenPipeError:
            pass  # it closed on us, but said why: the reply is there to read
        except TimeoutError:
            raise self._silent(f"take {body['method']}", timeout_s) from None
        except OSError as error:
            raise self._gone() from error

    def _receive(self, method: str, timeout_s: float) -> Message:
        try:
            message = self._channel.receive(timeout_s)
        except TimeoutError:
            raise self._silent(f"answer {method}", timeout_s) from None
        except WireError as error:
            raise ControlError(f"what answers on {self._path} is no bgcamd: {error.message}", _RESTART) from error
        except OSError as error:
            raise self._gone() from error
        if message is None:
            raise self._gone()
        return message

    def _silent(self, what: str, timeout_s: float) -> ControlError:
        return ControlError(f"bgcamd on {self._path} did not {what} within {timeout_s:g} s", _HUNG)

    def _gone(self) -> ControlError:
        return ControlError(f"bgcamd on {self._path} closed the connection", _HUNG)

    def _parameters(self, method: str, message: Message) -> dict[str, object]:
        """The reply's parameters. Raises the error that the reply stands for."""
        parameters = message.body.get("parameters") or {}
        error = message.body.get("error")
        if error is None and isinstance(parameters, dict):
            return parameters
        message.fds.close()
        if not isinstance(error, str) or not isinstance(parameters, dict):
            raise ControlError(f"what answers on {self._path} is no bgcamd: a reply that makes no sense", _RESTART)
        raise faults.from_wire(error, parameters) or self._refused(method, error, parameters)

    def _refused(self, method: str, error: str, parameters: Mapping[str, object]) -> BgcamError:
        """An error of org.varlink.service, or one of a daemon newer than we are."""
        if error == f"{_SERVICE}.PermissionDenied":
            return _denied(self._path)
        if not method.startswith(_SERVICE):
            reply, fds = self.call(f"{_SERVICE}.GetInfo")
            fds.close()
            theirs = str(reply.get("version"))
            if _order(theirs) != _order(__version__):
                age = "older" if _order(theirs) < _order(__version__) else "newer"
                return ControlError(f"the daemon is {age} (daemon {theirs}, bgcam {__version__})", _RESTART)
        what = "does not know" if error in _UNKNOWN else "refuses"
        details = ", ".join(str(value) for value in parameters.values())
        return ControlError(f"bgcamd on {self._path} {what} {method} ({error.rpartition('.')[2]}: {details})", _RESTART)


def _places(path: Path) -> str:
    """The path, and where else was looked for it."""
    name = path.stem
    return f"{user_socket(name)} or {path}" if path == service_socket(name) else str(path)


def _connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    deadline = time.monotonic() + _CONNECT_S
    try:
        sock.setblocking(False)
        while not _knock(sock, path):
            if time.monotonic() > deadline:
                raise ControlError(f"bgcamd on {path} takes no more clients", _HUNG)
            time.sleep(0.02)
    except OSError as error:
        sock.close()
        raise _unreachable(path, error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _knock(sock: socket.socket, path: Path) -> bool:
    """Connect; False where the daemon has too many at its door just now."""
    try:
        sock.connect(os.fspath(path))
    except BlockingIOError:
        return False
    return True


def _unreachable(path: Path, error: OSError) -> ControlError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ControlError(f"no bgcamd is running: there is no socket {_places(path)}", _START)
    if isinstance(error, ConnectionRefusedError):
        return ControlError(f"no bgcamd is running: nobody answers on {path}", _START)
    if isinstance(error, PermissionError):
        return _denied(path)
    return ControlError(f"can't connect to {path}: {error.strerror or error}", "see --socket and $BGCAMD_SOCKET")


def _denied(path: Path) -> ControlError:
    return ControlError(f"you may not talk to bgcamd on {path}", _how_to_join(path))


def _how_to_join(path: Path) -> str:
    """Advice by the socket's mode: its group, or its owner."""
    try:
        status = path.stat()
        if status.st_mode & 0o020:
            return f"join its group: `sudo usermod -aG {grp.getgrgid(status.st_gid).gr_name} $USER`, then log in again"
    except (OSError, KeyError):
        pass
    return "it belongs to another user: start your own with `bgcamd`"


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))
