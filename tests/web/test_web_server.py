"""The server of pages: whom it answers, and what no client can do to it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bgcamd.errors import SinkError, UsageError
from bgcamd.web import server as server_module
from bgcamd.web.answers import Answer, Request, Route, Stream, as_json
from bgcamd.web.server import WebServer

SECRET = "0123456789abcdefghijkl"
LONGEST = 1000


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")


class Tape:
    """A stream that goes on until its reader leaves."""

    def __init__(self, chunk: bytes, pause_s: float = 0.005) -> None:
        self._chunk, self._pause_s = chunk, pause_s
        self.closed = threading.Event()
        self.given = 0

    def __call__(self, _: Request) -> Stream:
        return Stream("application/x-tape", self._play())

    def _play(self) -> Generator[bytes, None, None]:
        try:
            while True:
                self.given += 1
                yield self._chunk
                time.sleep(self._pause_s)
        finally:
            self.closed.set()


def echo(request: Request) -> Answer:
    return as_json({"query": dict(request.query), "body": request.body.decode(), "at": request.host})


def fail(_: Request) -> Answer:
    raise UsageError("that is wrong", "do it right")


def made(tape: Tape | None = None, host: str = "127.0.0.1") -> WebServer:
    gets = {
        "": Route(lambda _: Answer("text/html", b"<p>page")),
        "echo": Route(echo),
        "tape": Route(tape or Tape(b"x")),
        "busy": Route(lambda _: as_json({}, HTTPStatus.SERVICE_UNAVAILABLE)),
    }
    posts = {"echo": Route(echo, LONGEST), "fail": Route(fail, LONGEST), "nothing": Route(echo)}
    return WebServer(host, 0, SECRET, gets, posts)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with made() as server:
        yield server


@contextmanager
def asking(
    server: WebServer, path: str = f"/{SECRET}/", method: str = "GET", body: bytes | None = None, **headers: str
) -> Iterator[http.client.HTTPResponse]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    host = "::1" if server.address_family == socket.AF_INET6 else "127.0.0.1"
    with closing(http.client.HTTPConnection(host, server.server_port, timeout=30)) as connection:
        connection.request(method, path, body, named)
        with connection.getresponse() as response:
            yield response


def status(server: WebServer, path: str = f"/{SECRET}/", method: str = "GET", **more: str) -> int:
    with asking(server, path, method, **more) as response:
        return response.status


def posted(server: WebServer, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    with asking(server, f"/{SECRET}/{path}", "POST", body, **headers) as response:
        return response.status, response.read()


def connected(server: WebServer) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", server.server_port), timeout=30))


def test_the_page_is_at_its_url(server: WebServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.server_port}/{SECRET}/"
    with asking(server) as response:
        assert (response.status, response.headers["Content-Type"], response.read()) == (200, "text/html", b"<p>page")


def test_a_route_gets_the_query_and_the_address_that_was_asked(server: WebServer) -> None:
    with asking(server, f"/{SECRET}/echo?a=1&b=&a=2") as response:
        assert json.load(response) == {"query": {"a": "2", "b": ""}, "body": "", "at": "127.0.0.1"}


def test_a_query_of_very_many_fields_is_refused(server: WebServer) -> None:
    assert status(server, f"/{SECRET}/echo?{'&' * 16}") == 400


@pytest.mark.parametrize("path", [f"/{SECRET}/", f"/{SECRET}/tape"])
def test_head_gives_the_headers_only(server: WebServer, path: str) -> None:
    with asking(server, path, "HEAD") as response:
        assert (response.status, response.read()) == (200, b"")


@pytest.mark.parametrize("path", [f"/{SECRET}/", f"/{SECRET}/nothing", "/"])
def test_every_answer_is_private(server: WebServer, path: str) -> None:
    with asking(server, path) as response:
        headers = response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert "Python" not in headers["Server"]


def test_nothing_is_there_but_the_routes_and_nothing_without_the_secret(server: WebServer) -> None:
    other = SECRET[:-1] + "A"
    strangers = ["/", "/echo", "//echo", "/x/", f"/{SECRET}", f"/{SECRET}/x", f"/{SECRET}/../", f"/{SECRET}/echo/"]
    strangers += [f"/{other}/", f"/{other}/echo", f"/%2e/{SECRET}/", "echo", f"/{SECRET[:-1]}/"]
    strangers += [f"/{SECRET}//etc/passwd", f"/{SECRET}/%2e%2e/%2e%2e/etc/passwd"]
    assert {path: status(server, path) for path in strangers} == dict.fromkeys(strangers, 404)


def test_what_is_only_for_get_is_not_there_for_post(server: WebServer) -> None:
    assert posted(server, "tape", b"")[0] == 404
    assert status(server, f"/{SECRET}/fail") == 404


def test_other_methods_are_unknown(server: WebServer) -> None:
    assert status(server, method="DELETE") == 501


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]", "192.168.1.7", socket.gethostname()])
def test_this_machines_own_names_and_bare_addresses_are_answered(server: WebServer, name: str) -> None:
    assert status(server, Host=f"{name}:{server.server_port}") == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example:{port}",
        "localhost",
        "localhost:1",
        "",
        "127.0.0.1.evil.example:{port}",
        "evil@localhost:{port}",
        "localhost:{port}@evil.example",
        "localhost:{port}/",
        "[::1:{port}",
        "localhost:port",
    ],
)
def test_other_names_are_not_answered_against_dns_rebinding(server: WebServer, name: str) -> None:
    host = name.format(port=server.server_port)
    assert status(server, Host=host) == 421
    assert posted(server, "echo", b"", Host=host)[0] == 421


def test_the_page_may_post(server: WebServer) -> None:
    origin = f"http://127.0.0.1:{server.server_port}"
    code, answer = posted(server, "echo", b"hello", Origin=origin, Sec_Fetch_Site="same-origin")
    assert (code, json.loads(answer)["body"]) == (200, "hello")


def test_what_is_no_browser_may_post(server: WebServer) -> None:
    assert posted(server, "echo", b"hello")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_post_from_another_page_is_refused(server: WebServer, headers: dict[str, str]) -> None:
    assert posted(server, "echo", b"hello", **headers)[0] == 403


def test_a_body_is_as_long_as_its_route_allows(server: WebServer) -> None:
    assert posted(server, "echo", b"x" * LONGEST)[0] == 200
    assert posted(server, "nothing", b"x")[0] == 413


def test_who_sends_far_too_much_still_reads_why_it_is_refused(server: WebServer) -> None:
    code, answer = posted(server, "echo", b"x" * 5_000_000)
    assert code == 413
    assert b"At most 1000 bytes" in answer


@pytest.mark.parametrize("length", ["-1", "x", "1_0", "٣", "9" * 13, ""])
def test_a_body_of_no_length_is_refused(server: WebServer, length: str) -> None:
    with connected(server) as client:
        head = (
            f"POST /{SECRET}/echo HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: {length}\r\n\r\n"
        )
        client.sendall(head.encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100).startswith(b"HTTP/1.0 411 ")


def test_a_body_that_ends_early_is_not_acted_upon(server: WebServer) -> None:
    with connected(server) as client:
        head = f"POST /{SECRET}/echo HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Length: 9\r\n\r\nhalf"
        client.sendall(head.encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""


def test_bodies_have_a_bound_together_and_the_room_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgcamd.web.server._BODIES", 1500)
    head = f"POST /{SECRET}/echo HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1000\r\n\r\n"
    with made() as server:
        with connected(server) as slow:
            slow.sendall((head % server.server_port).encode())
            while posted(server, "echo", b"x" * 1000)[0] != 503:
                pass
            assert posted(server, "echo", b"x" * 400)[0] == 200
        while posted(server, "echo", b"x" * 1000)[0] != 200:
            pass


def test_an_error_of_ours_is_told_with_its_hint(server: WebServer) -> None:
    code, answer = posted(server, "fail", b"{}")
    assert (code, json.loads(answer)) == (409, {"error": "that is wrong", "hint": "do it right"})


def test_an_answer_may_have_another_status(server: WebServer) -> None:
    assert status(server, f"/{SECRET}/busy") == 503


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_body_that_is_a_json_object_is_read(found: dict[str, object]) -> None:
    assert Request({}, json.dumps(found).encode()).json() == found


@given(st.binary(max_size=60).filter(lambda body: not body.strip().startswith(b"{")))
@example(b"[" * 5000)
@example(b'\xff{"a": 1}')
@example(b'{"a": 1')
@example(b'["a"]')
def test_a_body_that_is_none_is_an_error_of_ours(body: bytes) -> None:
    with pytest.raises(UsageError, match="no JSON object"):
        Request({}, body).json()


def test_a_stream_is_closed_when_its_reader_leaves() -> None:
    tape = Tape(b"x")
    with made(tape) as server:
        with asking(server, f"/{SECRET}/tape") as response:
            assert response.read(3) == b"xxx"
        assert tape.closed.wait(30)


def test_a_client_that_does_not_read_is_left_alone_and_then_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module._Handler, "timeout", 0.3)
    tape = Tape(bytes(1 << 20), pause_s=0.0)
    with made(tape) as server, asking(server, f"/{SECRET}/tape"):
        assert status(server) == 200
        assert tape.closed.wait(30)
        assert tape.given < 100


@pytest.mark.parametrize("sent", [b"", b"GET /", b"POST /" + SECRET.encode() + b"/echo HTTP/1.0\r\n"])
def test_a_silent_client_is_cut_off(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server_module._Handler, "timeout", 0.2)
    with made() as server, connected(server) as client:
        client.sendall(sent)
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    "start", ["", "POST /{secret}/echo HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 1000\r\n\r\n"]
)
def test_a_client_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, start: str) -> None:
    monkeypatch.setattr(server_module, "_ASKING_S", 0.3)
    monkeypatch.setattr(server_module, "_BYTES_PER_S", 1 << 20)
    with made() as server, connected(server) as client:
        client.sendall(start.format(secret=SECRET, port=server.server_port).encode())
        with pytest.raises(ConnectionError):
            drip(client)


def drip(client: socket.socket) -> None:
    while True:
        client.sendall(b"x")
        time.sleep(0.02)


def test_more_connections_than_anybody_needs_are_closed_at_once(server: WebServer) -> None:
    with ExitStack() as crowd:
        clients = [crowd.enter_context(connected(server)) for _ in range(17)]
        assert clients[-1].recv(1) == b""


def test_bad_requests_and_hung_up_clients_say_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with made() as server:
        tape = f"GET /{SECRET}/tape HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
        strange = f"GET /é/ HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode()
        for request in (b"", b"\0\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET abc\r\n\r\n", strange, tape):
            with connected(server) as client:
                client.sendall(request)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # hang up with a reset
        assert status(server) == 200
    assert capfd.readouterr() == ("", "")


def test_closing_sends_everybody_away_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    server = made()
    with connected(server) as silent, asking(server, f"/{SECRET}/tape") as response:
        response.read(1)
        server.close()
        server.close()
        assert silent.recv(1) == b""
        try:
            while response.read(65536):
                pass
        except ConnectionError:
            pass
    assert set(threading.enumerate()) == before


def test_a_server_closed_at_once_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    for _ in range(20):
        made().close()
    assert set(threading.enumerate()) == before


def test_a_taken_port_is_an_error_that_says_what_to_do(server: WebServer) -> None:
    with pytest.raises(SinkError, match=f"can't listen on 127.0.0.1:{server.server_port}") as caught:
        WebServer("127.0.0.1", server.server_port, SECRET, {})
    assert "another port" in caught.value.hint


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(SinkError, match=r"can't listen on 192\.0\.2\.1:"):
        WebServer("192.0.2.1", 0, SECRET, {})


def test_a_port_can_be_taken_again_at_once(server: WebServer) -> None:
    with asking(server) as response:
        response.read()
    server.close()
    with WebServer("127.0.0.1", server.server_port, SECRET, {}) as again:
        assert status(again) == 404


@needs_ipv6
def test_ipv6_is_served_and_named_in_brackets() -> None:
    with made(host="::1") as server:
        assert server.url == f"http://[::1]:{server.server_port}/{SECRET}/"
        with asking(server, f"/{SECRET}/echo", Host=f"[::1]:{server.server_port}") as response:
            assert json.load(response)["at"] == "::1"


@needs_ipv6
def test_every_interface_of_ipv6_is_also_those_of_ipv4() -> None:
    with made(host="::") as server, connected(server) as client:
        head = f"GET /{SECRET}/echo HTTP/1.0\r\nHost: localhost:{server.server_port}\r\n\r\n"
        client.sendall(head.encode())
        assert client.makefile().read().endswith('"at": "127.0.0.1"}')


def test_listening_everywhere_the_url_names_this_machine() -> None:
    with made(host="0.0.0.0") as server:
        assert server.url.startswith(f"http://{socket.gethostname()}:")
