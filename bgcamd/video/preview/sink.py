"""An output for eyes: a page on this machine that shows what viewers see, for whoever has its address."""

from __future__ import annotations

from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, Size
from bgcamd.video.preview.newest_jpeg import NewestJpeg
from bgcamd.video.preview.server import PreviewServer

_PAGE = Path(__file__).with_name("page.html")


class PreviewSink:
    """Serves MJPEG over HTTP from the moment it is made until it is closed.

    ``write`` copies a frame only while somebody watches; viewers' threads encode it, once for all of them.

    Parameters
    ----------
    size: of the frames.
    port: 0 for any that is free.
    host: an IPv4 loopback address.

    Attributes
    ----------
    url: the page's address; it holds the secret without which nothing is shown.
    name: the same, in words.

    Raises
    ------
    SinkError: the port is taken, or not ours to take.
    """

    def __init__(self, *, size: Size, port: int = 0, host: str = "127.0.0.1") -> None:
        page = Template(_PAGE.read_text(encoding="utf-8")).substitute(width=size.width, height=size.height)
        self._newest = NewestJpeg(size)
        try:
            self._server = PreviewServer(host, port, self._newest, page)
        except OSError as error:
            message = f"the preview can't listen on {host}:{port}: {error.strerror}"
            raise SinkError(message, "choose another port, or preview: for any that is free") from error
        self.url = self._server.url
        self.name = f"preview at {self.url}"

    @property
    def watched(self) -> bool:
        """Whether the page is open anywhere."""
        return self._newest.viewers > 0

    def write(self, frame: Frame) -> None:
        """Show one I420 frame, BT.601. Never waits for a viewer."""
        self._newest.put(frame)

    def close(self) -> None:
        """Send all viewers away and end every thread; a second call does nothing."""
        if not self._newest.closed:
            self._newest.close()
            self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
