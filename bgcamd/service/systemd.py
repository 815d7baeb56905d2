"""What systemd is told, and what it hands over: readiness, the watchdog, sockets, kept descriptors, lines of the log.

systemd-python does it where it is installed (``bgcamd[systemd]``), else the protocol itself, which is a datagram
and a few environment variables: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), sd-daemon(3). Outside
systemd nothing happens, and nothing fails.
"""

from __future__ import annotations

import importlib
import logging
import os
import select
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

_log = logging.getLogger(__name__)
_FIRST_FD = 3
_HEARD_S = 2.0
_JOURNAL_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def notify(*lines: str, fds: Sequence[int] = ()) -> bool:
    """Tell systemd lines such as "READY=1", and hand it descriptors; False where nobody hears."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    message = "\n".join(lines)
    try:
        if (daemon := _library("daemon")) is not None:
            return bool(daemon.notify(message, **({"fds": list(fds)} if fds else {})))
        return _send(address, message, fds)
    except OSError as error:  # the daemon can do without; the watchdog tells who can't
        _log.debug("systemd does not hear: %s", error)
        return False


def watchdog_interval() -> float | None:
    """Seconds within which systemd wants to hear "WATCHDOG=1" again and again; None where it does not."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    if not wanted.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(wanted) / 1e6 or None


def listen_fds() -> list[int]:
    """The sockets that systemd listens on for us; see ``listen.adopt``. They stay open, and are not inherited."""
    return list(_handed_over().sockets)


def turn_away() -> None:
    """Close on those who wait at our sockets: for them systemd would start us again at once, to fail again."""
    for fd in listen_fds():
        with socket.socket(fileno=os.dup(fd)) as waited_at:
            waited_at.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    waited_at.accept()[0].close()


def stored_fds() -> dict[str, int]:
    """What an earlier run of the service gave to ``store_fd``, by name; the caller's to close."""
    return dict(_handed_over().stored)


def store_fd(name: str, fd: int) -> bool:
    """Let systemd keep a duplicate of ``fd`` over a crash or a restart; False where it does not.

    The unit needs FileDescriptorStoreMax=. name: without ":"; one that is stored already is not replaced.
    """
    return notify("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", fds=[fd])


def forget_fd(name: str) -> bool:
    """Let systemd close what it keeps under this name; see ``was_heard``."""
    return notify("FDSTOREREMOVE=1", f"FDNAME={name}")


def was_heard() -> bool:
    """Wait until systemd has done what it was told so far: then it closes a pipe (sd_notify_barrier(3))."""
    ours, theirs = os.pipe()
    try:
        told = notify("BARRIER=1", fds=[theirs])
        os.close(theirs)
        return told and bool(select.select([ours], [], [], _HEARD_S)[0])
    finally:
        os.close(ours)


def log_handler() -> logging.Handler:
    """Where the log goes: to the journal if stderr is the journal's, with a level for each line; else to stderr."""
    journal = _library("journal") if _stderr_is_journal() else None
    if journal is not None:
        handler: logging.Handler = journal.JournalHandler(SYSLOG_IDENTIFIER="bgcamd")
    else:
        handler = logging.StreamHandler(sys.stderr)
    levelled = journal is None and _stderr_is_journal()
    handler.setFormatter((_Levelled if levelled else logging.Formatter)("%(message)s"))
    return handler


class _Levelled(logging.Formatter):
    """Begins each line with its level, as the kernel does: "<4>No camera"."""

    def format(self, record: logging.LogRecord) -> str:
        level = next((number for least, number in _JOURNAL_LEVELS if record.levelno >= least), 7)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())


def _library(part: str) -> Any | None:
    """A module of systemd-python, None where that is not installed."""
    try:
        return importlib.import_module(f"systemd.{part}")
    except ImportError:
        return None


def _send(address: str, message: str, fds: Sequence[int]) -> bool:
    name = "\0" + address[1:] if address.startswith("@") else address  # "@": a name that is no file
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(name)
        socket.send_fds(sock, [message.encode()], list(fds))
    return True


class _HandedOver(NamedTuple):
    """Descriptors that were there at the start. stored: by the name that ``store_fd`` gave them."""

    sockets: tuple[int, ...]
    stored: Mapping[str, int]


@cache
def _handed_over() -> _HandedOver:
    """Looked at once: the number of one that has been closed is soon another file's."""
    given = _by_protocol()
    sockets = tuple(fd for fd in given if _is_socket(fd))
    return _HandedOver(sockets, {name: fd for fd, name in given.items() if fd not in sockets})


def _by_protocol() -> dict[int, str]:
    """Descriptor -> the name that the unit or ``store_fd`` gave it; nothing where they are another process's."""
    if (daemon := _library("daemon")) is not None:
        return dict(daemon.listen_fds_with_names(unset_environment=False))
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return {}
    fds = range(_FIRST_FD, _FIRST_FD + int(count))
    for fd in fds:
        os.set_inheritable(fd, False)
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    return dict(zip(fds, [*names, *["unknown"] * len(fds)], strict=False))


def _is_socket(fd: int) -> bool:
    return stat.S_ISSOCK(os.fstat(fd).st_mode)


def _stderr_is_journal() -> bool:
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
