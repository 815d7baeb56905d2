"""An output that players fetch by RTSP, encoded once for all of them, and only while somebody looks."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Self

from bgcamd.frame import Frame, Size
from bgcamd.video.stream.encoder import Coded
from bgcamd.video.stream.encoding import Encoding
from bgcamd.video.stream.rtsp_server import RtspServer
from bgcamd.video.stream.rtsp_session import TRACK
from bgcamd.video.stream.sdp import description
from bgcamd.video.stream.viewer import Viewer
from bgcamd.video.stream_address import Served

_VIEWERS = 8


class RtspSink:
    """Serves one stream from entering the context until it is left, to who knows its address.

    Parameters
    ----------
    address: where it listens, and the stream's name.
    size, rate: of the frames.
    secret: the first part of the stream's path; who does not know it is told that there is no such stream.

    Attributes
    ----------
    name: the address without the secret.
    link: with it; "" until the context is entered.
    see: how to watch it, one line.

    Raises
    ------
    SinkError: there is no H.264 (when made), or the port is taken (when entered).
    """

    def __init__(self, address: Served, *, size: Size, rate: Fraction, secret: str) -> None:
        self.name, self.link = str(address), ""
        self._address, self._rate = address, rate
        self._encoding = Encoding(size, rate, self._hand_on)
        self._viewers: tuple[Viewer, ...] = ()
        self._joining = threading.Lock()
        self.secret, self.stream = secret, address.name
        self.size = Size(size.width & ~1, size.height & ~1)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._encoding)
            server = stack.enter_context(RtspServer(self._address.host, self._address.port, self))
            self.link = server.url
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def see(self) -> str:
        """A program that shows the stream, with its address."""
        return f"ffplay -fflags nobuffer {self.link}" if self.link else ""

    @property
    def watched(self) -> bool:
        """Whether anybody plays it."""
        return any(viewer.playing for viewer in self._viewers)

    def write(self, frame: Frame) -> None:
        """Copy a frame if anybody plays, to be encoded soon. Never waits. Raises SinkError where encoding failed."""
        if self.watched:
            self._encoding.put(frame)

    def description(self, host: str) -> str:
        """See ``rtsp_session.Served``."""
        return description(host, 0, parameters=self._encoding.parameters, rate=self._rate, control=TRACK)

    def join(self, viewer: Viewer) -> bool:
        """See ``rtsp_session.Served``."""
        with self._joining:
            if len(self._viewers) >= _VIEWERS:
                return False
            self._viewers += (viewer,)
            return True

    def leave(self, viewer: Viewer) -> None:
        """See ``rtsp_session.Served``."""
        with self._joining:
            self._viewers = tuple(other for other in self._viewers if other is not viewer)

    def want_key(self) -> None:
        """See ``rtsp_session.Served``."""
        self._encoding.want_key()

    def _hand_on(self, coded: Coded) -> None:
        for viewer in self._viewers:
            viewer.put(coded)
