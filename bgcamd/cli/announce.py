"""What ``bgcamd`` says when it runs: in a few lines what it uses, how to see and change it, what is missing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from bgcamd import __version__
from bgcamd.paths import DEFAULT_INSTANCE, named_socket, service_socket, user_socket
from bgcamd.service.daemon import Daemon
from bgcamd.streams import given_at
from bgcamd.video.stream_address import Rtsp
from bgcamd.wiring import Choices


def announce(daemon: Daemon, choices: Choices, socket: Path, instance: str) -> None:
    """Tell what runs, where others find its streams, how to change it, and what is missing for the real thing."""
    bgcam = _bgcam(socket, instance)
    camera = choices.camera
    rows = [("camera", camera.shown if isinstance(camera, Rtsp) else str(camera))]
    if place := given_at(camera):
        rows.append(("send it", place))
    rows += [("output", daemon.output), ("model", daemon.engine)]
    rows += [("see it", place) for place in daemon.places or [f"{bgcam} preview"]]
    rows += [
        ("change it", f"{bgcam} set --replace=PICTURE (or --blur, --color green, --keep …)"),
        ("ask it", f"{bgcam} status"),
    ]
    for note in choices.notes:
        rows += [("missing", note.message), ("", note.hint)]
    click.echo(f"bgcamd {__version__} runs; Ctrl-C ends it.")
    for word, text in rows:
        click.echo(f"  {word:<10} {text}")


def _bgcam(socket: Path, instance: str) -> str:
    """How the client is called from a shell here."""
    here = Path(sys.executable).with_name("bgcam")
    inside = here.is_relative_to(Path.cwd())
    command = "bgcam" if shutil.which("bgcam") else str(here.relative_to(Path.cwd()) if inside else here)
    if instance != DEFAULT_INSTANCE:
        command += f" --instance {instance}"
    usual = {user_socket(instance), service_socket(instance), named_socket()}
    return command if socket in usual else f"BGCAMD_SOCKET={socket} {command}"
