"""The commands that talk to the daemon: set, status, watch, pause, resume, snapshot, stop.

They import neither numpy nor cv2, so that they answer at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bgcamd.atomic import check_target, reason, replacing
from bgcamd.cli.options import scene_options
from bgcamd.cli.page import Screen, line, page, scene_line
from bgcamd.errors import ControlError, InputError, UsageError
from bgcamd.scene import Blur, Colour, Keep, Remove
from bgcamd.service.client import Client, find_socket
from bgcamd.service.varlink import Descriptors
from bgcamd.settings import SceneChange

_SET_S = 30.0
"""A model may have to be loaded, a clip copied."""
_STOP_S = 10.0

Command = Callable[..., Any]


def socket_option(command: Command) -> Command:
    """Add --socket to a command."""
    return click.option(
        "--socket",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Talk to the daemon on this socket  [default: $BGCAMD_SOCKET, your own daemon's, the service's].",
    )(command)


def found_socket(socket: Path | None) -> Path:
    """The socket that --socket, or the program's --instance, means."""
    return find_socket(socket, click.get_current_context().find_root().params.get("instance"))


@click.command("set", context_settings={"allow_extra_args": True})
@scene_options()
@click.option("--model", metavar="NAME", help="Use this network: a name of `bgcam models`, or a manifest's path.")
@socket_option
def set_(change: SceneChange, model: str | None, socket: Path | None) -> None:
    """Change what viewers see, all at once; what is not named stays.

    Returns when the change is live. On an error nothing changes.
    """
    _refuse_bare(click.get_current_context())
    parameters = _parameters(change, model)
    with contextlib.ExitStack() as stack:
        fds = []
        if isinstance(change.background, Path):
            fds.append(stack.enter_context(_opened(change.background)))
            parameters |= {"replace": 0, "name": change.background.name}
        if not parameters:
            raise UsageError("nothing to change", "see `bgcam set --help`")
        client = stack.enter_context(Client(found_socket(socket)))
        reply, extra = client.call("org.bgcam.Set", parameters, fds, timeout_s=_SET_S)
        extra.close()
    click.echo(f"live: {scene_line(reply.get('scene'))}" + (f"; model {model}" if model else ""))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it for machines.")
@socket_option
def status(as_json: bool, socket: Path | None) -> None:
    """Show what the daemon is doing, with what, and how fast."""
    found = _ask("org.bgcam.GetStatus", socket).get("status")
    click.echo(json.dumps(found, indent=2) if as_json else page(_mapping(found)))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--interval", type=click.FloatRange(0.05, 60), default=1.0, show_default=True, metavar="SECONDS")
@socket_option
def watch(as_json: bool, interval: float, socket: Path | None) -> None:
    """Show what ``status`` shows, live, until Ctrl-C; one line a time where the output is no terminal."""
    screen = Screen()
    with Client(found_socket(socket)) as client, contextlib.suppress(KeyboardInterrupt):
        asked = {"interval_ms": round(interval * 1000)}
        for reply in client.stream("org.bgcam.Monitor", asked, timeout_s=interval + 5):
            found = _mapping(reply.get("status"))
            if as_json:
                click.echo(json.dumps(found))
            elif sys.stdout.isatty():
                screen.draw(page(found))
            else:
                click.echo(line(found))
            sys.stdout.flush()


@click.command()
@click.option("--text", metavar="TEXT", help="What the card says; \\n begins a new line.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Show this picture instead of a card.")
@click.option("--freeze", is_flag=True, help="Let what viewers see now stand still.")
@socket_option
def pause(text: str | None, picture: Path | None, freeze: bool, socket: Path | None) -> None:
    """Turn the camera off; viewers see a card.

    It lasts until `bgcam resume`, also over a restart of the daemon.
    """
    parameters: dict[str, object] = {}
    if [text is not None, picture is not None, freeze].count(True) > 1:
        raise UsageError("--text, --picture and --freeze can't be shown at once", "name one")
    if text is not None:
        parameters["text"] = text.replace("\\n", "\n")
    if freeze:
        parameters["freeze"] = True
    with contextlib.ExitStack() as stack:
        fds = []
        if picture is not None:
            fds.append(stack.enter_context(_opened(picture)))
            parameters |= {"picture": 0, "name": picture.name}
        client = stack.enter_context(Client(found_socket(socket)))
        _, extra = client.call("org.bgcam.Pause", parameters, fds, timeout_s=_SET_S)
        extra.close()
    click.echo("paused: the camera is off")


@click.command()
@socket_option
def panic(socket: Path | None) -> None:
    """Take the camera off the air at once: viewers see a card.

    Returns when they do, whatever the daemon is busy with. Bind it to a key. As `bgcam pause`, without a choice.
    """
    _ask("org.bgcam.Pause", socket)
    click.echo("the card is on air; bgcam resume shows the camera again")


@click.command()
@socket_option
def resume(socket: Path | None) -> None:
    """Turn the camera on again."""
    _ask("org.bgcam.Resume", socket)
    click.echo("resumed: the camera is on")


@click.command()
@click.argument("output", type=click.Path(path_type=Path), metavar="OUT.png")
@click.option("--overwrite", is_flag=True, help="Replace OUT.png if it is there.")
@socket_option
def snapshot(output: Path, overwrite: bool, socket: Path | None) -> None:
    """Save the picture that viewers see now, as a PNG."""
    if output.suffix.lower() != ".png":
        raise UsageError(f"a snapshot is a PNG, {output} is named otherwise", f"name it {output.with_suffix('.png')}")
    check_target(output, overwrite=overwrite)
    with Client(found_socket(socket)) as client:
        reply, fds = client.call("org.bgcam.Snapshot")
        with fds, os.fdopen(_sent(fds, reply.get("picture")), "rb") as picture:
            picture.seek(0)
            with replacing(output, overwrite=overwrite) as part:
                part.write_bytes(picture.read())
    click.echo(f"saved {output}")


@click.command()
@socket_option
def stop(socket: Path | None) -> None:
    """End the daemon; returns when it has ended."""
    with Client(found_socket(socket)) as client:
        client.call("org.bgcam.Stop")
        ended = client.wait_ended(_STOP_S)
    click.echo("bgcamd has stopped" if ended else "bgcamd is stopping")


def _ask(method: str, socket: Path | None) -> dict[str, object]:
    with Client(found_socket(socket)) as client:
        reply, fds = client.call(method)
        fds.close()
        return reply


def _refuse_bare(context: click.Context) -> None:
    """Say how a word without an option, such as the coral.jpg of ``bgcam set coral.jpg``, is meant to be written."""
    for word in context.args:
        options = {name for parameter in context.command.params for name in parameter.opts}
        likely = f"--{word}" if f"--{word}" in options else f"--replace={shlex.quote(word)}"
        raise UsageError(f"{word} stands alone: an option tells what it is", f"bgcam set {likely}")


def _parameters(change: SceneChange, model: str | None) -> dict[str, object]:
    """The parameters of org.bgcam.Set, but for a picture's."""
    named: dict[str, object] = {}
    match change.background:
        case Blur(strength):
            named["blur"] = strength
        case Colour((red, green, blue)):
            named["color"] = f"#{red:02x}{green:02x}{blue:02x}"
        case Remove():
            named["remove"] = True
        case Keep():
            named["keep"] = True
    if change.fit is not None:
        named["fit"] = change.fit.value
    if change.mirror is not None:
        named["mirror"] = change.mirror
    named |= change.edge
    if model is not None:  # the daemon's working directory is not ours
        named["model"] = str(Path(model).absolute()) if "/" in model or model.endswith(".toml") else model
    return named


@contextlib.contextmanager
def _opened(picture: Path) -> Iterator[int]:
    """A descriptor of the picture: the daemon reads by it what it could not open. Raises InputError."""
    try:
        fd = os.open(picture, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe without a writer would wait
    except OSError as error:
        raise InputError(f"can't read {picture}: {reason(error)}") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _mapping(status: object) -> Mapping[str, object]:
    if not isinstance(status, Mapping):
        raise ControlError("the daemon's status makes no sense", "restart it: it may be of another version")
    return status


def _sent(fds: Descriptors, index: object) -> int:
    """The descriptor that a reply names."""
    try:
        return fds.take(index if isinstance(index, int) else -1)
    except LookupError:
        raise ControlError("the daemon sent no picture", "restart it: it may be of another version") from None
