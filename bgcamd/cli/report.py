"""``bgcam report``: one file for a bug report."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bgcamd.atomic import check_target
from bgcamd.cli.doctor import examined
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.report import gather, pack
from bgcamd.errors import OutputError

_ABOUT = {
    "doctor.txt": "what `bgcam doctor` says",
    "doctor.json": "the same, for programs",
    "status.json": "what the daemon says of itself",
    "settings.toml": "the settings, without comments",
    "versions.txt": "this system, and the packages that bgcamd uses",
    "log.txt": "the daemon's log of the last hour, as far as you may read it",
}


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE.tar.gz]")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="The settings to put in.")
@click.option("--socket", type=click.Path(path_type=Path), metavar="PATH", help="Ask the daemon on this socket.")
def report(file: Path | None, config: Path | None, socket: Path | None) -> None:
    """Pack what helps to find a fault into one file: doctor, status, settings, versions, log.

    It holds no picture. Names of users and of this machine, home folders, hosts, passwords and paths in URLs, and names
    of your pictures are taken out. Nothing is sent: have a look at it, then attach it where you report the bug.

    FILE is bgcam-report-TIME.tar.gz if none is named; one that is there is not replaced.
    """
    now = int(time.time())
    stem = time.strftime("bgcam-report-%Y%m%d-%H%M%S", time.localtime(now))
    default = f"{stem}.tar.gz"
    target = Path(default) if file is None else file / default if file.is_dir() else file
    if target.exists():
        raise OutputError(f"{target} is there already", "name another file, or none")
    check_target(target, overwrite=False)
    instance = click.get_current_context().find_root().params.get("instance")
    machine = Machine(instance=instance, config=config, socket=socket)
    files = gather(machine, examined(machine))
    size = pack(files, target, stem, now)
    click.echo(f"{target}, {max(round(size / 1000), 1)} kB:")
    for name, text in files.items():
        click.echo(f"  {name:<14} {_ABOUT[name]}, {_lines(text)}")
    click.echo("There are no pictures in it; names, homes, hosts and passwords were taken out. Nothing was sent.")
    click.echo(f"Look at it: tar xzOf {target} | less")


def _lines(text: str) -> str:
    count = text.count("\n")
    return "1 line" if count == 1 else f"{count} lines"
