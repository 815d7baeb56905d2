"""Where the settings file is, and what is written in it, as dotted names."""

from __future__ import annotations

import os
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from bgcamd.errors import SettingsError
from bgcamd.paths import DEFAULT_INSTANCE, config_files
from bgcamd.tables import TomlError, parse_toml


def find(named: Path | None, instance: str = DEFAULT_INSTANCE) -> Path | None:
    """Return the file to read, or None where there is none.

    ``named`` (from --config), else $BGCAMD_CONFIG, is taken as it is, there or not; else the user's
    ~/.config/bgcamd/INSTANCE.toml, else /etc/bgcamd/INSTANCE.toml. One file is read; they are not merged.
    """
    if chosen := named or os.environ.get("BGCAMD_CONFIG"):
        return Path(chosen)
    return next((place for place in config_files(instance) if os.access(place, os.F_OK)), None)


def read(path: Path, known: Collection[str]) -> dict[str, object]:
    """Return what the file says, by dotted name ("camera.size"), each one of ``known``.

    Raises SettingsError where the file can't be read, is no TOML, or names what is not known.
    """
    given: dict[str, object] = {}
    sections = {name.partition(".")[0] for name in known}
    for section, table in _parse(path).items():
        if not isinstance(table, dict):
            if section in sections:
                raise SettingsError(f"{path}: {section}: must be a section", f"write [{section}], its settings below")
            raise SettingsError(f"{path}: {section}: no such setting", _advice(section, known))
        if section not in sections:
            raise SettingsError(f"{path}: [{section}]: no such section", _advice(section, sections))
        given.update({f"{section}.{key}": value for key, value in table.items()})
    if unknown := next((name for name in given if name not in known), None):
        raise SettingsError(f"{path}: {unknown}: no such setting", _advice(unknown, known))
    return given


def _parse(path: Path) -> dict[str, object]:
    try:
        return parse_toml(path)
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}", "name another file with --config") from error
    except TomlError as error:
        raise SettingsError(error.message, error.hint) from error


def _advice(name: str, known: Collection[str]) -> str:
    """Name the likely right form: the same key in another section, else what is spelt alike, else all there is."""
    key = name.rpartition(".")[2]
    alike = [each for each in known if each.rpartition(".")[2] == key] or get_close_matches(name, known, 1)
    if alike:
        return f"did you mean {alike[0]}?"
    sections = sorted({each.partition(".")[0] for each in known})
    return f"the sections are {', '.join(sections)}"
