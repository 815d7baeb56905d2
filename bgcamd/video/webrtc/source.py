"""A browser's camera as ours: a page that sends it, wherever the address says."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
from aiortc.mediastreams import MediaStreamError

from bgcamd.errors import SinkError, SourceError
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Size
from bgcamd.video.files.swscale import convert, samples
from bgcamd.video.mailbox import Latest
from bgcamd.video.stream_address import Served
from bgcamd.video.webrtc.loop import LoopThread
from bgcamd.video.webrtc.pages import offer_routes, page_routes
from bgcamd.video.webrtc.peers import Peers
from bgcamd.web.server import WebServer

_HD = Size(1280, 720)
_CLOSING_S = 10.0
_BT709_TAG, _FULL_TAG = 1, 2


class WebRtcSource:
    """Serves a page that sends a camera, one browser at a time, from the moment it is made until it is closed.

    The first to come sends until it leaves; another is told so, and its page follows by itself then. A browser
    changes the size of its frames as the network allows.

    Parameters
    ----------
    address: where; only that interface is used, also for the picture.
    secret: the first part of the page's path.

    Attributes
    ----------
    name: the address.
    size: of the newest frame read; before, what the page asks of the camera.
    url: the page's.
    see: how a person uses it.
    awaited: what is missing when nothing comes, and what to do: its silence is no fault of it.

    Raises
    ------
    SourceError: the port is taken, or not ours to take.
    """

    rate = Fraction(30)

    def __init__(self, address: Served, *, secret: str) -> None:
        self.name = str(address)
        self.size = _HD
        self._sequence = 0
        with ExitStack() as stack:
            self._newest = stack.enter_context(Latest[Frame]())
            loop = stack.enter_context(LoopThread("webrtc"))
            peers = Peers(
                _Sender(self._take),
                most=1,
                full="another browser sends its camera already",
                came=f"sends to {self.name}",
                left="sends no longer",
            )
            stack.callback(lambda: loop.run(peers.close(), _CLOSING_S))
            pages = page_routes(address.name, "sender.html", ("sender.js",))
            offers = offer_routes(address.name, loop, peers)
            try:
                server = stack.enter_context(WebServer(address.host, address.port, secret, pages, offers))
            except SinkError as error:
                raise SourceError(error.message, error.hint) from error
            self._stack = stack.pop_all()
        self.url = server.url + address.name
        self.see = f"open {self.url} in a browser"
        # It is written into the picture, for everybody to see: the address, which is secret, is not.
        self.awaited = ("no browser sends its camera", "open the page that bgcamd named when it started")

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not yet read, I420; it stays valid as long as it is held. Raises nothing."""
        frame = self._newest.get(timeout_s)
        if frame is not None:
            self.size = frame.size
        return frame

    def close(self) -> None:
        """Send the browser away and end every thread; a second call does nothing."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _take(self, picture: av.VideoFrame) -> None:
        self._sequence += 1
        self._newest.put(_frame(picture, time.monotonic_ns(), self._sequence))


class _Sender:
    """The one that sends."""

    def __init__(self, take: Any) -> None:
        self._take = take
        self._tasks: dict[Any, asyncio.Task[None]] = {}

    def prepare(self, connection: Any) -> None:
        connection.addTransceiver("video", direction="recvonly")
        connection.on(
            "track", lambda track: self._tasks.setdefault(connection, asyncio.create_task(self._drain(track)))
        )

    def answered(self, connection: Any, sdp: str) -> None:
        pass

    def gone(self, connection: Any) -> None:
        if connection in self._tasks:
            self._tasks.pop(connection).cancel()

    async def _drain(self, track: Any) -> None:
        try:
            while True:
                self._take(await track.recv())
        except MediaStreamError:  # it has ended
            pass


def _frame(picture: av.VideoFrame, time_ns: int, sequence: int) -> Frame:
    """Views of the decoder's memory; without the last column or row of an odd size."""
    size = Size(picture.width & ~1, picture.height & ~1)
    color = Color("bt709" if picture.colorspace == _BT709_TAG else "bt601", picture.color_range == _FULL_TAG)
    if picture.format.name not in ("yuv420p", "yuvj420p"):
        picture = convert(picture, "yuv420p", source=color, target=BT601, size=Size(picture.width, picture.height))
        color = BT601
    luma, *chroma = (samples(picture, index) for index in range(3))
    half = (slice(size.height // 2), slice(size.width // 2))
    planes = (luma[: size.height, : size.width], *(plane[half] for plane in chroma))
    return Frame(planes, PixelFormat.I420, size, color=color, captured_ns=time_ns, sequence=sequence)
