"""Clips: whatever libav decodes, frame by frame, upright, in a colour that is told."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import av.error
import numpy as np
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from bgcamd.errors import InputError
from bgcamd.frame import Color, Frame, PixelFormat, Plane, Size
from bgcamd.video.files.container import (
    HINT,
    Sound,
    brief,
    color_of,
    decoder,
    duration,
    open_container,
    sound_stream,
    turn_of,
    video_stream,
)
from bgcamd.video.files.orientation import turned
from bgcamd.video.files.swscale import convert, samples


class MediaReader:
    """Every frame of a clip, in the order of presentation. See ``protocols.Reader``.

    I420 frames have even width and height: the last column or row of an odd one is left out. Where the clip
    is 4:2:0 in the wanted colour, and upright, the planes are views of the decoder's memory; otherwise swscale
    (and for a lying clip, a copy) makes new ones. Frames stay valid as long as they are held. A picture that
    changes its size midway is scaled to the first's.

    A clip that is damaged, or ends early, gives the frames that can be read; ``damage`` then says what was wrong.

    Parameters
    ----------
    path: the file.
    format: I420 or RGB24.
    color: of the I420 frames; None = the clip's own matrix (BT.601 if untagged and below 720 lines, BT.709
        otherwise), always in limited range.

    Attributes
    ----------
    size, rate, count: as ``protocols.Reader``; the count is an estimate.
    color: of the frames.
    alpha: whether the frames have alpha.
    aspect: width of a pixel over its height.
    duration: seconds, or None.
    sound: what ``MediaWriter`` needs to keep the sound, or None if there is none.
    damage: None, or after the last frame what was wrong with the file, one line.

    Raises
    ------
    InputError: no file, no video stream, or not one frame can be decoded.
    """

    def __init__(
        self,
        path: Path,
        *,
        format: Literal[PixelFormat.I420, PixelFormat.RGB24] = PixelFormat.I420,  # noqa: A002 - the field's name
        color: Color | None = None,
    ) -> None:
        self.path = path
        self.damage: str | None = None
        self._first: av.VideoFrame | None = None
        self._format = format
        self._scaler = VideoReformatter()
        self._container = open_container(path)
        try:
            self._open(color)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The generator holds the reader, and so the decoder with its frames, which must not wait for a collection.
        self._pictures.close()
        self._first = None
        self._container.close()

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read."""
        return (self.path,)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame, once."""
        sequence, last_ns = 0, -1
        picture, self._first = self._first, None
        while picture is not None:
            last_ns = max(self._time_ns(picture, sequence), last_ns + 1)
            yield self._frame(picture, last_ns, sequence)
            sequence += 1
            picture = next(self._pictures, None)
        self._check_end(last_ns)

    def _open(self, color: Color | None) -> None:
        stream = self._stream = video_stream(self._container, self.path)
        self._decoder = decoder(stream, self.path)
        self._decoder.thread_type = "AUTO"
        self._pictures = self._decode()
        try:
            first = next(self._pictures, None)
        except av.error.FFmpegError as error:
            raise InputError(f"can't read {self.path}: {brief(error)}", HINT) from error
        if first is None:
            raise InputError(f"can't read {self.path}: no picture in it can be decoded", HINT)
        self._first = first
        self._source = color_of(first)
        self.color = color or Color(self._source.matrix)
        self.alpha = first.format.name == "pal8" or any(part.is_alpha for part in first.format.components)
        self._turn = turn_of(first)
        self._stored = self._cut(Size(first.width, first.height))
        self.size = Size(*self._stored[::-1]) if self._turn.swap else self._stored
        self.rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        self.aspect = 1 / aspect if self._turn.swap else aspect
        self._start = Fraction(first.pts or 0) * self._tick
        self.duration, self._surely = duration(self._container, stream)
        guess = round(self.duration * self.rate) if self.duration else None
        self.count = stream.frames or guess
        self.sound = Sound(self.path, self._start) if sound_stream(self._container) is not None else None

    @property
    def _tick(self) -> Fraction:
        return self._stream.time_base or Fraction(1, 1_000_000)

    def _cut(self, size: Size) -> Size:
        if self._format is PixelFormat.RGB24:
            return size
        if min(size) < 2:
            raise InputError(f"can't read {self.path}: {size} is too small for a video")
        return Size(size.width & ~1, size.height & ~1)

    def _decode(self) -> Generator[av.VideoFrame]:
        """Decode packet by packet; a damaged one is noted and passed over, as ffmpeg does."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._note(f"ends early: {brief(error)}")
                packet = None
            if packet is None:
                return
            if packet.is_corrupt:
                self._note("is damaged")
            yield from self._decode_packet(packet)

    def _decode_packet(self, packet: Packet[VideoStream]) -> list[av.VideoFrame]:
        try:
            return self._decoder.decode(packet)
        except (av.error.InvalidDataError, av.error.EOFError, av.error.ExternalError) as error:
            self._note(f"is damaged: {brief(error)}")
            return []

    def _note(self, what: str) -> None:
        self.damage = self.damage or f"{self.path} {what}"

    def _check_end(self, last_ns: int) -> None:
        """A clip cut off between packets decodes without an error: compare with the length it declares."""
        last = last_ns / 1e9 + float(1 / self.rate)
        missing = (self.duration or 0) - last
        if self.duration and self._surely and missing > max(0.5, 2 / float(self.rate)):
            self._note(f"ends after {last:.1f} s of {self.duration:.1f} s")

    def _time_ns(self, picture: av.VideoFrame, sequence: int) -> int:
        if picture.pts is None:
            return int(sequence * 1_000_000_000 / self.rate)
        return int((picture.pts * self._tick - self._start) * 1_000_000_000)

    def _frame(self, picture: av.VideoFrame, time_ns: int, sequence: int) -> Frame:
        planes, alpha = self._planes(picture)
        return Frame(
            tuple(turned(plane, self._turn) for plane in planes),
            self._format,
            self.size,
            color=self.color,
            alpha=None if alpha is None else turned(alpha, self._turn),
            captured_ns=time_ns,
            sequence=sequence,
        )

    def _planes(self, picture: av.VideoFrame) -> tuple[tuple[Plane, ...], Plane | None]:
        """Return the planes as stored (not yet upright), and the alpha plane."""
        if self._format is PixelFormat.RGB24:
            colours = samples(self._as(picture, "rgba" if self.alpha else "rgb24"), 0, 4 if self.alpha else 3)
            if not self.alpha:
                return (colours,), None
            return (np.ascontiguousarray(colours[..., :3]),), np.ascontiguousarray(colours[..., 3])
        picture = self._as(picture, "yuva420p" if self.alpha else "yuv420p")
        width, height = self._stored
        luma = samples(picture, 0)[:height, :width]
        chroma = [samples(picture, index)[: height // 2, : width // 2] for index in (1, 2)]
        return (luma, *chroma), samples(picture, 3)[:height, :width] if self.alpha else None

    def _as(self, picture: av.VideoFrame, pixels: str) -> av.VideoFrame:
        same_size = self._cut(Size(picture.width, picture.height)) == self._stored
        size = Size(picture.width, picture.height) if same_size else self._stored
        return convert(picture, pixels, source=self._source, target=self.color, size=size, scaler=self._scaler)
