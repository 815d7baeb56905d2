"""The options that several commands share, made from the table of settings."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from bgcamd import settings
from bgcamd.errors import UsageError
from bgcamd.scene import EDGE_RANGES, Alpha, Blur
from bgcamd.settings import SETTINGS, SceneChange, Setting
from bgcamd.values import COLOURS, size

Command = Callable[..., Any]


def scene_options(*, alpha: bool = False) -> Callable[[Command], Command]:
    """Add the options of every setting of [scene] to a command, and --alpha if asked.

    The command is called with ``change``, a ``SceneChange``. A file that can't be read, a colour that is none or
    two backgrounds at once raise UsageError before that.
    """
    rows = [row for row in SETTINGS if row.name.startswith("scene.")]
    more = [click.option("--alpha", is_flag=True, help="Show the matte alone, in grey.")] if alpha else []
    return lambda command: _with([*map(_scene_option, rows), *more], _changing(command, rows))


def matte_options(command: Command) -> Command:
    """Add those of them that change a matte: --feather, --shift, --threshold and --smooth."""
    rows = [row for row in SETTINGS if row.key in EDGE_RANGES and row.key != "light_wrap"]
    return _with([_scene_option(row) for row in rows], _changing(command, rows))


def daemon_options(command: Command) -> Command:
    """Add --config and an option for each setting that has one, but for the scene's.

    The command is called with ``config`` (Path or None) and ``overrides``, for ``settings.load_settings``.
    """
    rows = [row for row in SETTINGS if row.option and not row.name.startswith("scene.")]

    @functools.wraps(command)
    def called(*args: Any, config: str | None, **given: Any) -> Any:
        overrides = {row.name: given.pop(_variable(row)) for row in rows}
        return command(*args, config=None if config is None else Path(config), overrides=overrides, **given)

    config = "Read this settings file and no other."
    options = [click.option("--config", metavar="FILE", help=config, shell_complete=_completion(None))]
    return _with(options + [_daemon_option(row) for row in rows], called)


def instance_option(command: Command) -> Command:
    """Add --instance; the command is called with ``instance``, a name or None for the usual daemon."""
    return click.option(
        "--instance",
        metavar="NAME",
        callback=_instance,
        help="The daemon of this name, with its own settings, socket and virtual camera.",
    )(command)


def _instance(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,13}", name):  # a camera's label has 31 bytes
        raise UsageError(f"--instance {name!r} is no name", "1 to 13 letters, digits, - and _")
    return name


_USUAL_MODEL = "selfie"  # what "auto" is where nothing but the result counts, and it should be the same everywhere


def engine_options(*, threads: int, usual: bool = True) -> Callable[[Command], Command]:
    """Add --model, --engine and --threads, for the commands that work without a daemon.

    The command is called with ``model``, ``engine`` and ``threads``, of which 0 means as many as there are. Unless
    ``usual``, no model is taken where none is named: ``model`` is None.
    """
    name, engine = (next(row for row in SETTINGS if row.name == f"model.{key}") for key in ("name", "engine"))
    kinds = click.Choice(engine.choices)
    options = [
        click.option(
            "--model",
            metavar="NAME",
            default=_USUAL_MODEL if usual else None,
            show_default=True,
            help=_sentence(name.help),
        ),
        click.option("--engine", type=kinds, default=engine.default, show_default=True, help=_sentence(engine.help)),
        click.option(
            "--threads",
            metavar="N",
            type=_Threads(),
            default=threads,
            show_default=True,
            help="CPU threads it may use; 0 for all.",
        ),
    ]
    return lambda command: _with(options, command)


class _Threads(click.IntRange):
    """A number of threads; 0 becomes as many as there are."""

    def __init__(self) -> None:
        super().__init__(0, 256)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, at least 1."""
        return int(super().convert(value, param, ctx)) or os.cpu_count() or 1


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # generic only from click 8.4 on


class SizeOption(_ParamType):
    """A size such as 1280x720, as ``frame.Size``."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the size; a text that is none, or "auto", is refused."""
        try:
            found = size(value, Path()) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return found or self.fail("a size is needed here", param, ctx)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):  # the last applied comes first in --help
        command = option(command)
    return command


def _changing(command: Command, rows: list[Setting]) -> Command:
    """The command, called with one ``change`` for the options of ``rows`` and --alpha."""

    @functools.wraps(command)
    def called(*args: Any, **given: Any) -> Any:
        asked = {row.key: given.pop(row.key) for row in rows}
        shown = {"alpha": Alpha()} if given.pop("alpha", False) else {}
        return command(*args, change=_change(rows, asked, shown), **given)

    return called


def _change(rows: list[Setting], asked: Mapping[str, Any], shown: Mapping[str, Any]) -> SceneChange:
    found = dict(shown)
    for row in rows:
        if asked[row.key] is None or (asked[row.key] is False and row.key != "mirror"):
            continue
        try:
            found[row.key] = row.from_option(asked[row.key])
        except ValueError as error:
            raise UsageError(f"{row.option}: {error}") from error
    try:
        return settings.scene_change(found)
    except ValueError as error:
        names = str(error).split(" and ")
        raise UsageError(" and ".join(f"--{name}" for name in names) + " can't be shown at once", "name one") from error


def _scene_option(row: Setting) -> Callable[[Command], Command]:
    if isinstance(row.default, bool):
        return click.option(row.option, row.key, is_flag=True, default=None, help=_sentence(row.help))
    kind = _OptionalNumber if row.metavar == "[N]" else click.Option
    return click.option(
        row.option, row.key, cls=kind, metavar=row.metavar, help=_sentence(row.help), shell_complete=_completion(row)
    )


def _daemon_option(row: Setting) -> Callable[[Command], Command]:
    if isinstance(row.default, bool):
        return click.option(row.option, _variable(row), is_flag=True, default=None, help=_sentence(row.help))
    default = ", ".join(row.default) if isinstance(row.default, list) else row.default
    return click.option(
        row.option,
        _variable(row),
        multiple=isinstance(row.default, list),
        metavar=row.metavar,
        help=f"{_sentence(row.help)}  [default: {default}]",
        shell_complete=_completion(row),
    )


class _OptionalNumber(click.Option):
    """An option whose number may be left out: ``--blur in.jpg out.jpg`` is the default strength, and two arguments.

    Click's own optional value would take "in.jpg" as the strength, so the number is put in before it parses.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let ``parser`` see this option always with a number."""
        super().add_to_parser(parser, ctx)
        parse = parser.parse_args
        parser.parse_args = lambda args: parse(args=self._completed(args))

    def _completed(self, args: list[str]) -> list[str]:
        done: list[str] = []
        for arg, following in zip_longest(args, args[1:], fillvalue=""):
            bare = arg in self.opts and "--" not in done and not re.match(r"-?[0-9]+$", following)
            done.append(f"{arg}={Blur().strength}" if bare else arg)
        return done


def _completion(row: Setting | None) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete an option's value: its choices, a colour's name, or the name of a file; ``None`` is --config."""

    def complete(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[CompletionItem]:
        words = list(COLOURS) if row is not None and row.key == "color" else list(row.choices) if row else []
        if words:
            return [CompletionItem(word) for word in words if word.startswith(incomplete)]
        number = row is not None and type(row.default) is int
        return [] if number else [CompletionItem(incomplete, type="file")]

    return complete


def _variable(row: Setting) -> str:
    return row.name.replace(".", "_")


def _sentence(phrase: str) -> str:
    return phrase[0].upper() + phrase[1:] + "."
