"""Files that are read: opened carefully, refused in one line."""

from __future__ import annotations

import io
import os
import re
import stat
from pathlib import Path

from bgcamd.atomic import reason
from bgcamd.errors import InputError

_HELD = re.compile(r"/proc/self/fd/(\d{1,6})")


class Held:
    """What a path /proc/self/fd/N names, a file that is open already, as libav reads files; N stays the caller's.

    It is read by its descriptor, never opened anew, which a process without any rights to files could not do.
    """

    name = ""

    def __init__(self, fd: int) -> None:
        self._fd, self._at = fd, 0

    def read(self, most: int) -> bytes:
        """The next bytes, none at the end."""
        found = os.pread(self._fd, most, self._at)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of every file."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: os.fstat(self._fd).st_size}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the file")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Where it is read next."""
        return self._at


def held(path: Path) -> int | None:
    """The descriptor that ``path`` names, None for every other file."""
    match = _HELD.fullmatch(str(path))
    return match and int(match[1])


def open_input(path: Path) -> io.BufferedReader:
    """Open a file for reading; of one that is held open already, a second descriptor, set to its start.

    Raises
    ------
    InputError: missing, unreadable, empty, or no regular file (a directory; a pipe, which might wait for ever).
    """
    try:
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115 - the caller closes it
        status = os.fstat(file.fileno())
    except OSError as error:
        raise InputError(f"can't read {path}: {reason(error)}") from error
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return file
    file.close()
    if stat.S_ISREG(status.st_mode):
        raise InputError(f"can't read {path}: the file is empty", "is it complete?")
    raise InputError(f"can't read {path}: it is not a regular file", "save it to a file first")


def _at_once(path: str, flags: int) -> int:
    fd = held(Path(path))
    if fd is None:
        return os.open(path, flags | os.O_NONBLOCK)
    os.lseek(fd, 0, os.SEEK_SET)
    return os.dup(fd)
