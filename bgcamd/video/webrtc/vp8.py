"""VP8 for browsers that know no H.264: the same as H.264 for half as many bits again, and twice the work."""

from __future__ import annotations

from fractions import Fraction

import av
from av.error import FFmpegError
from av.video.frame import PictureType

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, Size
from bgcamd.video.files.container import brief
from bgcamd.video.files.swscale import cropped, pack
from bgcamd.video.stream.encoder import TICKS, Coded

_SECOND = 1_000_000_000
_BITS_PER_PIXEL = Fraction(1, 10)
_LEAST_BITS = 500_000
_GROUP_S = 5


class Vp8Encoder:
    """Encodes I420 frames of one size, BT.601, which is the only colour that VP8 knows; for one thread.

    The last column or row of an odd size is left out. ``captured_ns`` of the frames is of CLOCK_MONOTONIC.
    """

    def __init__(self, size: Size, rate: Fraction) -> None:
        self.size = Size(size.width & ~1, size.height & ~1)
        self._ticks = 0
        bits = max(int(self.size.width * self.size.height * rate * _BITS_PER_PIXEL), _LEAST_BITS)
        context = self._context = av.CodecContext.create("libvpx", "w")
        context.width, context.height = self.size
        context.pix_fmt = "yuv420p"
        context.time_base, context.framerate = Fraction(1, TICKS), rate
        context.gop_size = round(rate * _GROUP_S)
        context.thread_count = 1  # more of libvpx' wait for each other by turning round: three times the work
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

    def encode(self, frame: Frame, *, key: bool = False) -> Coded:
        """Encode one frame; as a key frame if so wished. Raises SinkError."""
        picture, _ = pack(cropped(frame, self.size))
        self._ticks = picture.pts = max(frame.captured_ns * TICKS // _SECOND, self._ticks + 1)
        picture.time_base = Fraction(1, TICKS)
        picture.pict_type = PictureType.I if key else PictureType.NONE
        try:
            packets = self._context.encode(picture)
        except FFmpegError as error:
            raise SinkError(f"can't encode: {brief(error)}") from error
        is_key = any(packet.is_keyframe for packet in packets)
        return Coded(b"".join(bytes(packet) for packet in packets), is_key, self._ticks)
