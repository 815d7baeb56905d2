"""TOML files, and strict reading of their tables into frozen dataclasses: what to fetch and how to use it.

A field without a default must be there, a key without a field must not; a wrong key is answered with the
likely right one. Every message names the file and the dotted key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bgcamd.errors import BgcamError, ModelError

T = TypeVar("T")

_MOST_BYTES = 1 << 20
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def read_toml(path: Path, cls: type[T]) -> T:
    """Read the file ``path`` as one ``cls``, a frozen dataclass.

    Fields may be str, int, float, bool, Literal, another such dataclass (a table), a tuple (an array), a
    Mapping from str (a table of free keys), or one of these or None. What ``__post_init__`` rejects with a
    ValueError ("key: why") is reported like a wrong type.

    Raises
    ------
    ModelError: the file can't be read, is not TOML, or is not what ``cls`` says.
    """
    try:
        table = parse_toml(path)
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror}") from error
    except TomlError as error:
        raise ModelError(error.message, error.hint) from error
    try:
        return _record(cls, table, "")
    except _WrongError as error:
        raise ModelError(f"{path}: {error}", error.hint) from None


class TomlError(BgcamError):
    """A file is no TOML; the caller says it as the error of its own kind of file."""


def parse_toml(path: Path) -> dict[str, Any]:
    """Return what a TOML file says. Raises OSError, and TomlError with the file and the line."""
    content = ""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:  # /dev/zero, say
            raise TomlError(f"{path}: more than {_MOST_BYTES >> 20} MiB", "settings and manifests have some kilobytes")
        content = raw.decode("utf-8")
        return tomllib.loads(content)
    except UnicodeDecodeError as error:
        raise TomlError(f"{path}: not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    except RecursionError as error:
        raise TomlError(f"{path}: nested too deeply") from error
    except ValueError as error:  # also what Python's own number and date types refuse
        where = re.search(r" \(at line (\d+), .*\)$| \(at end of document\)$", str(error))
        line = (where and where[1]) or str(content.count("\n") + 1)
        what = str(error)[: where.start()] if where else str(error)
        raise TomlError(f"{path}:{line}: {what}", "TOML is described at https://toml.io") from error


class _WrongError(Exception):
    """A value is wrong; the text starts with its dotted key."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


def _record(cls: type[T], table: Any, key: str) -> T:
    if not isinstance(table, dict):
        raise _WrongError(f"{key} must be a table")
    prefix = f"{key}." if key else ""
    types = get_type_hints(cls)
    known = {field.name: field for field in fields(cls) if field.init}  # type: ignore[arg-type]
    for name in table:
        if name not in known:
            likely = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {prefix}{likely[0]}?" if likely else f"known are {', '.join(known)}"
            raise _WrongError(f"{prefix}{name} is not a known key", hint)
    for name, field in known.items():
        if name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise _WrongError(f"{prefix}{name} is missing")
    values = {name: _value(types[name], value, prefix + name) for name, value in table.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise _WrongError(f"{prefix}{error}") from error


def _value(kind: Any, value: Any, key: str) -> Any:
    if is_dataclass(kind):
        return _record(kind, value, key)  # type: ignore[arg-type]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return _either(arguments, value, key)
    if origin is Literal:
        if value not in arguments:
            raise _WrongError(f"{key} must be {' or '.join(map(repr, arguments))}, not {value!r}")
        return value
    if origin is tuple:
        return _array(arguments, value, key)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _WrongError(f"{key} must be a table")
        return {name: _value(arguments[1], each, f"{key}.{name}") for name, each in value.items()}
    return _scalar(kind, value, key)


def _either(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    *others, last = (kind for kind in kinds if kind is not NoneType)  # TOML has no null: None is "not there"
    for kind in others:
        with suppress(_WrongError):
            return _value(kind, value, key)
    return _value(last, value, key)


def _array(kinds: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _WrongError(f"{key} must be an array")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise _WrongError(f"{key} must be an array of {len(kinds)}, not of {len(value)}")
    return tuple(_value(kind, each, f"{key}[{i}]") for i, (kind, each) in enumerate(zip(kinds, value, strict=True)))


def _scalar(kind: type, value: Any, key: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:  # not isinstance: in TOML true is no number
        raise _WrongError(f"{key} must be {_NAMES[kind]}, not {value!r}")
    if isinstance(value, float) and not isfinite(value):  # TOML has nan and inf
        raise _WrongError(f"{key} must be a finite number")
    return value
