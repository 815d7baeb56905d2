"""A browser's camera: what arrives of it, and who may send."""

from __future__ import annotations

import logging
import re
import socket
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
from webrtc_client import BLUE, RED, Client, Colour, close_to, until

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.protocols import Source
from bgcamd.video.stream_address import Served
from bgcamd.video.webrtc.source import WebRtcSource

SECRET = "0123456789abcdefghijkl"


def made() -> WebRtcSource:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return WebRtcSource(Served("webrtc", "127.0.0.1", port, "in"), secret=SECRET)


@pytest.fixture
def source() -> Iterator[WebRtcSource]:
    with made() as source:
        yield source


def colour(frame: Frame) -> tuple[int, ...]:
    return tuple(int(plane[plane.shape[0] // 2, plane.shape[1] // 2]) for plane in frame.planes)


def next_frame(source: WebRtcSource) -> Frame:
    frame = source.read(30.0)
    assert frame is not None
    return frame


def test_what_a_browser_sends_is_read(source: WebRtcSource, clients: Callable[..., Client]) -> None:
    reading: Source = source
    assert (reading.size, reading.rate, reading.read(0.01)) == (Size(1280, 720), Fraction(30), None)
    assert clients(sends=Colour(RED)).connect(source.url)[0] == 200
    first, second = next_frame(source), next_frame(source)
    assert (first.format, first.size, first.color) == (PixelFormat.I420, Size(320, 240), BT601)
    assert [plane.shape for plane in first.planes] == [(240, 320), (120, 160), (120, 160)]
    assert close_to(colour(first), RED)
    assert second.sequence > first.sequence
    assert second.captured_ns > first.captured_ns
    assert reading.size == Size(320, 240)


def test_the_newest_frame_wins(source: WebRtcSource, clients: Callable[..., Client]) -> None:
    camera = Colour(RED)
    clients(sends=camera).connect(source.url)
    next_frame(source)
    camera.colour = BLUE
    until(lambda: source._sequence > 40)
    assert close_to(colour(next_frame(source)), BLUE)


def test_odd_sizes_lose_their_last_line(source: WebRtcSource, clients: Callable[..., Client]) -> None:
    clients(sends=Colour(RED, Size(321, 241))).connect(source.url)
    frame = next_frame(source)
    assert frame.size == Size(320, 240)
    assert [plane.shape for plane in frame.planes] == [(240, 320), (120, 160), (120, 160)]


def test_a_second_browser_is_told_and_may_send_when_the_first_has_left(
    source: WebRtcSource, clients: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bgcamd")
    first, second = clients(sends=Colour(RED)), clients(sends=Colour(BLUE))
    first.connect(source.url)
    next_frame(source)
    assert second.connect(source.url) == (503, {"error": "another browser sends its camera already", "hint": ""})
    first.close()
    until(lambda: second.connect(source.url)[0] == 200)
    until(lambda: close_to(colour(next_frame(source)), BLUE))
    first_came, first_left, *_ = caplog.messages
    assert first_came == f"the browser at 127.0.0.1 sends to {source.name}"
    assert first_left == "the browser at 127.0.0.1 sends no longer"


def test_a_viewers_offer_is_answered_but_gives_nothing(source: WebRtcSource, clients: Callable[..., Client]) -> None:
    status, answer = clients().connect(source.url)
    assert (status, "a=inactive" in answer["sdp"]) == (200, True)
    assert source.read(0.3) is None


def test_it_says_where_a_browser_sends_but_not_to_those_who_see_the_picture(source: WebRtcSource) -> None:
    assert re.fullmatch(rf"http://127\.0\.0\.1:[0-9]+/{SECRET}/in", source.url)
    assert source.see == f"open {source.url} in a browser"
    what, hint = source.awaited
    assert what == "no browser sends its camera"
    assert SECRET not in hint


def test_its_page_asks_for_a_camera(source: WebRtcSource) -> None:
    with urllib.request.urlopen(source.url, timeout=30) as response:
        page = response.read().decode()
    parts = re.findall('(?:src|href)="([^"]+)"', page)
    assert parts == ["page/style.css", "page/icon.svg", "page/sender.js"]
    assert '<label for="camera">' in page


def test_closing_wakes_who_reads_and_sends_the_browser_away(clients: Callable[..., Client]) -> None:
    browser = clients(sends=Colour(RED))
    with made() as source:
        browser.connect(source.url)
        next_frame(source)
        source.close()
        source.close()
        until(lambda: browser.connection.connectionState == "closed")
        assert source.read(30.0) is None


def test_a_taken_port_is_a_source_error_and_leaves_nothing(source: WebRtcSource) -> None:
    port = int(source.url.split(":")[2].split("/")[0])
    with pytest.raises(SourceError, match=f"can't listen on 127.0.0.1:{port}"):
        WebRtcSource(Served("webrtc", "127.0.0.1", port, "in"), secret=SECRET)
