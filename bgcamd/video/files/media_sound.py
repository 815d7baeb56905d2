"""The sound of a clip, carried into another: packets as they are, or encoded anew where the container asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Any, Self, cast

import av
import av.container
import av.error
from av.audio.stream import AudioStream
from av.packet import Packet

from bgcamd.video.files.container import Sound, open_container, sound_stream
from bgcamd.video.files.media_formats import Container

_RATE = 48000


class SoundTrack:
    """Muxes a clip's sound into ``output`` bit by bit, so that it lies beside the pictures it belongs to.

    Time 0 is that of the clip's first picture; what sounds earlier is left out. Damaged sound is left out too.

    Parameters
    ----------
    sound: whose sound; the file is opened a second time.
    output: a container whose header is not yet written; a stream is added to it.
    container: tells which codecs it takes.
    """

    def __init__(self, sound: Sound, output: av.container.OutputContainer, container: Container) -> None:
        self._output = output
        self._start = sound.start
        self._input = open_container(sound.path)
        self._source = cast(AudioStream, sound_stream(self._input))
        self._tick = self._source.time_base or Fraction(1, _RATE)
        copied = self._source.codec_context.codec.canonical_name in container.copied
        self._packets = self._copied() if copied else self._encoded()
        self._target = output.add_stream_from_template(self._source) if copied else self._encoder(container.sound)
        self._next: Packet[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()

    def until(self, seconds: Fraction) -> None:
        """Mux what begins before this time of the clip."""
        while True:
            packet = self._next or next(self._packets, None)
            self._next = packet
            if packet is None or (packet.pts or 0) * (packet.time_base or self._tick) >= seconds:
                return
            self._next = None
            self._output.mux(packet)

    def _encoder(self, codec: str) -> AudioStream:
        stream = cast(AudioStream, self._output.add_stream(codec, rate=_RATE))
        stream.codec_context.layout = "mono" if self._source.codec_context.layout.nb_channels == 1 else "stereo"
        return stream

    def _demuxed(self) -> Iterator[Packet[AudioStream]]:
        with suppress(av.error.InvalidDataError, av.error.EOFError):  # a damaged end
            yield from self._input.demux(self._source)

    def _copied(self) -> Iterator[Packet[Any]]:
        offset = round(self._start / self._tick)
        for packet in self._demuxed():
            if packet.pts is None or packet.dts is None or packet.pts < offset:
                continue
            packet.pts -= offset
            packet.dts = min(packet.dts - offset, packet.pts)
            packet.stream = self._target
            yield packet

    def _encoded(self) -> Iterator[Packet[Any]]:
        offset = round(self._start / self._tick)
        for packet in self._demuxed():
            for sound in self._decoded(packet):
                if sound.pts is not None and sound.pts >= offset:
                    sound.pts -= offset
                    yield from self._target.encode(sound)
        yield from self._target.encode(None)

    def _decoded(self, packet: Packet[AudioStream]) -> list[av.AudioFrame]:
        try:
            return self._source.decode(packet)
        except av.error.InvalidDataError:
            return []
