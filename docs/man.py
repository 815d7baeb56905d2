"""Write the man pages, bgcam.1, bgcamd.8 and bgcamd.toml.5, into the folder that is named.

All of their text is that of ``--help``, of the table of settings and of the tree of errors: there is no other source.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import click

from bgcamd import __version__
from bgcamd.__main__ import main as bgcamd
from bgcamd.cli import LazyGroup
from bgcamd.cli import main as bgcam
from bgcamd.errors import BgcamError
from bgcamd.settings import SETTINGS, Setting

PAGES = {
    "bgcam.1": "replace the background of your webcam, and of pictures and videos",
    "bgcamd.8": "virtual webcam whose background is replaced",
    "bgcamd.toml.5": "settings of bgcamd",
}
FILES = {
    "~/.config/bgcamd/bgcamd.toml, /etc/bgcamd/bgcamd.toml": "The settings; the first that is there is read, alone.",
    "/run/bgcamd/bgcamd.sock": "Where the system's service listens.",
    "/var/lib/bgcamd": "What the service remembers, and the models that were fetched for it.",
    "~/.cache/bgcamd/models": "The models that you fetched.",
}
BUILT_IN = (0, "it went well"), (1, "something else failed"), (2, "an option or an argument that there is not")


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    bodies = {
        "bgcam.1": _program("bgcam", bgcam),
        "bgcamd.8": _program("bgcamd", bgcamd),
        "bgcamd.toml.5": list(_settings()),
    }
    for page, body in bodies.items():
        (folder / page).write_text("\n".join([*_head(page), *body, *_see_also(page)]) + "\n", encoding="utf-8")


def _head(page: str) -> Iterator[str]:
    name, _, section = page.rpartition(".")
    yield f'.TH {name} {section} "" "bgcamd {__version__}"'
    yield from (".SH NAME", f"{_text(name)} \\- {_text(PAGES[page])}")


def _see_also(page: str) -> Iterator[str]:
    others = (other.rpartition(".") for other in PAGES if other != page)
    yield from (".SH SEE ALSO", ", ".join(f"\\fB{_text(name)}\\fR({section})" for name, _, section in others))


def _program(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=name, **command.context_settings)
    return [*_command(context), *_files(), *_exit_codes()]


def _command(context: click.Context) -> Iterator[str]:
    """Synopsis, description and options of a program; then its commands, one after the other."""
    yield from (".SH SYNOPSIS", _usage(context), ".SH DESCRIPTION", *_prose(context.command.help or ""))
    yield from (".SH OPTIONS", *_options(context))
    subcommands = list(_subcommands(context))
    if subcommands:
        yield ".SH COMMANDS"
    for each in subcommands:
        yield from (f".SS {_text(each.command_path.partition(' ')[2])}", _usage(each), ".PP")
        yield from (*_prose(each.command.help or ""), *_options(each))


def _subcommands(context: click.Context) -> Iterator[click.Context]:
    """Every command below, with its own parent."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.load(name) if isinstance(group, LazyGroup) else group.commands[name]
        below = click.Context(command, info_name=name, parent=context)
        yield below
        yield from _subcommands(below)


def _usage(context: click.Context) -> str:
    words = " ".join(context.command.collect_usage_pieces(context))
    return f"\\fB{_text(context.command_path)}\\fR {_text(words)}"


def _options(context: click.Context) -> Iterator[str]:
    for option in context.command.get_params(context):
        record = option.get_help_record(context)
        if record is not None and record[1] and not (context.parent and "--help" in option.opts):
            yield from (".TP", f"\\fB{_text(record[0])}\\fR", *_prose(record[1]))


def _settings() -> Iterator[str]:
    yield from (".SH DESCRIPTION", ".B bgcamd")
    yield from _prose(
        "reads one of these files when it starts, the first that is there: what --config or $BGCAMD_CONFIG names; "
        "~/.config/bgcamd/bgcamd.toml; /etc/bgcamd/bgcamd.toml. With --instance NAME the file is NAME.toml. It is "
        "TOML, in UTF-8; what is not set has the value shown here. Options of the command line win over the file. A "
        "path that begins with ./ or ../ starts from the file's folder, ~/ from the home of who runs bgcamd."
    )
    for section, rows in groupby(SETTINGS, lambda row: row.name.partition(".")[0]):
        yield f".SH [{section}]"
        for row in rows:
            yield from (".TP", f"\\fB{_text(row.key)}\\fR = {_text(_toml(row))}", *_prose(_sentences(row)))


def _toml(row: Setting) -> str:
    return json.dumps(row.default)


def _sentences(row: Setting) -> str:
    choices = f" One of {', '.join(json.dumps(choice) for choice in row.choices)}." if row.choices else ""
    option = f" As an option: {row.option}." if row.option else ""
    return f"{row.help[0].upper()}{row.help[1:]}.{choices}{option}"


def _files() -> Iterator[str]:
    yield ".SH FILES"
    for file, text in FILES.items():
        yield from (".TP", f"\\fI{_text(file)}\\fR", *_prose(text))


def _exit_codes() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    public = (kind for kind in BgcamError.__subclasses__() if kind.__module__ == BgcamError.__module__)
    kinds = sorted(public, key=lambda kind: kind.exit_code)
    told = [(kind.exit_code, (kind.__doc__ or "").rstrip(".")) for kind in kinds]
    for code, causes in groupby((*BUILT_IN, *told), lambda pair: pair[0]):
        yield from (
            ".TP",
            f"\\fB{code}\\fR",
            *_prose("; ".join(text[0].lower() + text[1:] for _, text in causes) + "."),
        )


def _prose(text: str) -> Iterable[str]:
    """Paragraphs; what click was told not to wrap (\\b) stays as it is."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *(_text(line.strip()) for line in paragraph.splitlines()[1:]), ".fi")
        else:
            yield _text(" ".join(paragraph.split()))


def _text(text: str) -> str:
    """Escape for troff; `code` becomes bold."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", escaped)
    return re.sub(r"^(?=[.'])", r"\\&", escaped)


if __name__ == "__main__":
    main()
