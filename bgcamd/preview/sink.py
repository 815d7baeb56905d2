"""The page as an output of the daemon: ``--output preview:``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from bgcamd.frame import Frame
from bgcamd.preview.page import Page
from bgcamd.web.server import WebServer


class PreviewSink:
    """Serves the page from the moment it is made until it is closed; a sink that is written to in vain.

    The page gets its pictures as every other one does, from the daemon's socket, and counts as watched by it.

    Parameters
    ----------
    socket: the daemon's own.
    port: on 127.0.0.1; 0 for any that is free.
    secret: the first part of the page's path.

    Attributes
    ----------
    url: the page's address; without the secret in it nothing is shown.
    name, see: the same, in words.
    watched: False: who looks at the page looks at the daemon.

    Raises
    ------
    SinkError: the port is taken, or not ours to take.
    """

    watched = False

    def __init__(self, socket: Path, *, port: int, secret: str) -> None:
        page = Page(socket)
        self._server = WebServer("127.0.0.1", port, secret, page.gets, page.posts)
        self.url = self._server.url
        self.name, self.see = f"preview at {self.url}", f"open {self.url} in a browser"

    def write(self, frame: Frame) -> None:
        """See ``protocols.Sink``. The daemon has it already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
