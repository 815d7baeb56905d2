"""``bgcam``, the command line. Each command lies in a small module that is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from bgcamd import __version__
from bgcamd.cli.edge import Edge
from bgcamd.cli.options import instance_option

COMMANDS = {
    "set": ("bgcamd.cli.live:set_", "Change what viewers see."),
    "status": ("bgcamd.cli.live:status", "Show what the daemon is doing."),
    "watch": ("bgcamd.cli.live:watch", "Show the same, live."),
    "preview": ("bgcamd.cli.preview:preview", "See the picture in a browser, and change it there."),
    "pause": ("bgcamd.cli.live:pause", "Turn the camera off; viewers see a card."),
    "panic": ("bgcamd.cli.live:panic", "The same, at once: for a key."),
    "resume": ("bgcamd.cli.live:resume", "Turn the camera on again."),
    "snapshot": ("bgcamd.cli.live:snapshot", "Save the picture that viewers see now."),
    "stop": ("bgcamd.cli.live:stop", "End the daemon."),
    "process": ("bgcamd.cli.process:process", "Replace the background of a picture, a video, a folder."),
    "devices": ("bgcamd.cli.devices:devices", "List the cameras, real and virtual."),
    "doctor": ("bgcamd.cli.doctor:doctor", "Say what is wrong on this machine, and what cures it."),
    "report": ("bgcamd.cli.report:report", "Pack what helps to find a fault into one file."),
    "models": ("bgcamd.cli.models:models", "List the models, and fetch them."),
    "bench": ("bgcamd.cli.bench:bench", "Measure the pipeline on this machine."),
    "eval": ("bgcamd.cli.evaluate:evaluate", "Judge mattes, or a model, by true mattes."),
    "completion": ("bgcamd.cli.completion:completion", "Print a script that completes commands in a shell."),
}
"""Name -> where the command is ("module:object"), and its line in ``bgcam --help``."""


class LazyGroup(Edge, click.Group):
    """A group that knows its commands by name and line; only the one that runs is imported."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._places = {name: place for name, (place, _) in table.items()}
        for name, (_, line) in table.items():
            self.add_command(click.Command(name, help=line))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the table's order, as ``--help`` shows them."""
        return list(self._places)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that ``args`` begin with."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and self.load(command.name or ""), rest

    def load(self, name: str) -> click.Command:
        """Return the real command, imported."""
        module, _, attribute = self._places[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group("bgcam", cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@instance_option
@click.version_option(__version__, prog_name="bgcam")
def main(instance: str | None) -> None:
    """Replace the background of your webcam, and of pictures and videos.

    The live picture is made by the daemon, bgcamd; set, status and the other commands that talk to it find it by
    its socket. process, devices, doctor, report, models, bench and eval work without it.
    """
