from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.protocols import Sink
from bgcamd.video.preview import newest_jpeg, server
from bgcamd.video.preview.sink import PreviewSink

SIZE = Size(64, 48)
RED, BLUE = (81, 90, 240), (41, 240, 110)  # BT.601, limited range


def picture(left: tuple[int, int, int], right: tuple[int, int, int], size: Size = SIZE) -> Frame:
    shapes = ((size.height, size.width), *[((size.height + 1) // 2, (size.width + 1) // 2)] * 2)
    planes = tuple(np.full(shape, value, np.uint8) for shape, value in zip(shapes, right, strict=True))
    for plane, value in zip(planes, left, strict=True):
        plane[:, : plane.shape[1] // 2] = value
    return Frame(planes, PixelFormat.I420, size)


@pytest.fixture
def sink() -> Iterator[PreviewSink]:
    with PreviewSink(size=SIZE) as sink:
        yield sink


@contextmanager
def playing(sink: PreviewSink, frame: Frame) -> Iterator[None]:
    """Write the frame again and again, as the pipeline does."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.005):
            sink.write(frame)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


@contextmanager
def asking(sink: PreviewSink, what: str) -> Iterator[http.client.HTTPResponse]:
    with requesting(sink, urlsplit(sink.url).path + what) as response:
        yield response


@contextmanager
def requesting(sink: PreviewSink, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    url = urlsplit(sink.url)
    with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            yield response


def status(sink: PreviewSink, path: str, **headers: str) -> int:
    with requesting(sink, path, **headers) as response:
        return response.status


def pictures(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The parts of a multipart/x-mixed-replace body."""
    assert response.readline() == b"\r\n"
    while response.readline() == b"--picture\r\n":
        fields = dict(line.split(b": ") for line in iter(lambda: response.readline().rstrip(), b""))
        assert fields[b"Content-Type"] == b"image/jpeg"
        yield response.read(int(fields[b"Content-Length"]))
        assert response.readline() == b"\r\n"


def assert_shows(jpeg: bytes, left: tuple[int, int, int], right: tuple[int, int, int]) -> None:
    """Check the colours, R, G, B, in the middle of both halves."""
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    shown = decoded[..., ::-1]
    assert shown.shape == (SIZE.height, SIZE.width, 3)
    assert np.abs(shown[:, 8:24].mean(axis=(0, 1)) - left).max() < 5
    assert np.abs(shown[:, 40:56].mean(axis=(0, 1)) - right).max() < 5


def test_one_picture_has_the_pixels_that_were_written(sink: PreviewSink) -> None:
    with playing(sink, picture(RED, BLUE)), asking(sink, "frame.jpg") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "image/jpeg"
        assert_shows(response.read(), (255, 0, 0), (0, 0, 255))


def test_a_picture_may_be_asked_for_with_a_query_against_caches(sink: PreviewSink) -> None:
    with playing(sink, picture(RED, BLUE)), asking(sink, "frame.jpg?t=1") as response:
        assert response.status == 200


def test_the_stream_follows_what_is_written(sink: PreviewSink) -> None:
    with asking(sink, "stream.mjpg") as response:
        assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
        parts = pictures(response)
        sink.write(picture(RED, BLUE))
        assert_shows(next(parts), (255, 0, 0), (0, 0, 255))
        sink.write(picture(BLUE, RED))
        assert_shows(next(parts), (0, 0, 255), (255, 0, 0))


def test_the_page_shows_the_stream_and_says_how_to_change_it(sink: PreviewSink) -> None:
    with asking(sink, "") as response:
        page = response.read().decode()
        policy = response.headers["Content-Security-Policy"]
    assert response.status == 200
    assert '<img src="stream.mjpg" width="64" height="48" alt=' in page
    assert "bgcam set" in page
    assert "<title>" in page
    assert re.search(r"style-src 'sha256-[A-Za-z0-9+/]{43}=';", policy)


@pytest.mark.parametrize("what", ["", "nothing"])
def test_every_answer_is_private(sink: PreviewSink, what: str) -> None:
    with asking(sink, what) as response:
        headers = response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "Python" not in headers["Server"]


def test_nothing_is_there_but_the_three_and_nothing_without_the_token(sink: PreviewSink) -> None:
    ours = urlsplit(sink.url).path
    other = ours[:-2] + ("A" if ours[-2] != "A" else "B") + "/"
    strangers = ["/", "/frame.jpg", "//frame.jpg", "/x/", ours[:-1], f"{ours}x", f"{ours}../", f"{ours}frame.jpg/"]
    strangers += [other, f"{other}frame.jpg", f"{other}stream.mjpg", f"/%2e{ours}", "frame.jpg"]
    with playing(sink, picture(RED, BLUE)):
        assert {path: status(sink, path) for path in strangers} == dict.fromkeys(strangers, 404)


def test_two_sinks_have_different_tokens(sink: PreviewSink) -> None:
    with PreviewSink(size=SIZE) as other:
        assert urlsplit(other.url).path != urlsplit(sink.url).path


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_this_machines_own_names_are_answered(sink: PreviewSink, name: str) -> None:
    url = urlsplit(sink.url)
    assert status(sink, url.path, Host=f"{name}:{url.port}") == 200


@pytest.mark.parametrize(
    "name", ["evil.example:{port}", "localhost", "localhost:1", "", "127.0.0.1.evil.example:{port}"]
)
def test_other_names_are_not_answered_against_dns_rebinding(sink: PreviewSink, name: str) -> None:
    url = urlsplit(sink.url)
    assert status(sink, url.path, Host=name.format(port=url.port)) == 421


def test_a_fifth_viewer_is_refused_until_one_leaves(sink: PreviewSink) -> None:
    with playing(sink, picture(RED, BLUE)), ExitStack() as viewers:
        streams = [viewers.enter_context(asking(sink, "stream.mjpg")) for _ in range(4)]
        assert [stream.status for stream in streams] == [200] * 4
        with asking(sink, "stream.mjpg") as fifth:
            assert fifth.status == 503
        viewers.close()
        answers = iter(lambda: status(sink, urlsplit(sink.url).path + "frame.jpg"), 200)
        assert set(answers) <= {503}


def test_a_client_that_does_not_read_stalls_neither_the_writer_nor_other_viewers() -> None:
    size = Size(640, 480)
    noise = np.random.default_rng(1).integers(0, 256, (480, 640), np.uint8)  # much data to send
    frame = Frame((noise, noise[:240, :320], noise[240:, 320:]), PixelFormat.I420, size)
    with PreviewSink(size=size) as sink, asking(sink, "stream.mjpg") as idler, asking(sink, "stream.mjpg") as reader:
        parts = pictures(reader)
        for _ in range(100):
            sink.write(frame)
            assert next(parts).startswith(b"\xff\xd8")
        sink.close()
        assert 0 < idler.read().count(b"--picture") < 100


def test_a_picture_is_encoded_once_for_all_viewers(sink: PreviewSink, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode: Callable[[Plane], bytes] = newest_jpeg._encode

    def counting(stacked: Plane) -> bytes:
        encoded.append(1)
        return encode(stacked)

    monkeypatch.setattr(newest_jpeg, "_encode", counting)
    with ExitStack() as viewers:
        streams = [pictures(viewers.enter_context(asking(sink, "stream.mjpg"))) for _ in range(3)]
        for _ in range(5):
            sink.write(picture(RED, BLUE))
            assert len({next(stream) for stream in streams}) == 1
    assert len(encoded) == 5


def test_what_was_written_before_anybody_watched_is_not_shown(sink: PreviewSink) -> None:
    sink.write(picture(RED, RED))
    with asking(sink, "stream.mjpg") as response:
        sink.write(picture(BLUE, BLUE))
        assert_shows(next(pictures(response)), (0, 0, 255), (0, 0, 255))


def test_without_a_picture_the_answer_is_not_now(sink: PreviewSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_PICTURE_S", 0.01)
    with asking(sink, "frame.jpg") as response:
        assert response.status == 503


def test_closing_sends_viewers_away_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    sink = PreviewSink(size=SIZE)
    url = urlsplit(sink.url)
    with (
        playing(sink, picture(RED, BLUE)),
        asking(sink, "stream.mjpg") as response,
        closing(socket.create_connection((url.hostname, url.port))) as silent,
    ):
        next(pictures(response))
        sink.close()
        sink.close()
        assert silent.recv(1) == b""
        try:
            while response.read(65536):
                pass
        except ConnectionError:
            pass
    assert set(threading.enumerate()) == before


def test_a_sink_closed_at_once_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    for _ in range(20):
        PreviewSink(size=SIZE).close()
    assert set(threading.enumerate()) == before


def test_bad_requests_and_hung_up_clients_say_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with PreviewSink(size=SIZE) as sink, playing(sink, picture(RED, BLUE)):
        url = urlsplit(sink.url)
        stream = f"GET {url.path}stream.mjpg HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode()
        strange = f"GET /é/ HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode()
        for request in (b"", b"\0\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET abc\r\n\r\n", strange, stream):
            with closing(socket.create_connection((url.hostname, url.port))) as client:
                client.sendall(request)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # hang up with a reset
        with asking(sink, "frame.jpg") as response:
            assert response.status == 200
    assert capfd.readouterr() == ("", "")


def test_more_connections_than_anybody_needs_are_closed_at_once(sink: PreviewSink) -> None:
    url = urlsplit(sink.url)
    with ExitStack() as crowd:
        clients = [crowd.enter_context(closing(socket.create_connection((url.hostname, url.port)))) for _ in range(17)]
        assert clients[-1].recv(1) == b""


def test_a_taken_port_is_a_sink_error_that_says_what_to_do(sink: PreviewSink) -> None:
    port = urlsplit(sink.url).port or 0
    with pytest.raises(SinkError, match=f"can't listen on 127.0.0.1:{port}") as caught:
        PreviewSink(size=SIZE, port=port)
    assert "another port" in caught.value.hint


def test_odd_sizes_lose_their_last_line() -> None:
    with PreviewSink(size=Size(65, 49)) as sink, asking(sink, "stream.mjpg") as response:
        sink.write(picture(RED, BLUE, Size(65, 49)))
        assert_shows(next(pictures(response)), (255, 0, 0), (0, 0, 255))


def test_only_i420_of_the_size_announced_is_taken(sink: PreviewSink) -> None:
    taking: Sink = sink
    with pytest.raises(ValueError, match="64x48 I420, not 32x32 I420"):
        taking.write(picture(RED, BLUE, Size(32, 32)))
    with pytest.raises(ValueError, match="not 64x48 GREY"):
        taking.write(Frame((np.zeros((48, 64), np.uint8),), PixelFormat.GREY, SIZE))
