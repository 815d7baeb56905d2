"""H.264 for live streams: no delay, a key frame whenever one is asked for, and a rate that a network can count on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction

import av.error
from av.codec import CodecContext
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from bgcamd.errors import SinkError
from bgcamd.frame import BT601, Frame, Size
from bgcamd.video.files.container import brief
from bgcamd.video.files.swscale import convert, cropped, pack

TICKS = 90_000
"""Of RTP's clock for video, per second (RFC 6184, 8.2.1)."""

_GROUP_S = 2  # from one key frame to the next at the latest: how long a receiver that lost something may wait
_BITS_PER_PIXEL = 0.12
_LEAST_BITS = 500_000
_LIMITED_TAG = 1
_BT601_TAGS = (6, 6, 6)  # matrix, primaries and transfer (ITU-T H.273, tables 2 to 4)
_JUMP_NS = 250_000_000


@dataclass(frozen=True)
class Coded:
    """One encoded picture.

    data: NAL units, each behind a start code (H.264, annex B); a key frame has the parameter sets before it.
    ticks: when it was taken, in 1/90000 s of CLOCK_MONOTONIC; always later than the one before.
    """

    data: bytes
    key: bool
    ticks: int


class Encoder:
    """Encodes frames of one size, one at a time; for one thread at a time.

    The last column or row of an odd size is left out. Whatever the frames show, no more bits come out than fit the
    size and the rate, half a second's worth of them at once (ITU-T H.264, annex C).

    Parameters
    ----------
    size: of the frames.
    rate: nominal frames per second.

    Attributes
    ----------
    size: of the encoded picture.
    parameters: the sequence and the picture parameter set, without start codes.

    Raises
    ------
    SinkError: libav was built without x264, or x264 takes no such size.
    """

    def __init__(self, size: Size, rate: Fraction) -> None:
        self._given_size, self.size = size, Size(size.width & ~1, size.height & ~1)
        self._clock = _Clock()
        self._scaler = VideoReformatter()
        self._context = _opened(self.size, rate)
        units = nal_units(bytes(self._context.extradata or b""))
        self.parameters = tuple(unit for unit in units if unit[0] & 31 in {7, 8})

    def encode(self, frame: Frame, *, key: bool = False) -> Coded:
        """Encode one frame, I420, GREY, RGB24 or RGBP; as a key frame if so wished. Raises SinkError."""
        if frame.size != self._given_size:
            raise SinkError(f"can't stream a frame of {frame.size}: the stream is {self._given_size}")
        picture, color = pack(cropped(frame, self.size))
        picture = convert(picture, "yuv420p", source=color, target=BT601, size=self.size, scaler=self._scaler)
        picture.pts = ticks = self._clock.ticks(frame.captured_ns, time.monotonic_ns())
        picture.time_base = Fraction(1, TICKS)
        picture.pict_type = PictureType.I if key else PictureType.NONE
        try:
            packets = self._context.encode(picture)
        except av.error.FFmpegError as error:
            raise SinkError(f"can't encode: {brief(error)}") from error
        is_key = any(packet.is_keyframe for packet in packets)
        return Coded(b"".join(bytes(packet) for packet in packets), is_key, ticks)


class _Clock:
    """RTP's time of each picture: as even as the camera's, as late as the clock's, and never back."""

    def __init__(self) -> None:
        self._behind_ns: int | None = None
        self._captured_ns = -1
        self._last = 0

    def ticks(self, captured_ns: int, now_ns: int) -> int:
        """The time for a picture. One that is shown again is of now; a source whose time jumps (a clip) is followed."""
        again, self._captured_ns = captured_ns <= self._captured_ns, captured_ns
        if self._behind_ns is None or (not again and abs(now_ns - captured_ns - self._behind_ns) > _JUMP_NS):
            self._behind_ns = now_ns - captured_ns
        moment_ns = now_ns if again else captured_ns + self._behind_ns
        self._last = max(moment_ns * TICKS // 1_000_000_000, self._last + 1)
        return self._last


def _opened(size: Size, rate: Fraction) -> VideoCodecContext:
    try:
        context = CodecContext.create("libx264", "w")
    except UnknownCodecError as error:
        raise SinkError("this build of PyAV can't encode H.264", "pip install --force-reinstall av") from error
    bits = max(round(size.width * size.height * rate * Fraction(_BITS_PER_PIXEL)), _LEAST_BITS)
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base, context.framerate = Fraction(1, TICKS), rate
    context.gop_size, context.max_b_frames = max(round(rate * _GROUP_S), 1), 0
    context.thread_count = 1  # a picture takes a part of its time; more threads would take it from the network's
    context.color_range = _LIMITED_TAG
    context.colorspace, context.color_primaries, context.color_trc = _BT601_TAGS
    context.flags |= Flags.global_header  # the parameter sets are known before the first picture …
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "23",
        "maxrate": str(bits),
        "bufsize": str(bits // 2),
        "forced-idr": "1",
        "x264-params": "repeat-headers=1",  # … and yet each key frame has them
    }
    try:
        context.open()
    except av.error.FFmpegError as error:
        raise SinkError(f"can't encode {size} as H.264: {brief(error)}") from error
    return context


def nal_units(data: bytes) -> list[bytes]:
    """Split H.264's annex B at its start codes."""
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1") if unit.strip(b"\0")]
