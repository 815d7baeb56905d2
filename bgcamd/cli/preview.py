"""``bgcam preview``: a page in the browser that shows the picture and changes it."""

from __future__ import annotations

import os
import signal
import socket as socket_module
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bgcamd.cli.live import found_socket, socket_option
from bgcamd.preview.page import Page
from bgcamd.service.client import Client
from bgcamd.web.secret import new_secret
from bgcamd.web.server import WebServer


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="The page's port; 0 for any free one."
)
@click.option(
    "--open/--no-open",
    "opened",
    default=None,
    help="Open it in a browser, or only print its address  [default: where there is a screen].",
)
@socket_option
def preview(port: int, opened: bool | None, socket: Path | None) -> None:
    """Show the picture in a browser, before and after, and change what is behind you there, until Ctrl-C.

    The page is on this machine only, behind a secret address. It talks to the daemon by its socket, so that it works
    with the service, too, and takes nothing from the virtual camera's readers.
    """
    path = found_socket(socket)
    with Client(path) as client:  # says what is wrong before there is a page to say it
        client.call("org.bgcam.GetStatus")[1].close()
    page = Page(path)
    with _told_to_end() as wait, WebServer("127.0.0.1", port, new_secret(), page.gets, page.posts) as server:
        click.echo(f"{server.url}\nCtrl-C ends it.")
        if opened if opened is not None else _has_screen():
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        wait()


@contextmanager
def _told_to_end() -> Iterator[Callable[[], None]]:
    """Give what waits for the first signal to end; one that comes later ends us at once, whatever hangs.

    A signal may reach any thread: the byte that Python then writes is what wakes the main one.
    """
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    told, tell = socket_module.socketpair()
    with told, tell:
        tell.setblocking(False)
        signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)

        def wait() -> None:
            told.recv(1)
            for number in numbers:
                signal.signal(number, signal.SIG_DFL)

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(-1)


def _has_screen() -> bool:
    return bool(os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY"))
