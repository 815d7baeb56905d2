"""``bgcam doctor``: what is wrong on this machine, what it means, and the command that cures it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from bgcamd.doctor.examine import Diagnosis, examine
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.page import diagnosis_page

_WIDEST = 110
SICK = 1
"""The exit code where something is broken."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it for machines.")
@click.option("--measure", is_flag=True, help="Turn each free camera on for two seconds, and count its frames.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Look at these settings.")
@click.option("--socket", type=click.Path(path_type=Path), metavar="PATH", help="Look at the daemon on this socket.")
def doctor(*, as_json: bool, measure: bool, config: Path | None, socket: Path | None) -> int:
    """Say what is wrong on this machine, what it means, and the command that cures it.

    Looks at the kernel module, the virtual camera and what apps see of it, who may use and who holds which device,
    cameras, settings, models, the engine and its speed, the GPU, and the daemon. Changes nothing, needs no root, and
    turns no camera on without --measure.

    The exit code is 0 when nothing is broken, and 1 when something is.
    """
    instance = click.get_current_context().find_root().params.get("instance")
    diagnosis = examined(Machine(instance=instance, config=config, socket=socket), measure=measure)
    if as_json:
        click.echo(json.dumps(diagnosis.as_dict(), indent=2))
    else:
        click.echo(diagnosis_page(diagnosis, min(shutil.get_terminal_size().columns, _WIDEST)))
    return 0 if diagnosis.healthy else SICK


def examined(machine: Machine, *, measure: bool = False) -> Diagnosis:
    """Look at a machine; on a terminal, a line says meanwhile what is being looked at."""
    shown = sys.stderr.isatty()

    def tell(text: str) -> None:
        if shown:
            click.echo(f"\r{text}\x1b[K", nl=False, err=True)

    try:
        return examine(machine, measure=measure, tell=lambda group: tell(f"looking at: {group} …"))
    finally:
        tell("")
