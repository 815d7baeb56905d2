"""One picture for many: what a track gives its viewer, and the encoder's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fractions import Fraction

import av
import pytest
from webrtc_client import BLUE, RED, SIZE, close_to, plain, until

from bgcamd.errors import SinkError
from bgcamd.video.stream.encoder import Coded
from bgcamd.video.webrtc import broadcast as broadcast_module
from bgcamd.video.webrtc.broadcast import Broadcast, Track
from bgcamd.video.webrtc.loop import LoopThread
from bgcamd.video.webrtc.vp8 import Vp8Encoder


def coded(number: int, *, key: bool = False) -> Coded:
    return Coded(bytes([number]), key, number)


async def waiting(track: Track) -> asyncio.Task[av.Packet]:
    """A viewer that asks for a picture."""
    task = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    return task


def test_a_viewer_starts_with_a_key_frame() -> None:
    async def work() -> None:
        track = Track()
        track.put(coded(1, key=True))  # before it is connected
        assert not track.starved
        asked = await waiting(track)
        assert track.starved
        track.put(coded(2))
        track.put(coded(3, key=True))
        assert not track.starved
        assert bytes(await asked) == b"\3"
        track.put(coded(4))
        packet = await track.recv()
        assert (bytes(packet), packet.pts, packet.time_base) == (b"\4", 4, Fraction(1, 90_000))

    asyncio.run(work())


def test_a_viewer_that_is_too_slow_goes_on_from_the_next_key_frame() -> None:
    async def work() -> None:
        track = Track()
        asked = await waiting(track)
        for number in range(8):
            track.put(coded(number, key=number == 0))
        await asked
        assert track.starved
        track.put(coded(9))
        track.put(coded(10, key=True))
        assert bytes(await track.recv()) == b"\n"

    asyncio.run(work())


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    with LoopThread("loop") as loop:
        yield loop


class Viewer:
    """A track, and the pictures that came."""

    def __init__(self, loop: LoopThread, broadcast: Broadcast, codec: str = "vp8") -> None:
        self.seen: list[av.Packet] = []
        loop.run(self._start(broadcast, codec), 10)

    async def _start(self, broadcast: Broadcast, codec: str) -> None:
        self.track = Track()
        self.track.codec = codec
        broadcast.add(self.track)
        self._task = asyncio.create_task(self._look())
        await asyncio.sleep(0)

    async def _look(self) -> None:
        while True:
            self.seen.append(await self.track.recv())


def test_each_codec_is_encoded_once_however_many_look(loop: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    for codec in ("h264", "vp8"):
        real = broadcast_module.CODECS[codec]

        class Counting(real):  # type: ignore[misc,valid-type]
            name = codec

            def encode(self, *args: object, **options: object) -> Coded:
                encoded.append(self.name)
                return super().encode(*args, **options)

        monkeypatch.setitem(broadcast_module.CODECS, codec, Counting)
    broadcast = Broadcast(loop, SIZE, Fraction(30))
    viewers = [Viewer(loop, broadcast, codec) for codec in ("vp8", "vp8", "h264", "h264", "h264")]
    for number in range(1, 4):
        broadcast.put(plain(RED))
        until(lambda number=number: all(len(viewer.seen) == number for viewer in viewers))
    broadcast.close()
    assert sorted(encoded) == ["h264"] * 3 + ["vp8"] * 3


def test_a_frame_that_nobody_sees_is_not_even_copied(loop: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    broadcast = Broadcast(loop, SIZE, Fraction(30))
    monkeypatch.setattr(broadcast._pool, "copy", None)
    broadcast.put(plain(RED))
    broadcast.close()


def test_an_encoder_that_fails_is_told_to_who_writes(loop: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Coded:
        raise SinkError("can't encode")

    monkeypatch.setitem(broadcast_module.CODECS, "vp8", fail)
    broadcast = Broadcast(loop, SIZE, Fraction(30))
    Viewer(loop, broadcast)
    broadcast.put(plain(RED))
    until(lambda: not broadcast._thread.is_alive())
    with pytest.raises(SinkError, match="can't encode"):
        broadcast.put(plain(RED))
    broadcast.close()


def decoded(pictures: list[Coded]) -> list[tuple[int, int, int]]:
    decoder = av.CodecContext.create("libvpx", "r")
    frames = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.data))]
    return [tuple(int(bytes(plane)[plane.line_size * plane.height // 2]) for plane in frame.planes) for frame in frames]


def test_vp8_shows_what_was_encoded_with_a_key_frame_where_one_is_wanted() -> None:
    encoder = Vp8Encoder(SIZE, Fraction(30))
    colours = [RED] * 3 + [BLUE] * 3
    pictures = [encoder.encode(plain(colour), key=number == 4) for number, colour in enumerate(colours)]
    assert [picture.key for picture in pictures] == [True, False, False, False, True, False]
    assert all(close_to(found, wanted) for found, wanted in zip(decoded(pictures), colours, strict=True))
    assert [picture.ticks for picture in pictures] == [1, 2, 3, 4, 5, 6]
