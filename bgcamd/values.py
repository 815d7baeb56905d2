"""How a user writes a size, a rate, a colour and the like, in the settings file or as an option.

Every reader takes what TOML or the shell gave, and the folder that a relative path starts from. It returns
the value, or raises ValueError with what it must be ("must be ..."), for the caller to put the name before.
Nothing heavy is imported: the client's live commands read colours too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from bgcamd.scene import Background, Blur, Colour

if TYPE_CHECKING:
    from bgcamd.frame import Size

Reader = Callable[[object, Path], object]

COLOURS = {
    "black": "#000000", "white": "#ffffff", "gray": "#808080", "grey": "#808080", "silver": "#c0c0c0",
    "red": "#ff0000", "lime": "#00ff00", "green": "#008000", "blue": "#0000ff", "navy": "#000080",
    "yellow": "#ffff00", "orange": "#ffa500", "brown": "#a52a2a", "pink": "#ffc0cb", "purple": "#800080",
    "cyan": "#00ffff", "magenta": "#ff00ff", "teal": "#008080",
}  # fmt: skip
"""The names that stand for a colour: a handful of CSS's, with CSS's values."""


def text(value: object, _folder: Path) -> str:
    """Read a string that may be empty."""
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")
    return value


def flag(value: object, _folder: Path) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def whole(low: int, high: int) -> Callable[[object, Path], int]:
    """Make a reader of whole numbers from ``low`` to ``high``."""

    def read(value: object, _folder: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return read


def choice(*allowed: str) -> Callable[[object, Path], str]:
    """Make a reader of one word of ``allowed``; with a StrEnum's members, the member is returned."""

    def read(value: object, _folder: Path) -> str:
        for word in allowed:
            if value == word:
                return word
        raise ValueError(f"must be one of {', '.join(map(str, allowed))}")

    return read


def member(kind: type[StrEnum]) -> Callable[[object, Path], str]:
    """Make a reader of one of an enumeration's values."""
    return choice(*kind)


def address(value: object, folder: Path) -> str:
    """Read an address; one that begins with ./ or ../ starts from ``folder``, ~/ from the user's home."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError('must be text in quotes, such as "auto"')
    if value.startswith(("./", "../", "~/")):
        return str(_located(value, folder))
    return value


def addresses(value: object, folder: Path) -> tuple[str, ...]:
    """Read a list of at least one address."""
    if not isinstance(value, list | tuple) or not value:
        raise ValueError('must be a list of addresses, such as ["auto"]')
    return tuple(address(each, folder) for each in value)


def size(value: object, _folder: Path) -> Size | None:
    """Read "1280x720"; None for "auto". Each side is even, 16..16384."""
    from bgcamd.frame import Size  # noqa: PLC0415 - it imports numpy, which the client does without

    if value == "auto":
        return None
    match = re.fullmatch(r"([0-9]{1,5})[x×]([0-9]{1,5})", value) if isinstance(value, str) else None
    if match is None or not all(16 <= int(side) <= 16384 for side in match.groups()):
        raise ValueError('must be "auto" or WIDTHxHEIGHT in pixels (16 to 16384 each), such as "1280x720"')
    if int(match[1]) % 2 or int(match[2]) % 2:
        raise ValueError("must be even both ways, as video is")
    return Size(int(match[1]), int(match[2]))


def rate(value: object, _folder: Path) -> Fraction | None:
    """Read frames per second, 1..240, exactly: 29.97 is 2997/100, "30000/1001" is itself; None for 0 and "auto"."""
    if value in ("auto", 0) and not isinstance(value, bool):
        return None
    fps = Fraction(0)
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, ZeroDivisionError):  # 0 is out of range: told below
            fps = Fraction(str(value)[:32])
    if not 1 <= fps <= 240:
        raise ValueError("must be 0 (the camera's own) or frames per second from 1 to 240")
    return fps


def seconds(value: object, _folder: Path) -> float:
    """Read a time of 0 to 3600 seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 3600:
        raise ValueError("must be a number of seconds from 0 to 3600")
    return float(value)


def socket(value: object, folder: Path) -> Path | None:
    """Read where a Unix socket lies; None for "auto". The kernel allows 107 bytes."""
    if value == "auto":
        return None
    if not isinstance(value, str) or not value:
        raise ValueError('must be "auto" or a path in quotes')
    path = _located(value, folder)
    if len(os.fsencode(path)) > 107:
        raise ValueError("must be a path of at most 107 bytes")
    return path


def folder(value: object, start: Path) -> Path | None:
    """Read the name of a folder, which need not be there; None for "auto"."""
    if value == "auto":
        return None
    if not isinstance(value, str) or not value:
        raise ValueError('must be "auto" or a path in quotes')
    return _located(value, start).absolute()


def mode(value: object, _folder: Path) -> int | None:
    """Read a file's mode, three octal digits after an optional 0, as in "0660"; None for "auto"."""
    if value == "auto":
        return None
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError('must be "auto" or octal digits in quotes, such as "0660"')
    return int(value, 8)


def blur(value: object, folder: Path) -> Blur:
    """Read how strong a blur is, 1..100."""
    return Blur(whole(1, 100)(value, folder))


def colour(value: object, _folder: Path) -> Colour | None:
    """Read "#rgb", "#rrggbb" or a name of ``COLOURS``; None for ""."""
    if value == "":
        return None
    code = COLOURS.get(value.lower(), value) if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9a-fA-F]{6}", code):
        code = f"#{code}"  # a shell takes an unquoted # for a comment
    if re.fullmatch(r"#[0-9a-fA-F]{3}", code):
        code = "#" + "".join(2 * digit for digit in code[1:])
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
        raise ValueError('must be a colour such as "#00b140" or "green"')
    red, green, blue = bytes.fromhex(code[1:])
    return Colour((red, green, blue))


def background(shown: Background) -> Callable[[object, Path], Background | None]:
    """Make a reader of true, for ``shown``, and false, for None."""
    return lambda value, folder: shown if flag(value, folder) else None


def media(value: object, folder: Path) -> Path | None:
    """Read the name of a file that is there and can be read, as far as can be told without opening it; None for ""."""
    if value == "":
        return None
    path = _located(text(value, folder), folder)
    try:
        info = path.stat()
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from error
    if stat.S_ISDIR(info.st_mode):
        raise ValueError("must be a picture or a clip, not a directory")
    if not os.access(path, os.R_OK):
        raise ValueError("can't be read: Permission denied")
    return path


def _located(name: str, folder: Path) -> Path:
    if "\0" in name:
        raise ValueError("must be a path without zero bytes")
    try:
        return folder / Path(name).expanduser()
    except RuntimeError as error:
        raise ValueError("must be a path; there is no such user") from error
