"""Files that are read: opened carefully, refused in one line."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from bgcamd.atomic import reason
from bgcamd.errors import InputError


def open_input(path: Path) -> io.BufferedReader:
    """Open a file for reading.

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
    return os.open(path, flags | os.O_NONBLOCK)
