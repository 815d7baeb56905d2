"""One picture to many browsers: encoded once a codec, however many look, by a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from fractions import Fraction
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from bgcamd.frame import Frame, Size
from bgcamd.video.mailbox import Latest
from bgcamd.video.pool import Pool
from bgcamd.video.stream.encoder import TICKS, Coded, Encoder
from bgcamd.video.webrtc.loop import LoopThread
from bgcamd.video.webrtc.vp8 import Vp8Encoder

CODECS: dict[str, type[Encoder | Vp8Encoder]] = {"h264": Encoder, "vp8": Vp8Encoder}
"""What we can send, best first: x264 takes half of libvpx' time, for half the bits."""

_WAITING_MOST = 4  # pictures that wait for one viewer; with more it starts anew from a key frame
_KEYS_APART_S = 0.3
_LOOK_S = 0.5


class Track(MediaStreamTrack):  # type: ignore[misc]
    """What one viewer gets: encoded pictures, from a key frame on. Lives in the event loop's thread.

    Attributes
    ----------
    codec: what the viewer can decode; set before it is connected.
    starved: whether it can't go on without a key frame; the encoder's thread reads it.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.codec = ""
        self.starved = False
        self._asked = False
        self._waiting: asyncio.Queue[Coded] = asyncio.Queue()

    async def recv(self) -> av.Packet[Any]:
        """The next encoded picture, as soon as there is one; asked for from when the viewer is connected."""
        if self.readyState != "live":
            raise MediaStreamError
        if not self._asked:
            self._asked = True
            self.starve()
        coded = await self._waiting.get()
        packet: av.Packet[Any] = av.Packet(coded.data)
        packet.pts, packet.time_base = coded.ticks, Fraction(1, TICKS)
        return packet

    def starve(self) -> None:
        """Give it nothing until there is a key frame, and ask for one."""
        self.starved = self._asked

    def put(self, coded: Coded) -> None:
        """Give it the next picture of its codec; what it can't use, or is too slow for, is thrown away."""
        if not self._asked or (self.starved and not coded.key):
            return
        self.starved = False
        if self._waiting.qsize() >= _WAITING_MOST:
            self._waiting = asyncio.Queue()  # nobody waits for one that is full
            self.starve()
            return
        self._waiting.put_nowait(coded)


class Broadcast:
    """Encodes the newest picture for those tracks that there are; ended by ``close``.

    Parameters
    ----------
    loop: where the tracks live.
    size, rate: of the frames that will be ``put``.
    """

    def __init__(self, loop: LoopThread, size: Size, rate: Fraction) -> None:
        self._loop, self._size, self._rate = loop, size, rate
        self._pool, self._newest = Pool(), Latest[Frame]()
        self._tracks: frozenset[Track] = frozenset()  # changed in the loop's thread only, as a whole
        self._encoders: dict[str, Encoder | Vp8Encoder] = {}
        self._key_at: dict[str, float] = {}
        self._closed = threading.Event()
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, name="webrtc encoder")
        self._thread.start()

    def add(self, track: Track) -> None:
        """Give this one the picture from now on; in the loop's thread."""
        self._tracks |= {track}

    def remove(self, track: Track) -> None:
        """Give it nothing any more; in the loop's thread."""
        self._tracks -= {track}

    def put(self, frame: Frame) -> None:
        """Copy a frame, if anybody is there to see it. Raises what the encoder's thread has ended with."""
        if self._crash is not None:
            raise self._crash
        if self._tracks:
            copy = self._pool.copy(frame)
            self._newest.put(copy.lend(captured_ns=time.monotonic_ns(), sequence=frame.sequence))
            copy.release()

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        self._closed.set()
        self._newest.close()
        self._thread.join()

    def _guarded(self) -> None:
        try:
            while not self._closed.is_set():
                frame = self._newest.get(_LOOK_S)
                if frame is not None:
                    self._encode(frame)
                    frame.release()
        except BaseException as error:
            self._crash = error

    def _encode(self, frame: Frame) -> None:
        tracks = self._tracks
        codecs = {track.codec for track in tracks if track.codec}
        for unused in self._encoders.keys() - codecs:
            del self._encoders[unused]
        for codec in codecs:
            theirs = [track for track in tracks if track.codec == codec]
            coded = self._encoder(codec).encode(frame, key=self._key_due(codec, theirs))
            for track in theirs:
                self._loop.call(track.put, coded)

    def _encoder(self, codec: str) -> Encoder | Vp8Encoder:
        if codec not in self._encoders:
            self._encoders[codec] = CODECS[codec](self._size, self._rate)
        return self._encoders[codec]

    def _key_due(self, codec: str, tracks: list[Track]) -> bool:
        """Whether one of them needs a key frame, and the last one was long enough ago."""
        now = time.monotonic()
        due = any(track.starved for track in tracks) and now - self._key_at.get(codec, -1.0) >= _KEYS_APART_S
        if due:
            self._key_at[codec] = now
        return due
