"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bgcamd.errors import OutputError


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, an output that can't or must not be written.

    Raises
    ------
    OutputError: ``path`` exists and ``overwrite`` is False; it is not a regular file (a device, a directory);
        its directory is missing or not writable.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise OutputError(f"can't write {path}: {reason(error)}") from error
    if mode is not None and not stat.S_ISREG(mode):
        raise OutputError(f"can't write {path}: it is not a regular file", "name a file that may be replaced")
    if mode is not None and not overwrite:
        raise OutputError(f"{path} exists", "use --overwrite to replace it")
    check_folder(_real(path).parent)


def check_folder(folder: Path) -> None:
    """Raise OutputError unless ``folder`` is a directory in which files can be made."""
    if not folder.is_dir():
        raise OutputError(f"there is no directory {folder}", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"can't write into {folder}: permission denied", "choose a directory of yours")


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give the path of an empty temporary file beside ``path``; on a normal exit it takes ``path``'s place.

    A link keeps pointing to its file, which is the one replaced. On any exception (also a KeyboardInterrupt)
    the temporary file is removed and ``path`` is as it was.

    Raises
    ------
    OutputError: as ``check_target``, and where making, completing or moving the file fails (disk full, …).
        What is raised inside the block passes unchanged.
    """
    check_target(path, overwrite=overwrite)
    target = _real(path)
    # The name keeps the directory's limit of 255 bytes also for a long target.
    part = target.with_name(f".{target.name[:60]}.{secrets.token_hex(4)}.part")
    with telling(path):
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    try:
        yield part
        with telling(path):
            sync(part)
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def telling(path: Path | str) -> Iterator[None]:
    """Turn an OSError into an OutputError that names ``path``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"can't write {path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """What the system says about ``error``, without number and path ("no space left on device")."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def sync(path: Path) -> None:
    """Wait until the file's content, or the folder's names, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
