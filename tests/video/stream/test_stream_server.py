"""The RTSP server, as a client of bare sockets sees it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from stream_pictures import RATE, SIZE, picture, playing

from bgcamd.errors import SinkError
from bgcamd.frame import Frame
from bgcamd.protocols import Watched
from bgcamd.video.stream import rtsp_session
from bgcamd.video.stream.packets import is_rtcp
from bgcamd.video.stream.rtsp_sink import RtspSink
from bgcamd.video.stream_address import Served

SECRET = "s" * 22
OVER_TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


class Client:
    """Talks RTSP by hand. answers: the head of each, as text."""

    def __init__(self, sink: RtspSink) -> None:
        host, port, self.path = re.fullmatch(r"rtsp://([0-9.]+):(\d+)(/.*)", sink.link).groups()  # type: ignore[union-attr]
        self.base = f"rtsp://{host}:{port}"
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.file = self.socket.makefile("rb")
        self.number, self.session = 0, ""

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def ask(self, method: str, url: str | None = None, body: str = "", **headers: str) -> str:
        """Send a request, and return the answer, with its body; packets that come before it are passed over."""
        self.number += 1
        target = url if url is not None else self.base + self.path
        lines = [f"{method} {target} RTSP/1.0", f"CSeq: {self.number}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self.session and "Session" not in headers:
            lines.append(f"Session: {self.session}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall(("\r\n".join((*lines, "", "")) + body).encode())
        return self.answer()

    def answer(self) -> str:
        while (first := self.file.read(1)) == b"$":
            self._rest_of_packet()
        head = first.decode()
        while not head.endswith("\r\n\r\n"):
            line = self.file.readline()
            if not line:
                return head
            head += line.decode()
        length = re.search(r"Content-Length: (\d+)", head)
        return head + (self.file.read(int(length[1])).decode() if length else "")

    def packet(self) -> tuple[int, bytes]:
        assert self.file.read(1) == b"$"
        return self._rest_of_packet()

    def _rest_of_packet(self) -> tuple[int, bytes]:
        head = self.file.read(3)
        return head[0], self.file.read(int.from_bytes(head[1:], "big"))

    def set_up(self, transport: str = OVER_TCP) -> str:
        answered = self.ask("SETUP", self.base + self.path + "/video", Transport=transport)
        self.session = answered.partition("Session: ")[2].partition(";")[0]
        return answered

    def is_cut(self) -> bool:
        """Wait for the end of the connection."""
        try:
            while self.file.read(1):
                pass
        except ConnectionError:
            pass
        return True


def status(answered: str) -> int:
    return int(answered.split()[1])


@pytest.fixture
def sink() -> Iterator[RtspSink]:
    with RtspSink(Served("rtsp", "127.0.0.1", 0, "output"), size=SIZE, rate=RATE, secret=SECRET) as sink:
        yield sink


@pytest.fixture
def client(sink: RtspSink) -> Iterator[Client]:
    with closing(Client(sink)) as client:
        yield client


@contextmanager
def clients(sink: RtspSink, count: int) -> Iterator[list[Client]]:
    made: list[Client] = []
    try:
        for _ in range(count):
            made.append(Client(sink))  # noqa: PERF401 - those that were made are closed when one can't be
        yield made
    finally:
        for client in made:
            client.close()


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


class TestConversation:
    def test_a_client_is_told_what_it_may_ask(self, client: Client) -> None:
        for url in ("*", None):
            answered = client.ask("OPTIONS", url)
            assert status(answered) == 200
            assert "Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER\r\n" in answered

    def test_the_description_names_the_track_under_the_address_that_was_asked(self, client: Client) -> None:
        answered = client.ask("DESCRIBE", Accept="application/sdp")
        assert status(answered) == 200
        assert f"Content-Base: {client.base}{client.path}/\r\n" in answered
        assert "m=video 0 RTP/AVP 96\r\n" in answered
        assert answered.endswith("a=control:video\r\n")

    def test_pictures_come_on_the_clients_own_connection_from_the_announced_number_on(
        self, sink: RtspSink, client: Client
    ) -> None:
        answered = client.set_up("RTP/AVP/TCP;unicast;interleaved=4-5")
        assert ";interleaved=4-5;ssrc=" in answered
        assert ";timeout=60\r\n" in answered
        played = client.ask("PLAY", Range="npt=0.000-")
        number = int(re.search(rf"RTP-Info: url={client.base}{client.path}/video;seq=(\d+)\r\n", played)[1])  # type: ignore[index]
        with playing(sink):
            channel, report = client.packet()
            assert (channel, is_rtcp(report)) == (5, True)
            channel, packet = client.packet()
        assert (channel, is_rtcp(packet)) == (4, False)
        assert int.from_bytes(packet[2:4], "big") == number
        assert packet[8:12].hex().upper() in answered

    def test_pictures_come_by_udp_to_the_clients_address(self, sink: RtspSink, client: Client, even_port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.bind(("127.0.0.1", even_port))
            ours.settimeout(10)
            answered = client.set_up(f"RTP/AVP;unicast;destination=192.0.2.1;client_port={even_port}-{even_port + 1}")
            port = int(re.search(r"server_port=(\d+)-", answered)[1])  # type: ignore[index]
            assert "192.0.2.1" not in answered
            assert status(client.ask("PLAY")) == 200
            with playing(sink):
                _, sender = ours.recvfrom(2000)
        assert sender == ("127.0.0.1", port)

    def test_a_paused_client_gets_nothing_until_it_plays_again_and_then_a_key_frame(
        self, sink: RtspSink, client: Client
    ) -> None:
        client.set_up()
        client.ask("PLAY")
        with playing(sink):
            client.packet()
            assert status(client.ask("PAUSE")) == 200
            assert not sink.watched
            played = client.ask("PLAY")
            packet = next(packet for _, packet in iter(client.packet, None) if not is_rtcp(packet))
        assert f"seq={int.from_bytes(packet[2:4], 'big')}\r\n" in played
        assert packet[12] & 31 in {24, 7}  # the parameter sets, which are before a key frame only

    def test_parameters_there_are_none_but_asking_for_none_is_a_sign_of_life(self, client: Client) -> None:
        client.set_up()
        assert status(client.ask("GET_PARAMETER")) == 200
        assert status(client.ask("GET_PARAMETER", body="position\r\n")) == 451

    def test_it_ends_when_the_client_says_so(self, sink: RtspSink, client: Client) -> None:
        client.set_up()
        client.ask("PLAY")
        until(lambda: sink.watched)
        assert status(client.ask("TEARDOWN")) == 200
        assert client.is_cut()
        until(lambda: not sink.watched)

    def test_it_ends_when_the_client_goes_without_a_word(self, sink: RtspSink, client: Client) -> None:
        client.set_up()
        client.ask("PLAY")
        until(lambda: sink.watched)
        client.close()
        until(lambda: not sink.watched)


class TestRefusals:
    @pytest.mark.parametrize(
        "path", ["/", "/output", f"/{SECRET}", f"/{SECRET}/other", f"/{'t' * 22}/output", f"/{SECRET}/output/x", "/é"]
    )
    @pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"])
    def test_any_other_address_is_not_found(self, client: Client, method: str, path: str) -> None:
        path = path.replace("é", "%C3%A9")
        assert status(client.ask(method, client.base + path, Transport=OVER_TCP)) == 404

    def test_what_is_out_of_order_is_refused(self, client: Client) -> None:
        for method in ("PLAY", "PAUSE", "TEARDOWN"):
            assert status(client.ask(method)) == 455
        client.set_up()
        assert status(client.ask("SETUP", Transport=OVER_TCP)) == 455

    def test_nobody_plays_with_anothers_session(self, sink: RtspSink, client: Client) -> None:
        client.set_up()
        for session in ("", "0" * 16):
            assert status(client.ask("PLAY", Session=session)) == 454
        assert not sink.watched

    def test_methods_and_features_that_we_lack_are_named(self, client: Client) -> None:
        assert "Allow: OPTIONS" in client.ask("RECORD")
        assert "Unsupported: play.scale\r\n" in client.ask("DESCRIBE", Require="play.scale")

    def test_a_transport_that_we_lack_is_refused(self, client: Client) -> None:
        assert status(client.ask("SETUP", Transport="RTP/AVP;multicast")) == 461

    def test_what_is_no_rtsp_ends_the_connection(self, client: Client) -> None:
        client.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(client.answer()) == 400
        assert client.is_cut()

    def test_packets_of_who_plays_nothing_end_the_connection(self, client: Client) -> None:
        client.socket.sendall(b"$\x00\x00\x01a")
        assert status(client.answer()) == 400
        assert client.is_cut()

    def test_reports_of_who_plays_are_taken(self, client: Client) -> None:
        client.set_up()
        client.socket.sendall(b"$\x01\x00\x04\x80\xc9\x00\x00")
        assert status(client.ask("OPTIONS")) == 200

    def test_only_eight_may_watch(self, sink: RtspSink) -> None:
        with clients(sink, 9) as all_of_them:
            assert [status(client.set_up()) for client in all_of_them] == [200] * 8 + [453]
            all_of_them[0].ask("TEARDOWN")
            assert all_of_them[0].is_cut()
            until(lambda: len(sink._viewers) < 8)
            assert status(all_of_them[8].set_up()) == 200

    def test_only_sixteen_may_connect(self, sink: RtspSink) -> None:
        with clients(sink, 16) as all_of_them:
            assert status(all_of_them[15].ask("OPTIONS")) == 200
            with closing(Client(sink)) as one_more:
                assert one_more.is_cut()

    def test_who_says_nothing_is_cut_off(self, sink: RtspSink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rtsp_session, "_ASKING_S", 0.05)
        with closing(Client(sink)) as client:
            assert client.is_cut()

    def test_who_drips_a_request_is_cut_off(self, sink: RtspSink, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rtsp_session, "_ASKING_S", 0.2)
        with closing(Client(sink)) as client:
            client.set_up()
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                drip(client)

    def test_who_has_a_session_and_says_nothing_is_cut_off_later(
        self, sink: RtspSink, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rtsp_session, "TIMEOUT_S", 0.2)
        with closing(Client(sink)) as client:
            client.set_up()
            client.ask("PLAY")
            assert client.is_cut()
            until(lambda: not sink.watched)

    def test_a_port_that_is_taken_is_told(self, sink: RtspSink) -> None:
        port = int(sink.link.split(":")[2].split("/")[0])
        second = RtspSink(Served("rtsp", "127.0.0.1", port, "output"), size=SIZE, rate=RATE, secret=SECRET)
        with pytest.raises(SinkError, match=f"can't listen on 127.0.0.1:{port}: address already in use"):
            second.__enter__()


def drip(client: Client) -> None:
    for letter in b"A" * 2000:
        client.socket.sendall(bytes((letter,)))
        time.sleep(0.01)


def noise(number: int) -> Frame:
    """A picture that costs many bits."""
    frame, random = picture(number), np.random.default_rng(number)
    for plane in frame.planes:
        plane[:] = random.integers(0, 256, plane.shape, np.uint8)
    return frame


class TestSink:
    def test_nothing_is_encoded_while_nobody_plays(self, sink: RtspSink, client: Client) -> None:
        assert isinstance(sink, Watched)
        client.set_up()
        for number in range(5):
            sink.write(picture(number))
        assert not sink.watched
        assert sink._encoding._mailbox.get(0) is None
        client.ask("PLAY")
        until(lambda: sink.watched)

    def test_a_viewer_that_takes_nothing_holds_up_neither_the_loop_nor_the_others(self, sink: RtspSink) -> None:
        with clients(sink, 2) as (stuck, other):
            stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            for client in (stuck, other):
                client.set_up()
                client.ask("PLAY")
            with playing(sink, noise):
                for dropping in (False, True):  # after its first key frame
                    while any(viewer._needs_key for viewer in sink._viewers) is not dropping:
                        other.packet()
            assert all(len(viewer._waiting) <= 8 for viewer in sink._viewers)

    def test_the_end_cuts_all_viewers_off_and_ends_their_threads(self, sink: RtspSink) -> None:
        with clients(sink, 3) as all_of_them:
            for client in all_of_them:
                client.set_up()
                client.ask("PLAY")
            with playing(sink):
                all_of_them[0].packet()
            sink.__exit__(None, None, None)
            assert all(client.is_cut() for client in all_of_them)
            assert [thread.name for thread in threading.enumerate() if thread.name in {"viewer", "rtsp"}] == []
            sink._stack.close()

    def test_the_secret_is_in_what_viewers_need_and_not_in_the_name(self, sink: RtspSink) -> None:
        assert SECRET in sink.see
        assert SECRET not in sink.name
