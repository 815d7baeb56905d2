"""Session descriptions (RFC 8866): what a receiver of RTP must know before the first packet."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from fractions import Fraction

from bgcamd.video.stream.packets import PAYLOAD_TYPE
from bgcamd.video.stream_address import Rtp

_FORMATS = {
    "h264": (96, "H264/90000"),
    "h265": (96, "H265/90000"),
    "vp8": (96, "VP8/90000"),
    "vp9": (96, "VP9/90000"),
    "mjpeg": (26, "JPEG/90000"),
}
"""Payload type and encoding by the name of a codec; 26 is JPEG's for ever (RFC 3551, 6)."""


def description(
    host: str, port: int, *, parameters: Sequence[bytes], rate: Fraction, control: str | None = None
) -> str:
    """Describe our H.264 to who receives it at ``host``.

    parameters: as ``Encoder.parameters``. control: RTSP's name of the track (RFC 2326, C.1.1); the port is then 0.
    """
    sets = ",".join(base64.b64encode(unit).decode() for unit in parameters)
    profile = parameters[0][1:4].hex().upper()
    lines = [
        *_head(host),
        f"m=video {port} RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}",
        f"a=framerate:{float(rate):.6g}",
    ]
    if control is not None:
        lines.insert(-4, "a=control:*")
        lines.append(f"a=control:{control}")
    return _text(lines)


def expectation(address: Rtp) -> str:
    """Describe what arrives at ``address``, as far as its URL says so."""
    payload, encoding = _FORMATS[address.codec]
    return _text([*_head(address.host), f"m=video {address.port} RTP/AVP {payload}", f"a=rtpmap:{payload} {encoding}"])


def _head(host: str) -> list[str]:
    family = "IP6" if ":" in host else "IP4"
    return ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=bgcamd", f"c=IN {family} {host}", "t=0 0"]


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
