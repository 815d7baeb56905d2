"""Encoded pictures as packets of RTP, by libav's own muxer (RFC 6184, packetization mode 1)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
from av.packet import Packet

from bgcamd.frame import Size
from bgcamd.video.stream.encoder import TICKS, Coded

PAYLOAD_TYPE = 96
"""The first of those that a session description may give a meaning (RFC 3551, 6)."""

_BYTES = 1200  # fits any path: the least MTU of IPv6 is 1280
_RTCP_TYPES = range(200, 205)


class Packetizer:
    """Makes one receiver's packets; for one thread at a time. A context manager.

    RTCP's sender reports come among the packets of RTP, the first before the first picture, then every few
    seconds; they tie RTP's time to the time of day.

    Parameters
    ----------
    size: of the picture.

    Attributes
    ----------
    ssrc: by which the receiver knows the stream (RFC 3550, 3).
    next_number: the sequence number of the next packet of RTP.
    """

    def __init__(self, size: Size) -> None:
        self.ssrc = secrets.randbits(31)
        self.next_number = secrets.randbits(15)
        self._made: list[bytes] = []
        start_ns = time.time_ns() - time.monotonic_ns()  # the time of day when ``Coded.ticks`` were 0
        options = {
            "packetsize": str(_BYTES),
            "payload_type": str(PAYLOAD_TYPE),
            "ssrc": str(self.ssrc),
            "seq": str(self.next_number),
            "cname": secrets.token_hex(8),  # who we are is nobody's business (RFC 7022, 4.2)
            "start_time_realtime": str(start_ns // 1000),
        }
        self._muxer = av.open(_Taker(self._made.append), "w", format="rtp", options=options, buffer_size=2 * _BYTES)
        self._stream: Any = self._muxer.add_mux_stream("h264", width=size.width, height=size.height)

    def packets(self, coded: Coded) -> list[bytes]:
        """Return the packets of one picture, in order."""
        packet = Packet(coded.data)
        packet.pts = packet.dts = coded.ticks
        packet.time_base = Fraction(1, TICKS)
        packet.is_keyframe = coded.key
        packet.stream = self._stream
        self._muxer.mux_one(packet)
        made = self._made[:]
        self._made.clear()
        for packet_made in reversed(made):
            if not is_rtcp(packet_made):
                self.next_number = (int.from_bytes(packet_made[2:4], "big") + 1) & 0xFFFF
                break
        return made

    def close(self) -> None:
        """Free the muxer."""
        self._muxer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Taker:
    """The file that the muxer believes to write: each write is a packet."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def write(self, data: bytes) -> int:
        self._take(bytes(data))
        return len(data)


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet is RTCP's, not RTP's (RFC 5761, 4)."""
    return packet[1] in _RTCP_TYPES
