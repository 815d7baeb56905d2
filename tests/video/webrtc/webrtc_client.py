"""What stands for a browser: aiortc itself, on this machine's loopback interface only."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import VideoStreamTrack

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.video.files.swscale import pack
from bgcamd.video.webrtc.loop import LoopThread
from bgcamd.video.webrtc.peers import _use_only

SIZE = Size(320, 240)
RED, BLUE = (81, 90, 240), (41, 240, 110)  # BT.601, limited range
_WAIT_S = 30.0


def plain(colour: tuple[int, int, int], size: Size = SIZE) -> Frame:
    """An I420 frame of one colour."""
    shapes = ((size.height, size.width), *[((size.height + 1) // 2, (size.width + 1) // 2)] * 2)
    planes = tuple(np.full(shape, value, np.uint8) for shape, value in zip(shapes, colour, strict=True))
    return Frame(planes, PixelFormat.I420, size)


class Client:
    """One browser. codecs: what it knows, all that aiortc does by default."""

    def __init__(self, loop: LoopThread, *, codecs: tuple[str, ...] = (), sends: Any = None) -> None:
        self._loop = loop
        self.connection: Any = None
        self.track: Any = None
        self._codecs, self._sends = codecs, sends

    def offer(self) -> str:
        """What it asks."""
        return self._loop.run(self._offer(), _WAIT_S)

    def connect(self, url: str) -> tuple[int, dict[str, Any]]:
        """Ask at a page; return the answer's status and content."""
        status, answer = ask(url, {"type": "offer", "sdp": self.offer()})
        if status == 200:
            self._loop.run(self.connection.setRemoteDescription(RTCSessionDescription(**answer)), _WAIT_S)
        return status, answer

    def picture(self) -> tuple[int, int, int]:
        """The next picture's Y, U and V in the middle."""
        frame = self._loop.run(self.track.recv(), _WAIT_S)
        planes = frame.to_ndarray(format="yuv420p")
        height, width = frame.height, frame.width
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        u, v = chroma[:, height // 4, width // 4]
        return int(planes[height // 2, width // 2]), int(u), int(v)

    def close(self) -> None:
        """Leave, and say so."""
        self._loop.run(self.connection.close(), _WAIT_S)

    async def _offer(self) -> str:
        if self.connection is not None:
            await self.connection.close()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if self._sends is not None:
            self.connection.addTrack(self._sends)
        else:
            transceiver = self.connection.addTransceiver("video", direction="recvonly")
            known = RTCRtpReceiver.getCapabilities("video").codecs
            if self._codecs:
                transceiver.setCodecPreferences([codec for codec in known if codec.name.lower() in self._codecs])
            self.connection.on("track", lambda track: setattr(self, "track", track))
        _use_only(self.connection, "127.0.0.1")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp: str = self.connection.localDescription.sdp
        return sdp


class Colour(VideoStreamTrack):  # type: ignore[misc]
    """A camera that sees one colour."""

    def __init__(self, colour: tuple[int, int, int], size: Size = SIZE) -> None:
        super().__init__()
        self.colour, self.size = colour, size

    async def recv(self) -> Any:
        pts, time_base = await self.next_timestamp()
        frame, _ = pack(plain(self.colour, self.size))
        frame.pts, frame.time_base = pts, time_base
        return frame


def ask(url: str, body: object) -> tuple[int, dict[str, Any]]:
    """POST to a page's offer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/offer", raw), timeout=_WAIT_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def close_to(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two colours are the same but for what encoding takes."""
    return max(abs(one - other) for one, other in zip(found, wanted, strict=True)) < 8


def until(true: Callable[[], object]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + _WAIT_S
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


@contextmanager
def playing(write: Callable[[], object]) -> Iterator[None]:
    """Do something again and again, as the pipeline writes."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.02):
            write()

    writer = threading.Thread(target=work)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()
