"""A network's stream as a camera, and RTP to a host: ours reads ours, on 127.0.0.1."""

from __future__ import annotations

import itertools
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from stream_pictures import RATE, SIZE, number_of, picture, playing

from bgcamd.errors import SinkError, SourceError
from bgcamd.frame import BT601, Frame, Size
from bgcamd.video.stream import rtsp_session, source
from bgcamd.video.stream.encoder import Encoder
from bgcamd.video.stream.packets import Packetizer, is_rtcp
from bgcamd.video.stream.rtp_sink import RtpSink
from bgcamd.video.stream.rtsp_sink import RtspSink
from bgcamd.video.stream.rtsp_transport import Wanted
from bgcamd.video.stream.source import RtpSource, RtspSource, StreamSource
from bgcamd.video.stream_address import Rtp, Rtsp, Served


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def served() -> Iterator[RtspSink]:
    with RtspSink(Served("rtsp", "127.0.0.1", 0, "output"), size=SIZE, rate=RATE, secret="s" * 22) as sink:
        yield sink


def frames(stream: StreamSource, count: int) -> list[Frame]:
    read: list[Frame] = []
    while len(read) < count:
        frame = stream.read(5.0)
        assert frame is not None
        read.append(frame)
    return read


def read_for_ever(stream: StreamSource) -> None:
    while True:
        stream.read(5.0)


def check_what_comes(stream: StreamSource) -> None:
    """The numbers of the loop, in order; and all else that frames have."""
    read = frames(stream, 10)
    steps = [(number_of(later) - number_of(earlier)) % 256 for earlier, later in itertools.pairwise(read)]
    assert all(0 < step < 128 for step in steps)
    assert all((frame.size, frame.color) == (SIZE, BT601) for frame in read)
    assert all(later.captured_ns > earlier.captured_ns for earlier, later in itertools.pairwise(read))
    assert (stream.size, stream.rate) == (SIZE, RATE)


class TestRtsp:
    def test_what_is_served_is_read(self, served: RtspSink) -> None:
        with playing(served), RtspSource(Rtsp(served.link)) as stream:
            check_what_comes(stream)

    def test_a_server_without_tcp_is_read_by_udp(self, served: RtspSink, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Wanted] = []
        known = rtsp_session.wanted

        def only_udp(header: str) -> Wanted | None:
            found = known(header)
            asked.extend([found] if found else [])
            return found if found is not None and found.udp else None

        monkeypatch.setattr(rtsp_session, "wanted", only_udp)
        with playing(served), RtspSource(Rtsp(served.link)) as stream:
            check_what_comes(stream)
        assert [one.udp for one in asked] == [False, True]

    def test_an_address_that_is_not_served_is_told(self, served: RtspSink) -> None:
        with pytest.raises(SourceError, match=r"/other: .*404"):
            RtspSource(Rtsp(served.link.replace("output", "other")))

    def test_the_end_of_the_server_is_told(self, served: RtspSink) -> None:
        with playing(served), RtspSource(Rtsp(served.link)) as stream:
            frames(stream, 1)
            served.__exit__(None, None, None)
            with pytest.raises(SourceError, match="the stream has ended"):
                read_for_ever(stream)
        served._stack.close()

    def test_the_password_is_in_no_message(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(SourceError) as caught:
            RtspSource(Rtsp(f"rtsp://me:hush@127.0.0.1:{port}/x?key=hush"))
        assert f"rtsp://127.0.0.1:{port}/x: connection refused" in str(caught.value)
        assert "hush" not in repr((caught.value, caught.value.__cause__, caught.value.__context__, caught.value.hint))

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("302 Found\r\nLocation: file:///etc/passwd", "rtsp://127"),
            ("302 Found\r\nLocation: http://127.0.0.1:9/", "rtsp://127"),
            ("401 Unauthorized", "another user or password"),
        ],
    )
    def test_a_server_that_sends_us_elsewhere_or_away_is_no_camera(self, answer: str, said: str) -> None:
        with answering(answer) as url, pytest.raises(SourceError, match=said) as caught:
            RtspSource(Rtsp(url))
        assert "hush" not in str(caught.value)

    def test_a_server_that_says_nothing_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source, "_OPEN_S", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match="nothing came"):
            RtspSource(Rtsp(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"))


@contextmanager
def answering(text: str) -> Iterator[str]:
    """A server that gives one answer to every request; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    while data := connection.recv(4096):
                        number = data.decode().partition("CSeq: ")[2].split("\r\n")[0]
                        connection.sendall(f"RTSP/1.0 {text}\r\nCSeq: {number}\r\n\r\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"rtsp://me:hush@127.0.0.1:{server.getsockname()[1]}/x"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


class TestRtp:
    def test_what_is_sent_is_read(self, even_port: int) -> None:
        sink = RtpSink(Rtp("127.0.0.1", even_port), size=SIZE, rate=RATE)
        with sink, playing(sink), RtpSource(Rtp("127.0.0.1", even_port, listens=True)) as stream:
            check_what_comes(stream)

    def test_a_receiver_may_come_late_and_come_again(self, even_port: int) -> None:
        with RtpSink(Rtp("127.0.0.1", even_port), size=SIZE, rate=RATE) as sink, playing(sink) as written:
            while written() < 20:
                threading.Event().wait(0.005)
            for _ in range(2):
                with RtpSource(Rtp("127.0.0.1", even_port, listens=True)) as stream:
                    check_what_comes(stream)

    def test_the_end_of_the_sender_is_told(self, even_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source, "_SILENT_S", 0.3)
        with RtpSink(Rtp("127.0.0.1", even_port), size=SIZE, rate=RATE) as sink:
            with playing(sink):
                stream = RtpSource(Rtp("127.0.0.1", even_port, listens=True))
            with stream, pytest.raises(SourceError, match="nothing came for 0 s"):
                read_for_ever(stream)

    def test_nothing_that_comes_is_told(self, even_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source, "_OPEN_S", 0.2)
        monkeypatch.setattr(source, "_FIRST_S", 0.1)
        monkeypatch.setattr(source, "_SILENT_S", 0.1)
        with pytest.raises(SourceError, match=r"nothing came .*does anybody send h264 to it\?"):
            RtpSource(Rtp("127.0.0.1", even_port, listens=True))

    def test_only_what_comes_to_the_named_interface_is_taken(
        self, even_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(source, "_OPEN_S", 1.0)
        monkeypatch.setattr(source, "_FIRST_S", 0.5)
        monkeypatch.setattr(source, "_SILENT_S", 0.5)
        with RtpSink(Rtp("127.0.0.2", even_port), size=SIZE, rate=RATE) as sink, playing(sink):
            with pytest.raises(SourceError, match="nothing came"):
                RtpSource(Rtp("127.0.0.1", even_port, listens=True))
            with RtpSource(Rtp("127.0.0.2", even_port, listens=True)) as stream:
                frames(stream, 1)

    def test_a_port_that_is_taken_is_told(self, even_port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", even_port + 1))
            with pytest.raises(SourceError, match=f"can't listen on 127.0.0.1:{even_port + 1}: address already in use"):
                RtpSource(Rtp("127.0.0.1", even_port, listens=True))

    def test_lost_and_damaged_packets_end_nothing(self, even_port: int) -> None:
        with damaging(even_port), RtpSource(Rtp("127.0.0.1", even_port, listens=True)) as stream:
            assert {frame.size for frame in frames(stream, 50)} == {SIZE}

    def test_a_picture_that_changes_its_size_is_followed(self, even_port: int) -> None:
        other = Size(160, 120)
        with sending(even_port, SIZE, other), RtpSource(Rtp("127.0.0.1", even_port, listens=True)) as stream:
            while stream.size != other:
                (frame,) = frames(stream, 1)
                assert frame.planes[0].shape == frame.size[::-1]

    def test_receivers_find_a_description_in_the_runtime_folder_as_long_as_it_sends(
        self, even_port: int, runtime: Path
    ) -> None:
        with RtpSink(Rtp("127.0.0.1", even_port), size=SIZE, rate=RATE) as sink:
            file = runtime / f"rtp-127.0.0.1-{even_port}.sdp"
            assert sink.see == f"ffplay -protocol_whitelist file,udp,rtp {file}"
            assert file.read_bytes() == sink.sdp.encode()
        assert not file.exists()

    def test_a_folder_that_others_may_write_to_is_left_alone(self, even_port: int, runtime: Path) -> None:
        runtime.chmod(stat.S_IRWXU | stat.S_IRWXO)
        with RtpSink(Rtp("127.0.0.1", even_port), size=SIZE, rate=RATE) as sink:
            assert sink.see == ""
        assert list(runtime.iterdir()) == []

    def test_a_host_that_is_not_there_is_told(self) -> None:
        with RtpSink(Rtp("no-such-host.invalid", 5004), size=SIZE, rate=RATE) as sink:
            sink.write(picture(0))
            while sink._encoding._error is None:
                threading.Event().wait(0.001)
            with pytest.raises(SinkError, match=r"can't send to no-such-host\.invalid:5004"):
                sink.write(picture(1))


@contextmanager
def sent(port: int, packets: Iterator[bytes]) -> Iterator[None]:
    """Send packets to a port of RTP until the end."""
    ending = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            for packet in packets:
                ours.sendto(packet, ("127.0.0.1", port))
                if ending.wait(0.002):
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def damaging(port: int) -> AbstractContextManager[None]:
    """Every seventh packet is lost, every eleventh damaged, every thirteenth is nothing at all."""

    def packets() -> Iterator[bytes]:
        encoder, count = Encoder(SIZE, RATE), 0
        with Packetizer(SIZE) as packetizer:
            while True:
                for packet in packetizer.packets(encoder.encode(picture(count % 256), key=count % 5 == 0)):
                    count += 1
                    if is_rtcp(packet) or count % 7 == 0:
                        continue
                    if count % 11 == 0:
                        yield packet[:20] + bytes(byte ^ 0x5A for byte in packet[20:])
                    else:
                        yield packet if count % 13 else b"\x80"

    return sent(port, packets())


def sending(port: int, *sizes: Size) -> AbstractContextManager[None]:
    """Twenty pictures of each size in turn, in one stream."""

    def packets() -> Iterator[bytes]:
        with Packetizer(sizes[0]) as packetizer:
            while True:
                for size in sizes:
                    encoder = Encoder(size, RATE)
                    for number in range(20):
                        made = packetizer.packets(encoder.encode(picture(number, size)))
                        yield from (packet for packet in made if not is_rtcp(packet))

    return sent(port, packets())
