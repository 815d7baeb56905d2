"""Clips, out: H.264 or, with alpha, what the container can hold; the sound of the source beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.container
import av.error
import cv2
import numpy as np
from av.video.stream import VideoStream

from bgcamd.atomic import replacing
from bgcamd.errors import OutputError
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Plane, Size
from bgcamd.video.files.container import Sound, brief
from bgcamd.video.files.media_formats import Encoding, check_clip_target
from bgcamd.video.files.media_sound import SoundTrack
from bgcamd.video.files.swscale import convert, cropped, pack

_SECOND = 1_000_000_000
_TICKS = 90_000
_LIMITED_TAG = 1
# Matrix, primaries and transfer, as libav numbers them (ITU-T H.273, tables 2 to 4).
_TAGS = {"bt601": (6, 6, 6), "bt709": (1, 1, 1)}


class MediaWriter:
    """A sink that makes a video file, which appears whole or not at all.

    Frames may be I420, GREY, RGB24 or RGBP, of one size; the last column or row of an odd size is left out
    (4:2:0 needs even ones). Each is shown from its ``captured_ns``, counted from the first's; a frame that is
    not later than the one before is put right behind it. The sound ends with the picture.

    Parameters
    ----------
    path: the extension chooses container and codec: .mp4 .m4v .mov .mkv .avi H.264, .webm VP9; with alpha
        .webm VP9, .mov ProRes 4444, .mkv FFV1.
    size: of the frames.
    rate: nominal frames per second.
    color: matrix of the file, always in limited range; frames of another colour are converted.
    alpha: keep the frames' alpha, straight; without it, frames that have alpha are laid over black.
    sound: whose sound is kept (``MediaReader.sound``): copied where the container takes it, else encoded anew.
    aspect: width of a pixel over its height; H.264 and ProRes keep it, VP9 and FFV1 have no place for it.
    overwrite: whether the file may exist.

    Raises
    ------
    OutputError: here, before any work, for what can't be written; later for a full disk and the like.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: Size,
        rate: Fraction,
        color: Color = BT601,
        alpha: bool = False,
        sound: Sound | None = None,
        aspect: Fraction = Fraction(1),
        overwrite: bool = False,
    ) -> None:
        self.name = str(path)
        self._container, self._encoding = check_clip_target(path, alpha=alpha, overwrite=overwrite)
        self._path = path
        self._overwrite = overwrite
        self._size = Size(size.width & ~1, size.height & ~1)
        if min(self._size) < 2:
            raise OutputError(f"can't write {path}: {size} is too small for a video", "write pictures instead")
        self._given_size = size
        self._rate = rate
        self._color = Color(color.matrix)
        self._alpha = alpha
        self._sound = sound
        self._aspect = aspect
        self._tick = 1 / rate if self._container.constant_rate else _tick(rate)
        self._first_ns: int | None = None
        self._pts = -1

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            part = stack.enter_context(replacing(self._path, overwrite=self._overwrite))
            self._output = stack.enter_context(self._muxing(part))
            with self._telling():
                self._stream = self._video_stream(self._encoding)
                self._track: SoundTrack | None = None
                if self._sound is not None:
                    self._track = stack.enter_context(SoundTrack(self._sound, self._output, self._container))
                self._output.start_encoding()
            stack.enter_context(self._completing())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Encode one frame. Raises OutputError."""
        if frame.size != self._given_size:
            raise OutputError(f"can't write {self.name}: a frame is {frame.size}, not {self._given_size}")
        with self._telling():
            if frame.alpha is not None and not self._alpha:
                frame = _over_black(frame)
            picture, color = pack(cropped(frame, self._size))
            picture = convert(picture, self._encoding.pixels, source=color, target=self._color, size=self._size)
            picture.pts = self._next_pts(frame.captured_ns)
            picture.time_base = self._tick
            picture.duration = max(1, round(1 / self._rate / self._tick))
            self._mux(picture)
            if self._track is not None:
                self._track.until(self._pts * self._tick)

    def _video_stream(self, encoding: Encoding) -> VideoStream:
        stream = cast(VideoStream, self._output.add_stream(encoding.codec, rate=self._rate, options=encoding.options))
        stream.width, stream.height = self._size
        stream.pix_fmt = encoding.pixels
        stream.thread_type = "AUTO"
        context = stream.codec_context
        context.time_base = self._tick
        context.sample_aspect_ratio = self._aspect
        context.color_range = _LIMITED_TAG
        context.colorspace, context.color_primaries, context.color_trc = _TAGS[self._color.matrix]
        if self._alpha:
            stream.metadata["alpha_mode"] = "1"  # by which WebM's players know that there is alpha
        return stream

    def _next_pts(self, captured_ns: int) -> int:
        if self._first_ns is None:
            self._first_ns = captured_ns
        wanted = round(Fraction(captured_ns - self._first_ns, _SECOND) / self._tick)
        self._pts = max(wanted, self._pts + 1)
        return self._pts

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            self._output.mux(packet)

    @contextmanager
    def _muxing(self, part: Path) -> Iterator[av.container.OutputContainer]:
        with self._telling():
            output = av.open(f"file:{part}", "w", format=self._container.muxer, options=dict(self._container.options))
        try:
            yield output
        except BaseException:
            with suppress(av.error.FFmpegError):  # the file is thrown away; the first error is the one to tell
                output.close()
            raise
        with self._telling():
            output.close()

    @contextmanager
    def _completing(self) -> Iterator[None]:
        yield
        if self._first_ns is None:
            raise OutputError(f"{self.name} was not written: there was no frame")
        with self._telling():
            self._mux(None)
            if self._track is not None:
                self._track.until(self._pts * self._tick + 1 / self._rate)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            raise OutputError(f"can't write {self.name}: {brief(error)}") from error


def _tick(rate: Fraction) -> Fraction:
    """A time base in which frames at ``rate`` lie exactly, and others within 12 µs."""
    whole = rate.numerator * -(-_TICKS // rate.numerator)
    return Fraction(1, whole if whole <= 10 * _TICKS else _TICKS)


def _over_black(frame: Frame) -> Frame:
    """Multiply by the alpha: what is transparent must not be seen in a file that can't be transparent."""
    alpha = np.asarray(frame.alpha)
    if frame.format is not PixelFormat.I420:
        planes = tuple(_times(plane, alpha, 0) for plane in frame.planes)
    else:
        luma, *chroma = frame.planes
        small = cv2.resize(alpha, chroma[0].shape[::-1], interpolation=cv2.INTER_AREA)
        black = 0 if frame.color.full_range else 16
        planes = (_times(luma, alpha, black), *(_times(plane, small, 128) for plane in chroma))
    return Frame(planes, frame.format, frame.size, color=frame.color, captured_ns=frame.captured_ns)


def _times(plane: Plane, alpha: Plane, black: int) -> Plane:
    weight = alpha if plane.ndim == 2 else alpha[..., None]
    scaled = (plane.astype(np.int32) - black) * weight
    result: Plane = (np.rint(scaled / 255) + black).astype(np.uint8)
    return result
