"""What a browser offers, looked at first."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.errors import UsageError
from bgcamd.video.webrtc.offer import codec_of, offer_of
from bgcamd.web.answers import Request

GOOD = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 102\r\na=candidate:1 1 udp 1 5e0c.local 1 typ host\r\na=mid:0\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    f"a=fingerprint:sha-256 {':'.join(['0F'] * 32)}\r\n"
    "a=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\na=end-of-candidates\r\n"
)


def offered(sdp: object, kind: str = "offer") -> str:
    return offer_of(Request({}, json.dumps({"type": kind, "sdp": sdp}).encode()))


def test_a_good_offer_is_taken_without_its_candidates() -> None:
    lines = GOOD.splitlines()
    wanted = [line for line in lines if "candidate" not in line]
    assert offered(GOOD).splitlines() == wanted
    assert len(wanted) == len(lines) - 2


@pytest.mark.parametrize("sdp", [None, 1, "", "v=0", "v=0\n", "v=0\r\n", GOOD.replace("\r", ""), GOOD + "x\r\n"])
def test_what_is_no_sdp_of_one_video_is_refused(sdp: object) -> None:
    with pytest.raises(UsageError):
        offered(sdp)


@pytest.mark.parametrize(
    "more",
    ["m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", "m=audio 9 x 0\r\n"],
)
def test_nothing_but_one_video_is_taken(more: str) -> None:
    with pytest.raises(UsageError, match="one video"):
        offered(GOOD + more)


@pytest.mark.parametrize("needed", ["mid", "ice-ufrag", "ice-pwd", "fingerprint", "setup", "rtcp-mux"])
def test_what_makes_a_connection_safe_must_be_there(needed: str) -> None:
    with pytest.raises(UsageError, match="lacks"):
        offered(GOOD.replace(f"a={needed}", "a=x"))


def test_an_answer_is_no_offer() -> None:
    with pytest.raises(UsageError, match="no offer"):
        offered(GOOD, "answer")


def test_an_offer_of_very_many_lines_is_refused() -> None:
    with pytest.raises(UsageError, match="no SDP"):
        offered(GOOD + "a=x\r\n" * 1000)


@given(st.text())
def test_any_text_is_an_offer_or_an_error_of_ours(text: str) -> None:
    with pytest.raises(UsageError):
        offered(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n")))
def test_no_control_character_gets_through(text: str) -> None:
    try:
        found = offered(f"{GOOD}a={text}\r\n")
    except UsageError:
        return
    assert all(char.isprintable() and char.isascii() for char in found.replace("\r\n", ""))


def test_the_codec_of_an_answer_is_the_first_of_its_list() -> None:
    assert codec_of(GOOD) == "vp8"
    assert codec_of(GOOD.replace("96 102", "102 96")) == "h264"


def test_an_answer_without_a_codec_is_told() -> None:
    with pytest.raises(UsageError, match="no video codec in common"):
        codec_of("v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 0\r\n")
