"""What a browser offers (SDP, RFC 8866), looked at before the library that answers it sees it."""

from __future__ import annotations

import re

from bgcamd.errors import UsageError
from bgcamd.web.answers import Request

LONGEST_OFFER = 1 << 16
"""Bytes; a browser's offer of one video is about 8 KiB."""

_LINE = re.compile(r"[a-z]=[\x20-\x7e]{0,1024}")
_MOST_LINES = 512
_NEEDED = (
    re.compile(r"a=mid:[!-~]{1,32}"),
    re.compile(r"a=ice-ufrag:[A-Za-z0-9+/]{4,256}"),
    re.compile(r"a=ice-pwd:[A-Za-z0-9+/]{22,256}"),
    re.compile(r"a=fingerprint:sha-(256|384|512) ([0-9A-F]{2}:){31,63}[0-9A-F]{2}", re.IGNORECASE),
    re.compile(r"a=setup:actpass"),
    re.compile(r"a=rtcp-mux"),
)
_LEFT_OUT = ("a=candidate:", "a=end-of-candidates")
_USED_CODEC = re.compile(
    r"^m=video [0-9]+ [A-Z/]+ ([0-9]+)[ \r].*?^a=rtpmap:\1 ([A-Za-z0-9]+)/", re.MULTILINE | re.DOTALL
)


def offer_of(request: Request) -> str:
    """The SDP of a request ``{"type": "offer", "sdp": …}``, for one video and nothing else. Raises UsageError.

    The browser's candidates are left out: we send nothing to an address because somebody names it, only where one
    has shown, from there, that it knows our password (peer-reflexive candidates, RFC 8445, 7.3.1.3). That is also
    how we find those whose browser hides its addresses (mDNS), without asking the network.
    """
    found = request.json()
    sdp = found.get("sdp")
    if found.get("type") != "offer" or not isinstance(sdp, str):
        raise UsageError("the request is no offer of a browser")
    lines = sdp.split("\r\n")
    if lines.pop() != "" or len(lines) > _MOST_LINES or not all(_LINE.fullmatch(line) for line in lines):
        raise UsageError("the offer is no SDP")
    media = [line for line in lines if line.startswith("m=")]
    if len(media) != 1 or not media[0].startswith("m=video "):
        raise UsageError("the offer is not for one video")
    if not all(any(needed.fullmatch(line) for line in lines) for needed in _NEEDED):
        raise UsageError("the offer lacks what makes a connection safe")
    return "\r\n".join(line for line in lines if not line.startswith(_LEFT_OUT)) + "\r\n"


def codec_of(sdp: str) -> str:
    """The name of the codec that an answer chose, in small letters, as in "h264". Raises UsageError."""
    found = _USED_CODEC.search(sdp)
    if found is None:
        raise UsageError("the browser and we know no video codec in common")
    return found[2].lower()
