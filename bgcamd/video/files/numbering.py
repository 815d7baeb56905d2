"""Files by the dozen: numbered ones, wildcards, and a directory's pictures in order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bgcamd.atomic import reason
from bgcamd.errors import InputError, UsageError
from bgcamd.video.files.images import READ_SUFFIXES

_ONE_NUMBER = re.compile(r"([^%]*)%(?:0[0-9]+)?[di]([^%]*)")


class NumberedPath:
    """A path whose name has one number in it, written as C's printf does: ``frames/%04d.png``, ``a%i.jpg``.

    ``numbered[7]`` is the path of number 7; "%%" means "%". Raises UsageError where the name is no such pattern.
    """

    def __init__(self, pattern: Path) -> None:
        match = _ONE_NUMBER.fullmatch(_hidden(pattern.name))
        if match is None:
            raise UsageError(f"{pattern} is not a pattern for numbered files", "write one %d or %04d in the name")
        before, after = (re.escape(part.replace("\0", "%")) for part in match.groups())
        self.path = pattern
        self._parser = re.compile(f"{before}([0-9]+){after}")

    def __getitem__(self, number: int) -> Path:
        return self.path.with_name(self.path.name % number)

    def numbers(self) -> list[int]:
        """Return the numbers of the files that exist, ascending; "1.png" is not of the pattern "%04d.png"."""
        matches = (self._parser.fullmatch(path.name) for path in self.path.parent.iterdir())
        return sorted(int(match[1]) for match in matches if match and self[int(match[1])].name == match[0])


def is_numbered(name: str) -> bool:
    """Whether a file's name asks for a number: "%04d.png"."""
    return _ONE_NUMBER.fullmatch(_hidden(name)) is not None


def is_glob(name: str) -> bool:
    """Whether a file's name has wildcards: "*.png"."""
    return any(sign in name for sign in "*?[")


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """Return the pictures directly in ``folder`` (by extension, hidden ones left out), 2.png before 10.png.

    Raises
    ------
    InputError: the directory can't be read, or there are none.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in READ_SUFFIXES]
    except OSError as error:
        raise InputError(f"can't read {folder}: {reason(error)}") from error
    return _in_order(folder, found, "pictures end in .png, .jpg, .webp and the like")


def pictures_of(pattern: Path) -> tuple[tuple[Path, ...], str | None]:
    """Return the files that a numbered path or a glob stands for, in order, and None or what is amiss.

    Numbers start at the lowest found and end before the first that is missing, as with ffmpeg. A glob is
    sorted with its numbers by value.

    Raises
    ------
    InputError: the directory can't be read, or no file matches.
    """
    try:
        if not is_numbered(pattern.name):
            found = pattern.parent.glob(pattern.name)
            return _in_order(pattern, found, "quote the pattern, and look at its spelling"), None
        numbered = NumberedPath(pattern)
        numbers = numbered.numbers()
    except OSError as error:
        raise InputError(f"can't read {pattern.parent}: {reason(error)}") from error
    if not numbers:
        raise InputError(f"no file is called like {pattern}", "look at the directory, and at the number of digits")
    run = [number for index, number in enumerate(numbers) if number == numbers[0] + index]
    left = len(numbers) - len(run)
    gap = f"{numbered[run[-1] + 1]} is missing: {left} later pictures are left out" if left else None
    return tuple(numbered[number] for number in run), gap


def _in_order(where: Path, found: Iterable[Path], hint: str) -> tuple[Path, ...]:
    files = sorted((path for path in found if not path.name.startswith(".") and path.is_file()), key=_natural)
    if not files:
        raise InputError(f"{where}: no pictures found", hint)
    return tuple(files)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort runs of digits by value; the plain name decides between "1" and "01"."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [(int(part), "") if index % 2 else (0, part) for index, part in enumerate(parts)], path.name


def _hidden(name: str) -> str:
    """Put NUL, which no name can hold, in the place of "%%"."""
    return name.replace("%%", "\0")
