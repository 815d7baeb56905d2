"""Pictures that clients hand over: copied into the state folder, so that nobody can change or take them away later.

A client's word counts for nothing here: its descriptor must be of a regular file of a bounded size, its name is
cleaned, what the bytes are is told by the bytes. A file is named after its content: ``<sha256[:16]><suffix>``; what
clients called it is kept beside. The newest stay, so that they can be chosen again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bgcamd.atomic import replacing, telling
from bgcamd.errors import InputError, OutputError
from bgcamd.scene import Clip, Picture, Scene

MAX_BYTES = 512 << 20
"""The largest picture or clip taken."""
KEPT, KEPT_BYTES = 12, 1 << 30
"""So many stay besides the one that is shown, and so much of them together."""

Kind = Callable[[Path, str], Picture | Clip]
"""Tells by content what a file is, and keeps the name given. Raises InputError where it is neither."""

_CHUNK = 1 << 20
_OURS = re.compile(r"[0-9a-f]{16}(\.[a-z0-9]{1,8})?")
_NAMES, _NAMES_BYTES = "names.json", 1 << 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """A picture that came, copied under a passing name. name: the client's, cleaned. known: it was there already."""

    part: Path
    digest: str
    name: str
    known: bool

    @property
    def settled_name(self) -> str:
        """Its lasting name."""
        return self.digest[:16] + _suffix(self.name)


class Backgrounds:
    """The folder of backgrounds, which has no other user. Made when the first one comes."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self._folder = folder
        self._kind = kind
        for part in folder.glob(".*.part"):  # of a daemon that died while copying
            with contextlib.suppress(OSError):
                part.unlink()

    @contextlib.contextmanager
    def receive(self, fd: int, name: str) -> Iterator[Arrival]:
        """Copy what ``fd`` is open on, and close ``fd``; the copy is gone after the block unless it was settled.

        Raises InputError (not a regular file, empty, too big, unreadable), OutputError (no room).
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.callback(os.close, fd)
                self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # also names are nobody's business
                self._folder.mkdir(mode=0o700, exist_ok=True)
                out = stack.enter_context(
                    tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", suffix=".part", delete=False)
                )
                stack.callback(Path(out.name).unlink, missing_ok=True)
                digest = _copy(fd, out.file, name)
                out.flush()
                os.fsync(out.fileno())
            except OSError as error:
                raise OutputError(
                    f"the picture can't be stored in {self._folder}: {error.strerror}",
                    "make room there, or see its owner",
                ) from error
            kept = self._folder / (digest[:16] + _suffix(cleaned(name)))
            yield Arrival(Path(out.name), digest, cleaned(name), kept.exists())

    def settle(self, arrival: Arrival) -> Picture | Clip:
        """Give the copy its lasting name and say what it is. Raises InputError; then ``withdraw`` it."""
        path = self._folder / arrival.settled_name
        arrival.part.replace(path)
        shown = self._kind(path, arrival.name)
        self._write_names({**self._names(), path.name: arrival.name})
        return shown

    def in_clients_words(self, error: InputError, arrival: Arrival) -> InputError:
        """``error`` with the client's name for the file, where it has ours."""
        return InputError(error.message.replace(str(self._folder / arrival.settled_name), arrival.name), error.hint)

    def withdraw(self, arrival: Arrival, live: Scene) -> None:
        """Remove what was settled in vain, unless it was there before or is shown."""
        path = self._folder / arrival.settled_name
        if not arrival.known and path != _shown(live):
            _unlink(path)

    def kept(self) -> list[tuple[Path, str]]:
        """The settled backgrounds, each with what its client called it, the one used last first."""
        names = self._names()
        return [(path, names.get(path.name, "picture")) for path in self._newest_first()]

    def used(self, path: Path) -> None:
        """Say that this one was chosen again, if it is one of ours."""
        if path.parent == self._folder:
            with contextlib.suppress(OSError):
                os.utime(path)

    def forget(self, path: Path, live: Scene) -> None:
        """Remove a settled one. Raises InputError where it is shown."""
        if path == _shown(live):
            raise InputError("that background is shown at the moment", "choose another first")
        _unlink(path)
        self.prune(live)

    def prune(self, live: Scene) -> None:
        """Remove the oldest that are too many or too much together; never that of ``live``."""
        number = total = 0
        for path in self._newest_first():
            if path == _shown(live):
                continue
            number, total = number + 1, total + path.stat().st_size
            if number > KEPT or total > KEPT_BYTES:
                _unlink(path)
        names = self._names()
        left = {path.name: names[path.name] for path in self._newest_first() if path.name in names}
        if left != names:
            self._write_names(left)

    def _newest_first(self) -> list[Path]:
        paths = [path for path in self._folder.glob("*") if _OURS.fullmatch(path.name) and path.is_file()]
        return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)

    def _names(self) -> dict[str, str]:
        """What clients called them, by lasting name; what can't be read is forgotten."""
        try:
            with (self._folder / _NAMES).open("rb") as file:
                found = json.loads(file.read(_NAMES_BYTES))
            return {str(key): cleaned(str(name)) for key, name in dict(found).items()}
        except (OSError, ValueError, TypeError, RecursionError):
            return {}

    def _write_names(self, names: dict[str, str]) -> None:
        """Only a convenience is lost where the disk is full."""
        file = self._folder / _NAMES
        try:
            with replacing(file, overwrite=True) as part, telling(file):
                part.write_text(json.dumps(names), encoding="utf-8")
        except OutputError as error:
            _log.warning("what backgrounds are called is not kept: %s", error)


def _shown(scene: Scene) -> Path | None:
    return scene.background.path if isinstance(scene.background, Picture | Clip) else None


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("an unused background stays: %s", error)


def cleaned(name: str) -> str:
    """What we call a client's file: its last path component, printable, at most 100 characters."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:100].strip() or "picture"


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _copy(fd: int, out: IO[bytes], name: str) -> str:
    """Copy from the start, leaving the sender's file offset alone; return the SHA-256 in hex."""
    name = cleaned(name)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} is not a regular file", "give a picture, GIF or video file")
    digest = hashlib.sha256()
    size = 0
    while chunk := _read(fd, size, name):
        size += len(chunk)
        if size > MAX_BYTES or status.st_size > MAX_BYTES:
            raise InputError(f"{name} is larger than {MAX_BYTES >> 20} MiB", "make it smaller or shorter")
        digest.update(chunk)
        out.write(chunk)
    if not size:
        raise InputError(f"{name} is empty", "give a picture, GIF or video file")
    return digest.hexdigest()


def _read(fd: int, offset: int, name: str) -> bytes:
    try:
        return os.pread(fd, _CHUNK, offset)
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}", "open it for reading") from error
