"""A picture after the other, encoded for browsers: with no delay, at a rate that fits its size."""

from __future__ import annotations

from fractions import Fraction

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from bgcamd.frame import Frame, Size
from bgcamd.video.files.swscale import cropped, pack

CODECS = ("h264", "vp8")
"""Best first: x264 takes half the time of libvpx, for half the bits."""

_SECOND = 1_000_000_000
_TICKS = 90_000
_BITS_PER_PIXEL = Fraction(1, 10)
_BITS_LEAST, _BITS_MOST = 500_000, 12_000_000  # a second
_KEY_EVERY_S = 5  # who has lost something asks for a key frame; this is for the rest
_ONE_THREAD = 1280 * 720  # pixels
_MATRIX, _LIMITED = 6, 1  # BT.601, 16..235, as libav numbers them


class Encoder:
    """Makes H.264 (constrained baseline, Annex B) or VP8, every frame from those before it; for one thread.

    Parameters
    ----------
    codec: one of ``CODECS``.
    size: of the frames, I420; the last column or row of an odd one is left out.
    rate: nominal frames per second.
    """

    def __init__(self, codec: str, size: Size, rate: Fraction) -> None:
        self._size = Size(size.width & ~1, size.height & ~1)
        pixels = self._size.width * self._size.height
        bits = min(max(int(pixels * rate * _BITS_PER_PIXEL), _BITS_LEAST), _BITS_MOST)
        self._context = _x264(bits) if codec == "h264" else _libvpx(bits)
        context = self._context
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, _TICKS)
        context.framerate = rate
        context.gop_size = round(rate * _KEY_EVERY_S)
        context.thread_count = 1 if pixels <= _ONE_THREAD else 2
        context.color_range = _LIMITED
        context.colorspace, context.color_primaries, context.color_trc = _MATRIX, _MATRIX, _MATRIX
        self._pts = -1

    def encode(self, frame: Frame, time_ns: int, *, key: bool) -> list[Packet[VideoStream]]:
        """Encode a copy of the frame, which is shown from ``time_ns`` on. key: without need of those before it."""
        picture, _ = pack(cropped(frame, self._size))
        self._pts = picture.pts = max(time_ns * _TICKS // _SECOND, self._pts + 1)
        picture.time_base = Fraction(1, _TICKS)
        picture.pict_type = PictureType.I if key else PictureType.NONE
        packets = self._context.encode(picture)
        for packet in packets:
            packet.time_base = Fraction(1, _TICKS)
        return packets


def _x264(bits: int) -> VideoCodecContext:
    """Quality by the picture, up to ``bits`` a second: a person before a still picture takes a fifth of it."""
    context = av.CodecContext.create("libx264", "w")
    context.profile = "Baseline"
    context.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "crf": "23",
        "maxrate": str(bits),
        "bufsize": str(bits // 2),
    }
    return context


def _libvpx(bits: int) -> VideoCodecContext:
    context = av.CodecContext.create("libvpx", "w")
    context.bit_rate = bits
    context.options = {
        "deadline": "realtime",
        "cpu-used": "-8",
        "lag-in-frames": "0",
        "minrate": str(bits),
        "maxrate": str(bits),
        "bufsize": str(bits // 2),
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "static-thresh": "1",
    }
    return context
