"""An output for browsers: a page that shows what viewers see, with little delay, wherever the address says."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

from aiortc import RTCRtpSender

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.video.stream_address import Served
from bgcamd.video.webrtc.broadcast import CODECS, Broadcast, Track
from bgcamd.video.webrtc.loop import LoopThread
from bgcamd.video.webrtc.offer import codec_of
from bgcamd.video.webrtc.pages import offer_routes, page_routes
from bgcamd.video.webrtc.peers import Peers
from bgcamd.web.server import WebServer

_VIEWERS = 4
_CLOSING_S = 10.0


class WebRtcSink:
    """Serves a page and the picture in it from the moment it is made until it is closed.

    ``write`` copies a frame only while somebody watches; it is encoded once, by a thread of its own, and what that
    thread is too slow for is left out.

    Parameters
    ----------
    address: where; only that interface is used, also for the picture.
    size, rate: of the frames.
    secret: the first part of the page's path.

    Attributes
    ----------
    name: the address.
    url: the page's.
    see: how a person sees it.

    Raises
    ------
    SinkError: the port is taken, or not ours to take.
    """

    def __init__(self, address: Served, *, size: Size, rate: Fraction, secret: str) -> None:
        self.name = str(address)
        self._size = size
        with ExitStack() as stack:
            loop = stack.enter_context(LoopThread("webrtc"))
            self._broadcast = Broadcast(loop, size, rate)
            stack.callback(self._broadcast.close)
            viewers = _Viewers(self._broadcast)
            self._peers = Peers(
                viewers,
                most=_VIEWERS,
                full=f"{_VIEWERS} browsers watch already",
                came=f"watches {self.name}",
                left="watches no longer",
            )
            stack.callback(lambda: loop.run(self._peers.close(), _CLOSING_S))
            pages = page_routes(address.name, "viewer.html", ("viewer.js",), width=size.width, height=size.height)
            offers = offer_routes(address.name, loop, self._peers)
            server = stack.enter_context(WebServer(address.host, address.port, secret, pages, offers))
            self._stack = stack.pop_all()
        self.url = server.url + address.name
        self.see = f"open {self.url} in a browser"

    @property
    def watched(self) -> bool:
        """Whether a browser is connected."""
        return self._peers.connected > 0

    def write(self, frame: Frame) -> None:
        """Show one I420 frame, BT.601. Never waits for a viewer."""
        if frame.format is not PixelFormat.I420 or frame.size != self._size:
            raise ValueError(f"{self.name} takes {self._size} I420, not {frame.size} {frame.format.name}")
        self._broadcast.put(frame)

    def close(self) -> None:
        """Send all viewers away and end every thread; a second call does nothing."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


class _Viewers:
    """Each has a track."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._tracks: dict[Any, Track] = {}

    def prepare(self, connection: Any) -> None:
        track = self._tracks[connection] = Track()
        transceiver = connection.addTransceiver(track, direction="sendonly")
        transceiver.setCodecPreferences(_preferences())
        # What a viewer says that has lost too much. aiortc keeps it to itself, since its own encoder would heed it.
        transceiver.sender._send_keyframe = track.starve

    def answered(self, connection: Any, sdp: str) -> None:
        track = self._tracks[connection]
        track.codec = codec_of(sdp)
        self._broadcast.add(track)

    def gone(self, connection: Any) -> None:
        track = self._tracks.pop(connection, None)
        if track is not None:
            self._broadcast.remove(track)
            track.stop()


def _preferences() -> list[Any]:
    """Our codecs, best first, and what aiortc needs to send again what was lost."""
    known = RTCRtpSender.getCapabilities("video").codecs
    names = {name: rank for rank, name in enumerate((*CODECS, "rtx"))}
    ours = [codec for codec in known if codec.name.lower() in names]
    return sorted(ours, key=lambda codec: names[codec.name.lower()])
