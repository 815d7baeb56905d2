"""``bgcam models``: what there is, bringing it here, and building it for the GPU. Works without the daemon."""

from __future__ import annotations

import glob
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bgcamd.cli.options import SizeOption
from bgcamd.errors import ModelError
from bgcamd.frame import Size
from bgcamd.paths import shipped

if TYPE_CHECKING:
    from bgcamd.matting.engines import Choice
    from bgcamd.matting.manifest import Manifest

_COLUMNS = ("name", "licence", "download", "fetched", "description")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models, fetch them, or build them for the GPU."""
    from bgcamd.matting.manifest import all_manifests  # noqa: PLC0415 - loads numpy

    if ctx.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json is for the list, not for a command")
        return
    rows = [_row(manifest) for manifest in all_manifests()]
    click.echo(json.dumps(rows, indent=2) if as_json else _table(rows))


def _complete(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The shipped models whose names begin so, for the shell."""
    return sorted(path.stem for path in shipped("models").glob(f"{glob.escape(begun)}*.toml"))


@models.command()
@click.argument("names", metavar="NAME...", nargs=-1, shell_complete=_complete)
@click.option(
    "--find-links",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Take the wheels from this folder; no network is used.",
)
@click.option("--demo", is_flag=True, help="Fetch the picture of the camera demo: as well.")
def fetch(names: tuple[str, ...], find_links: Path | None, demo: bool) -> None:
    """Fetch models by name. One that is there already is verified instead."""
    from bgcamd.matting.manifest import find_manifest  # noqa: PLC0415

    if not (names or demo):
        raise click.UsageError("Name a model; bgcam models lists them.")
    manifests = [find_manifest(name) for name in names]
    with _terminated_as_interrupted():
        for manifest in manifests:
            _fetch_model(manifest, find_links)
        if demo:
            _fetch_demo(find_links)


@models.command()
@click.argument("name", shell_complete=_complete)
@click.option(
    "--engine",
    type=click.Choice(["auto", "tensorrt", "tensorrt-rtx"]),
    default="auto",
    show_default=True,
    help="What it is built by.",
)
@click.option("--size", type=SizeOption(), default="1280x720", show_default=True, help="Of the frames.")
def build(name: str, engine: Choice, size: Size) -> None:
    """Build a model for this machine's GPU, so that it starts there at once.

    The daemon does so by itself, beside the picture; this does it ahead of time.
    """
    from bgcamd.matting.engines import build_ahead  # noqa: PLC0415
    from bgcamd.matting.manifest import find_manifest  # noqa: PLC0415

    with _terminated_as_interrupted(), _line(name) as tell:
        built = build_ahead(find_manifest(name), engine, size, progress=lambda done, doing: tell(_percent(done, doing)))
    click.echo(f"{built} is ready for frames of {size}")


@models.command()
@click.argument("name", shell_complete=_complete)
def path(name: str) -> None:
    """Print where a model's file is, or will be."""
    from bgcamd.matting.manifest import find_manifest  # noqa: PLC0415

    click.echo(find_manifest(name).path())


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "title": manifest.title,
        "description": manifest.description,
        "licence": manifest.licence,
        "download_bytes": manifest.asset.wheel_size if manifest.asset else 0,
        "fetched": _is_fetched(manifest),
        "path": str(manifest.path()),
    }


def _is_fetched(manifest: Manifest) -> bool:
    from bgcamd.matting.store import check_model  # noqa: PLC0415

    try:
        check_model(manifest)
    except ModelError:  # a damaged one must be fetched as one that is missing
        return False
    return True


def _table(rows: list[dict[str, Any]]) -> str:
    cells = [tuple(column.upper() for column in _COLUMNS)]
    for row in rows:
        shown = {**row, "download": _megabytes(row["download_bytes"]), "fetched": "yes" if row["fetched"] else "no"}
        cells.append(tuple(shown[column] for column in _COLUMNS))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _fetch_model(manifest: Manifest, find_links: Path | None) -> None:
    from bgcamd.matting.store import fetch_model  # noqa: PLC0415

    with _progress(manifest.name) as progress:
        new = fetch_model(manifest, find_links=find_links, progress=progress)
    click.echo(f"{manifest.name}: {'fetched' if new else 'already here, and intact'} ({manifest.licence})")
    if new and manifest.notice:
        click.echo(f"  {manifest.notice}")


def _fetch_demo(find_links: Path | None) -> None:
    from bgcamd import assets  # noqa: PLC0415

    demo, target = assets.demo_asset(), assets.demo_path()
    new = not (target.is_file() and assets.matches(target, demo.asset.sha256))
    if new:
        with _progress("demo") as progress:
            assets.fetch(demo.asset, target, find_links=find_links, progress=progress)
    click.echo(f"demo: {'fetched' if new else 'already here, and intact'} ({demo.title}; {demo.licence})")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """A line of how much has come, or None where there is no terminal."""
    with _line(name) as tell:
        if sys.stderr.isatty():
            yield lambda done, total: tell(f"{_megabytes(done)} of {_megabytes(total)}")
        else:
            yield None


@contextmanager
def _line(name: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that is gone afterwards; nothing where there is no terminal."""
    shown = sys.stderr.isatty()

    def tell(text: str) -> None:
        if shown:
            click.echo(f"\r{name}: {text}\x1b[K", nl=False, err=True)

    try:
        yield tell
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM (``timeout``, systemd) end a fetch as Ctrl-C does: tidily."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _percent(done: float | None, doing: str) -> str:
    return doing if done is None else f"{doing} {done:.0%}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
