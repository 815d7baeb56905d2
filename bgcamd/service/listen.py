"""The socket as a file: one daemon on a path, whatever was left there before, and who may connect."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bgcamd.errors import ControlError, SettingsError

_CHOOSE = "choose another with --socket"
_BACKLOG = 128


@dataclass(frozen=True)
class Listener:
    """A listening Unix socket. anyone: whoever the file's mode lets connect may speak; else our own user and root."""

    sock: socket.socket
    anyone: bool


@contextlib.contextmanager
def listen(path: Path, *, group: str | None = None, mode: int | None = None) -> Iterator[Listener]:
    """Listen on ``path`` until the block ends; the socket is then removed.

    mode: of the socket, default 0600; with ``group`` the socket belongs to it, default 0660. The folder is made
    where it is missing. A lock file beside the socket keeps two daemons apart, without a race.
    Raises ControlError (another daemon, no right, not a socket, path too long), SettingsError (no such group).
    """
    gid = _gid(group)
    mode = mode if mode is not None else 0o600 if gid is None else 0o660
    with contextlib.ExitStack() as stack:
        try:
            _prepare_folder(path.parent, gid)
            stack.enter_context(_locked(path))
            _clear(path)
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            stack.enter_context(_bound(sock, path, gid, mode))
            sock.listen(_BACKLOG)
        except OSError as error:
            raise ControlError(f"can't listen on {path}: {error.strerror or error}", _CHOOSE) from error
        yield Listener(sock, anyone=gid is not None)


def adopt(fd: int) -> Listener:
    """Serve a socket that another listens on for us (systemd); its mode and owner are that one's business.

    The Listener's ``sock`` is the caller's to close. Raises ControlError where ``fd`` is no listening Unix socket.
    """
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise ControlError(f"the descriptor {fd} that was handed over is no socket: {error.strerror}") from error
    listening = sock.family == socket.AF_UNIX and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listening or sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise ControlError(f"the socket {fd} that was handed over does not listen for Unix streams")
    return Listener(sock, anyone=True)


def lock_of(path: Path) -> Path:
    """The lock file beside the socket ``path``; it is there as long as the daemon has not ended altogether."""
    return path.with_name(path.name + ".lock")


def is_ours(folder: Path) -> bool:
    """Whether ``folder``, and what it links to, is our user's or root's: another's could hold any socket."""
    trusted = {os.getuid(), 0}
    return folder.lstat().st_uid in trusted and folder.stat().st_uid in trusted


def _gid(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SettingsError(f"there is no group {group!r} for the socket", "see `getent group`") from None


def _prepare_folder(folder: Path, gid: int | None) -> None:
    """Make the folder, only for us (and ``gid``); refuse another user's, who could put any socket in its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if gid is not None:
            os.chown(folder, -1, gid)
            folder.chmod(0o710)
    if not is_ours(folder):
        raise ControlError(f"the folder {folder} belongs to another user", _CHOOSE)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold PATH.lock; unlinked at the end, while still held, so that who locks next locks what is on disk."""
    lock = lock_of(path)
    fd = _lock(lock)
    while fd is None:
        fd = _lock(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(fd)


def _lock(lock: Path) -> int | None:
    """The lock's descriptor; None where its holder removed the file meanwhile: try again."""
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), lock.lstat()):
            return fd
    except BlockingIOError:
        os.close(fd)
        raise _other_daemon(lock.with_name(lock.name.removesuffix(".lock"))) from None
    except FileNotFoundError:
        pass
    os.close(fd)
    return None


def _clear(path: Path) -> None:
    """Remove the socket of a daemon that died; nothing else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ControlError(f"{path} is there already and is no socket", _CHOOSE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # alive, with a full backlog
            pass
    raise _other_daemon(path)


def _other_daemon(path: Path) -> ControlError:
    return ControlError(
        f"another bgcamd is answering on {path}", "`bgcam stop` ends it, or choose another socket with --socket"
    )


@contextlib.contextmanager
def _bound(sock: socket.socket, path: Path, gid: int | None, mode: int) -> Iterator[None]:
    os.fchmod(sock.fileno(), 0o600)  # Linux gives the file the socket's mode: never open to others, not for a moment
    sock.bind(os.fspath(path))
    ours = path.lstat()
    try:
        if gid is not None:
            os.chown(path, -1, gid)
        path.chmod(mode)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), ours):
                path.unlink()
