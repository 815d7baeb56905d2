"""What a browser gets of the daemon, and what it can not get."""

from __future__ import annotations

import http.client
import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import cv2
import numpy as np
import pytest
from PIL import Image

from bgcamd import preview
from bgcamd.live.looks import MOST_LOOKERS
from bgcamd.preview import page as page_module
from bgcamd.preview.calls import HEAD, SETTABLE
from bgcamd.preview.page import Page
from bgcamd.preview.sink import PreviewSink
from bgcamd.scene import EDGE_RANGES, Blur, Colour, Edge, Keep, Picture, Scene
from bgcamd.web.secret import new_secret
from bgcamd.web.server import WebServer

FILES = Path(preview.__file__).parent


def png(colour: tuple[int, int, int] = (0, 0, 255)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 18), colour).save(file, "PNG")
    return file.getvalue()


def moments(response: http.client.HTTPResponse) -> Iterator[tuple[int, bytes, bytes]]:
    while len(head := response.read(HEAD.size)) == HEAD.size:
        number, length, before = HEAD.unpack(head)
        yield number, response.read(length), response.read(before)


def lightness(jpeg: bytes) -> float:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return float(decoded.mean())


class TestPictures:
    def test_they_come_one_after_another(self, desk: Any) -> None:
        with desk.asking("pictures") as response:
            coming = moments(response)
            seen = [next(coming) for _ in range(5)]
        numbers = [number for number, _, _ in seen]
        assert numbers == sorted(set(numbers))
        for _, picture, before in seen:
            assert lightness(picture) == pytest.approx(255, abs=3)
            assert before == b""

    def test_with_before_each_brings_the_room(self, desk: Any) -> None:
        with desk.asking("pictures?before=1") as response:
            _, picture, before = next(moments(response))
        assert lightness(picture) == pytest.approx(255, abs=3)
        assert lightness(before) == pytest.approx((100 - 16) * 255 / 219, abs=3)

    def test_a_paused_daemon_shows_no_room(self, desk: Any) -> None:
        desk.post("pause")
        with desk.asking("pictures?before=1") as response:
            assert [next(moments(response))[2] for _ in range(3)] == [b""] * 3

    def test_what_hinders_is_told(self, desk: Any) -> None:
        with ExitStack() as crowd:
            for _ in range(MOST_LOOKERS):
                next(moments(crowd.enter_context(desk.asking("pictures"))))
            status, said = desk.get("pictures")
        assert (status, said["error"]) == (409, "4 look at the picture already")

    def test_who_leaves_no_longer_watches(self, desk: Any) -> None:
        with desk.asking("pictures") as response:
            next(moments(response))
            assert desk.controls.looks.watched
        while desk.controls.looks.watched:
            threading.Event().wait(0.01)

    def test_head_alone_looks_at_nothing(self, desk: Any) -> None:
        with desk.asking("pictures", method="HEAD") as response:
            assert response.read() == b""
        while desk.controls.looks.watched:
            threading.Event().wait(0.01)

    def test_they_end_with_the_daemon_and_begin_with_it(self, desk: Any, serve: Any, tmp_path: Path) -> None:
        page = Page(tmp_path / "other.sock")
        with WebServer("127.0.0.1", 0, new_secret(), page.gets, page.posts) as server:
            other = type(desk)(tmp_path / "other.sock", desk.folder, tmp_path / "other")
            other.server = server
            assert other.get("status")[0] == 409
            for _ in range(2):
                with serve(other):
                    response = other.asking("pictures")
                    stream = response.__enter__()
                    next(moments(stream))
                assert len(list(moments(stream))) < 1000
                response.__exit__(None, None, None)
                assert "no bgcamd is running" in other.get("pictures")[1]["error"]


class TestChanges:
    @pytest.mark.parametrize(
        ("asked", "scene"),
        [
            ({"blur": 7}, Scene(Blur(7))),
            ({"color": "#0102ff"}, Scene(Colour((1, 2, 255)))),
            ({"keep": True}, Scene(Keep())),
            ({"choice": "color:white"}, Scene(Colour((255, 255, 255)))),
            ({"mirror": True, "feather": 20}, Scene(mirror=True, edge=Edge(feather=20))),
        ],
    )
    def test_what_is_pressed_reaches_the_daemon(self, desk: Any, asked: dict[str, object], scene: Scene) -> None:
        status, said = desk.post("set", asked)
        assert (status, desk.controls.scene) == (200, scene)
        assert said["scene"] == desk.get("status")[1]["status"]["scene"]

    @pytest.mark.parametrize(
        ("asked", "why"),
        [
            ({"blur": 0}, "blur is 0"),
            ({"blur": "7"}, "InvalidParameter: blur"),
            ({"model": "/etc/passwd"}, "'model' is nothing to set here"),
            ({"replace": 0}, "'replace' is nothing to set here"),
            ({"name": "x"}, "'name' is nothing to set here"),
            ({"choice": "file:../state/scene.json"}, "there is no background"),
            ([], "no JSON object"),
            (b"{", "no JSON object"),
        ],
    )
    def test_what_makes_no_sense_changes_nothing_and_is_told(self, desk: Any, asked: object, why: str) -> None:
        status, said = desk.post("set", asked)
        assert (status, desk.controls.scene) == (409, Scene())
        assert why in said["error"]

    def test_every_control_of_the_page_may_be_set(self) -> None:
        script = (FILES / "page.js").read_text()
        named = set(re.findall(r'post\("set", \{ (\w+):', script)) | set(re.findall(r"later\(\{ (\w+):", script))
        edges = re.search(r"const EDGES = \{ (.*) \};", script)
        assert edges is not None
        assert set(re.findall(r"(\w+):", edges[1])) == set(EDGE_RANGES)
        assert named | set(EDGE_RANGES) == SETTABLE

    def test_pause_and_resume_reach_the_daemon(self, desk: Any) -> None:
        assert desk.post("pause")[0] == 200
        assert desk.get("status")[1]["status"]["state"] == "paused"
        assert desk.post("resume")[0] == 200
        assert desk.get("status")[1]["status"]["state"] == "live"


class TestDroppedPictures:
    def test_one_is_shown_and_offered_from_then_on(self, desk: Any) -> None:
        status, said = desk.drop("Sea & sky.png", png())
        assert (status, said["scene"]["name"]) == (200, "Sea & sky.png")
        assert isinstance(desk.controls.scene.background, Picture)
        assert desk.controls.scene.background.path.read_bytes() == png()
        offered = desk.get("backgrounds")[1]
        assert [each["name"] for each in offered["backgrounds"] if each["recent"]] == ["Sea & sky.png"]
        assert offered["current"] == offered["backgrounds"][-1]["id"]

    def test_it_can_be_forgotten(self, desk: Any) -> None:
        desk.drop("sea.png", png())
        (sent,) = (each["id"] for each in desk.get("backgrounds")[1]["backgrounds"] if each["recent"])
        assert "shown at the moment" in desk.post(f"forget?choice={quote(sent)}")[1]["error"]
        desk.post("set", {"keep": True})
        assert desk.post(f"forget?choice={quote(sent)}")[0] == 200
        assert not [each for each in desk.get("backgrounds")[1]["backgrounds"] if each["recent"]]

    @pytest.mark.parametrize(("content", "why"), [(b"hello", "x.png"), (b"", "is empty")])
    def test_what_is_none_is_told(self, desk: Any, content: bytes, why: str) -> None:
        status, said = desk.drop("x.png", content)
        assert (status, desk.controls.scene) == (409, Scene())
        assert why in said["error"]
        assert str(desk.state) not in said["error"]

    def test_one_too_large_is_refused_before_it_is_read(self, desk: Any) -> None:
        url = urlsplit(desk.server.url)
        with socket.create_connection((url.hostname, url.port)) as client:
            head = f"POST {url.path}replace HTTP/1.0\r\nHost: {url.netloc}\r\nContent-Length: {(64 << 20) + 1}\r\n\r\n"
            client.sendall(head.encode())
            assert b" 413 " in client.recv(100)

    def test_only_so_many_come_in_a_minute(self, desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page_module, "_UPLOADS", 2)
        found = [desk.drop("x.png", png((number, 0, 0)))[0] for number in range(3)]
        assert found == [200, 200, 409]

    def test_one_at_a_time(self, desk: Any) -> None:
        page, going, go_on = Page(desk.socket), threading.Event(), threading.Event()
        with WebServer("127.0.0.1", 0, new_secret(), page.gets, page.posts) as desk.server:
            page._calls.show = lambda *_: (going.set(), go_on.wait(5), {})[2]  # type: ignore[method-assign]
            first = threading.Thread(target=desk.drop, args=("a.png", png()))
            first.start()
            going.wait(5)
            assert "another picture" in desk.drop("b.png", png())[1]["error"]
            go_on.set()
            first.join()


class TestThumbnails:
    def test_one_is_a_small_picture(self, desk: Any) -> None:
        status, jpeg = desk.get("thumbnail?choice=file%3Abeach.png")
        assert status == 200
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape == (180, 320, 3)
        assert np.abs(decoded.mean(axis=(0, 1)) - (0, 0, 255)).max() < 6

    @pytest.mark.parametrize("choice", ["", "blur", "file:none.png", "/etc/passwd", "file:../s.sock"])
    def test_of_what_is_not_offered_there_is_none(self, desk: Any, choice: str) -> None:
        assert desk.get(f"thumbnail?choice={quote(choice)}")[0] == 409


class TestDocuments:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")],
    )
    def test_they_are_served_as_what_they_are(self, desk: Any, path: str, kind: str) -> None:
        with desk.asking(path) as response:
            assert response.status == 200
            assert response.headers["Content-Type"].startswith(kind)

    def test_every_file_that_they_name_is_served_and_no_other(self, desk: Any) -> None:
        named = set()
        for file in FILES.glob("*.*"):
            if file.suffix in (".html", ".js"):
                named |= set(re.findall(r'(?:src=|href=|from )"(?:\./)?([\w.]+)"', file.read_text()))
        assert {path for path in named if desk.get(path)[0] != 200} == set()
        assert {file.name for file in FILES.glob("*.*") if file.suffix != ".py"} == named | {"page.html"}
        assert {desk.get(path)[0] for path in ("page.py", "page.html", "../page.js", "%2e%2e/page.js")} == {404}

    def test_nothing_in_the_page_needs_more_than_its_policy_allows(self) -> None:
        page = (FILES / "page.html").read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page)

    def test_every_control_has_a_name(self) -> None:
        page = (FILES / "page.html").read_text()
        for tag in re.findall(r"<button[^>]*>\s*</button>|<input[^>]*>|<select[^>]*>", page):
            assert "aria-" in tag or 'class="edge"' in tag or 'id="blur"' in tag or 'id="fit"' in tag, tag


def test_as_an_output_it_is_the_same_page_and_looks_at_nothing_by_itself(desk: Any, tmp_path: Path) -> None:
    secret = new_secret()
    with PreviewSink(desk.socket, port=0, secret=secret) as sink:
        assert (sink.watched, secret in sink.url, sink.url in sink.name) == (False, True, True)
        desk.server = type("Server", (), {"url": sink.url})
        assert desk.get("status")[1]["status"]["state"] == "live"
        assert not desk.controls.looks.watched


def test_closing_leaves_no_thread_and_no_connection(desk: Any) -> None:
    before = set(threading.enumerate())
    page = Page(desk.socket)
    with WebServer("127.0.0.1", 0, new_secret(), page.gets, page.posts) as desk.server:
        response = desk.asking("pictures")
        stream = response.__enter__()
        next(moments(stream))
    response.__exit__(None, None, None)
    while desk.controls.looks.watched:
        threading.Event().wait(0.01)
    assert {thread for thread in set(threading.enumerate()) - before if thread.name != "control-client"} == set()
