"""The picture to browsers: what they see, how many, and what none of them can do."""

from __future__ import annotations

import logging
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
from aiortc.codecs import vpx
from hypothesis import given, settings
from hypothesis import strategies as st
from webrtc_client import BLUE, RED, SIZE, Client, ask, close_to, plain, playing, until

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.protocols import Sink, Watched
from bgcamd.video.stream_address import Served
from bgcamd.video.webrtc import peers
from bgcamd.video.webrtc.sink import WebRtcSink

SECRET = "0123456789abcdefghijkl"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def made(size: Size = SIZE, host: str = "127.0.0.1") -> WebRtcSink:
    return WebRtcSink(Served("webrtc", host, free_port(), "output"), size=size, rate=Fraction(30), secret=SECRET)


@pytest.fixture
def sink() -> Iterator[WebRtcSink]:
    with made() as sink:
        yield sink


def shows(client: Client, colour: tuple[int, int, int]) -> bool:
    """Whether it sees this colour, if not at once then soon."""
    return any(close_to(client.picture(), colour) for _ in range(200))


@pytest.mark.parametrize("codecs", [("h264",), ("vp8",), ()])
def test_a_browser_sees_what_is_written_whatever_codec_it_knows(
    sink: WebRtcSink, clients: Callable[..., Client], codecs: tuple[str, ...]
) -> None:
    viewer = clients(codecs=codecs)
    _, answer = viewer.connect(sink.url)
    assert re.findall("rtpmap:[0-9]+ (H264|VP8)", answer["sdp"])[0] == ("VP8" if codecs == ("vp8",) else "H264")
    with playing(lambda: sink.write(plain(RED))):
        assert shows(viewer, RED)
    with playing(lambda: sink.write(plain(BLUE))):
        assert shows(viewer, BLUE)


def test_browsers_of_different_codecs_see_the_same(sink: WebRtcSink, clients: Callable[..., Client]) -> None:
    viewers = [clients(codecs=(codec,)) for codec in ("h264", "vp8", "h264")]
    with playing(lambda: sink.write(plain(RED))):
        for viewer in viewers:
            viewer.connect(sink.url)
            assert shows(viewer, RED)


def test_it_is_watched_while_a_browser_is_connected(
    sink: WebRtcSink, clients: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bgcamd")
    watched: Watched = sink
    viewer = clients()
    assert not watched.watched
    viewer.connect(sink.url)
    until(lambda: watched.watched)
    viewer.close()
    until(lambda: not watched.watched)
    assert caplog.messages == [
        f"the browser at 127.0.0.1 watches {sink.name}",
        "the browser at 127.0.0.1 watches no longer",
    ]


def test_a_browser_that_vanishes_is_forgotten(
    sink: WebRtcSink, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_SILENT_S", 1.0)
    monkeypatch.setattr(peers, "_LOOK_S", 0.1)
    viewer = clients()
    viewer.connect(sink.url)
    with playing(lambda: sink.write(plain(RED))):
        assert shows(viewer, RED)
        ice = viewer.connection.getTransceivers()[0].receiver.transport.transport._connection
        for protocol in ice._protocols:
            viewer._loop.call(protocol.transport.pause_reading)
            protocol.transport.sendto = lambda *_: None
        until(lambda: not sink.watched)


def test_an_offer_that_nobody_follows_up_is_forgotten(
    sink: WebRtcSink, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_CONNECTING_S", 1000.0)
    monkeypatch.setattr(peers, "_LOOK_S", 0.05)
    for _ in range(4):
        assert ask(sink.url, {"type": "offer", "sdp": clients().offer()})[0] == 200
    offer = {"type": "offer", "sdp": clients().offer()}
    assert ask(sink.url, offer)[0] == 503
    monkeypatch.setattr(peers, "_CONNECTING_S", 0.0)
    until(lambda: ask(sink.url, offer)[0] == 200)


def test_a_fifth_browser_is_told_and_may_come_when_one_has_left(
    sink: WebRtcSink, clients: Callable[..., Client]
) -> None:
    viewers = [clients() for _ in range(4)]
    assert [viewer.connect(sink.url)[0] for viewer in viewers] == [200] * 4
    fifth = clients()
    assert fifth.connect(sink.url) == (503, {"error": "4 browsers watch already", "hint": ""})
    until(lambda: sink._peers.connected == 4)
    viewers[0].close()
    until(lambda: sink._peers.connected == 3)
    with playing(lambda: sink.write(plain(RED))):
        assert fifth.connect(sink.url)[0] == 200
        assert shows(fifth, RED)


def test_a_browser_that_lost_too_much_gets_a_key_frame(sink: WebRtcSink, clients: Callable[..., Client]) -> None:
    viewer = clients(codecs=("vp8",))
    viewer.connect(sink.url)
    with playing(lambda: sink.write(plain(RED))):
        assert shows(viewer, RED)
        receiver = viewer.connection.getReceivers()[0]
        keys: list[bool] = []
        decode = vpx.Vp8Decoder.decode

        def counting(self: vpx.Vp8Decoder, encoded: object) -> object:
            keys.append(encoded.data[0] & 1 == 0)  # RFC 6386, 9.1
            return decode(self, encoded)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vpx.Vp8Decoder, "decode", counting)
            ssrc = int(re.findall("a=ssrc:([0-9]+)", viewer.connection.remoteDescription.sdp)[0])
            viewer._loop.run(receiver._send_rtcp_pli(ssrc), 10)
            until(lambda: any(keys))


def test_only_the_interface_of_the_address_is_used(sink: WebRtcSink, clients: Callable[..., Client]) -> None:
    _, answer = clients().connect(sink.url)
    candidates = re.findall("a=candidate:.*", answer["sdp"])
    assert [candidate.split()[4] for candidate in candidates] == ["127.0.0.1"]
    assert [candidate.split()[7] for candidate in candidates] == ["host"]


@pytest.mark.parametrize("everywhere", ["0.0.0.0", pytest.param("::", marks=needs_ipv6)])
def test_listening_everywhere_only_the_interface_is_used_on_which_the_browser_came(
    clients: Callable[..., Client], everywhere: str
) -> None:
    with made(host=everywhere) as sink:
        viewer = clients()
        _, answer = viewer.connect(re.sub("//[^:]+:", "//127.0.0.1:", sink.url))
        assert {line.split()[4] for line in re.findall("a=candidate:.*", answer["sdp"])} == {"127.0.0.1"}
        with playing(lambda: sink.write(plain(RED))):
            assert shows(viewer, RED)


def test_nothing_is_sent_to_an_address_because_somebody_names_it(
    sink: WebRtcSink, clients: Callable[..., Client]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.0.1", 0))
        victim.settimeout(1.0)
        offer = clients().offer()
        named = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {victim.getsockname()[1]} typ host\r\n"
        assert ask(sink.url, {"type": "offer", "sdp": offer + named})[0] == 200
        with pytest.raises(TimeoutError):
            victim.recv(1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sdp: re.sub("a=ice-ufrag:.*\r\n", "", sdp),
        lambda sdp: re.sub("a=fingerprint:.*\r\n", "", sdp),
        lambda sdp: re.sub("a=fingerprint:.*\r\n", "a=fingerprint:x\r\n", sdp),
        lambda sdp: re.sub("a=rtpmap:.*\r\n", "", sdp),
        lambda sdp: sdp.replace("VP8", "AV1").replace("H264", "H265"),
        lambda sdp: re.sub("m=video [0-9]+", "m=video x", sdp),
        lambda sdp: re.sub("a=setup:.*\r\n", "", sdp),
        lambda sdp: re.sub("a=mid:.*\r\n", "", sdp),
        lambda sdp: sdp.replace("a=recvonly\r\n", ""),
        lambda _: "",
    ],
)
def test_a_bad_offer_gets_one_line_and_takes_nobodys_place(
    sink: WebRtcSink, clients: Callable[..., Client], spoil: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    offer = clients().offer()
    for _ in range(6):
        status, answer = ask(sink.url, {"type": "offer", "sdp": spoil(offer)})
        assert (status, list(answer)) == (409, ["error", "hint"])
        assert "\n" not in answer["error"]
    assert clients().connect(sink.url)[0] == 200
    assert caplog.messages == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"type":"offer"}', b'{"type":"offer","sdp":{}}'])
def test_what_is_no_offer_gets_one_line(sink: WebRtcSink, body: bytes) -> None:
    status, answer = ask(sink.url, body)
    assert (status, list(answer)) == (409, ["error", "hint"])


def test_no_offer_of_odd_lines_is_more_than_answered_or_refused(
    sink: WebRtcSink, clients: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_CONNECTING_S", 0.05)
    monkeypatch.setattr(peers, "_LOOK_S", 0.02)
    monkeypatch.setattr(sink._peers, "_most", 1000)
    lines = clients().offer().split("\r\n")[:-1]
    text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
    change = st.tuples(st.integers(0, len(lines) - 1), st.integers(0, 40), text)

    @settings(max_examples=100)
    @given(st.lists(change, min_size=1, max_size=3))
    def check(changes: list[tuple[int, int, str]]) -> None:
        odd = list(lines)
        for place, kept, more in changes:
            odd[place] = odd[place][:kept] + more
        status, _ = ask(sink.url, {"type": "offer", "sdp": "\r\n".join(line for line in odd if line) + "\r\n"})
        assert status in (200, 409)

    check()


def test_an_offer_that_is_too_long_is_refused(sink: WebRtcSink) -> None:
    request = urllib.request.Request(f"{sink.url}/offer", bytes(100_000))
    with pytest.raises(urllib.error.HTTPError, match="413") as caught:
        urllib.request.urlopen(request, timeout=30)
    caught.value.close()


def test_the_page_and_all_that_it_asks_for_is_there(sink: WebRtcSink) -> None:
    folder = sink.url.rpartition("/")[0]
    with urllib.request.urlopen(sink.url, timeout=30) as response:
        page = response.read().decode()
    assert 'width="320" height="240"' in page
    assert "$" not in page
    kinds = {}
    for part in [*re.findall('(?:src|href)="([^"]+)"', page), "page/link.js"]:
        with urllib.request.urlopen(f"{folder}/{part}", timeout=30) as response:
            kinds[part] = response.headers.get_content_type()
    assert kinds == {
        "page/style.css": "text/css",
        "page/icon.svg": "image/svg+xml",
        "page/viewer.js": "text/javascript",
        "page/link.js": "text/javascript",
    }


@pytest.mark.parametrize("path", ["", "other", "output/", "page/", "page/sender.js", "page/../sink.py", "offer"])
def test_nothing_else_is_there(sink: WebRtcSink, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(f"{sink.url.rpartition('/')[0]}/{path}", timeout=30)
    caught.value.close()


def test_it_says_where_it_is_seen(sink: WebRtcSink) -> None:
    assert re.fullmatch(rf"http://127\.0\.0\.1:[0-9]+/{SECRET}/output", sink.url)
    assert sink.see == f"open {sink.url} in a browser"
    assert re.fullmatch(r"webrtc://@:[0-9]+/output", sink.name)


def test_closing_sends_browsers_away_and_lets_the_next_have_the_port(clients: Callable[..., Client]) -> None:
    viewer = clients()
    with made() as sink:
        viewer.connect(sink.url)
        until(lambda: sink.watched)
        sink.close()
        sink.close()
        until(lambda: viewer.connection.connectionState == "closed")
        address = Served("webrtc", "127.0.0.1", int(sink.url.split(":")[2].split("/")[0]), "output")
        WebRtcSink(address, size=SIZE, rate=Fraction(30), secret=SECRET).close()


def test_a_taken_port_is_an_error_and_leaves_nothing(sink: WebRtcSink) -> None:
    port = int(sink.url.split(":")[2].split("/")[0])
    with pytest.raises(SinkError, match=f"can't listen on 127.0.0.1:{port}"):
        WebRtcSink(Served("webrtc", "127.0.0.1", port, "output"), size=SIZE, rate=Fraction(30), secret=SECRET)


def test_odd_sizes_lose_their_last_line(clients: Callable[..., Client]) -> None:
    with made(Size(321, 241)) as sink:
        viewer = clients()
        viewer.connect(sink.url)
        with playing(lambda: sink.write(plain(RED, Size(321, 241)))):
            assert shows(viewer, RED)


def test_only_i420_of_the_size_announced_is_taken(sink: WebRtcSink) -> None:
    taking: Sink = sink
    with pytest.raises(ValueError, match="takes 320x240 I420, not 64x48 I420"):
        taking.write(plain(RED, Size(64, 48)))
    with pytest.raises(ValueError, match="not 320x240 GREY"):
        taking.write(Frame((plain(RED).planes[0],), PixelFormat.GREY, SIZE))
