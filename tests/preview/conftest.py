"""A page for a daemon whose camera is grey and whose picture is white; the daemon only remembers what it was told."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from PIL import Image

from bgcamd.canvas.background import Plate
from bgcamd.decoding import work
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.live.looks import Looks
from bgcamd.prepare import background_of, prepare
from bgcamd.preview.page import Page
from bgcamd.scene import Scene
from bgcamd.service.backgrounds import Backgrounds
from bgcamd.service.control import Control
from bgcamd.service.dispatch import Service
from bgcamd.service.gallery import Gallery
from bgcamd.service.listen import listen
from bgcamd.service.server import Server
from bgcamd.service.state import scene_to_dict
from bgcamd.web.server import WebServer

SIZE = Size(64, 48)
SECRET = "0123456789abcdefghijkl"
ROOM, SHOWN = 100, 235


class FakeControls:
    """Implements ``control.Controls``, but for what no page asks for."""

    def __init__(self) -> None:
        self.scene, self.paused, self.looks = Scene(), False, Looks(SIZE)

    def status(self) -> dict[str, object]:
        return {"state": "paused" if self.paused else "live", "scene": scene_to_dict(self.scene), "problems": []}

    def apply(self, scene: Scene, model: str | None) -> None:
        prepare(scene, Plate(SIZE, PixelFormat.I420, BT601)).close()
        self.scene = scene

    def pause(self, *_: object, **__: object) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def play(self, done: threading.Event) -> None:
        """Show picture after picture, as the loop does."""
        while not done.wait(0.005):
            if self.looks.before is not None:
                self.looks.before(grey(ROOM))
            self.looks.shown(grey(SHOWN), live=not self.paused)


def grey(luma: int) -> Frame:
    chroma = np.full((SIZE.height // 2, SIZE.width // 2), 128, np.uint8)
    return Frame((np.full((SIZE.height, SIZE.width), luma, np.uint8), chroma, chroma), PixelFormat.I420, SIZE)


@dataclass
class Desk:
    """The daemon, its page, and who asks it. folder: of the user's backgrounds."""

    socket: Path
    folder: Path
    state: Path
    controls: FakeControls = field(default_factory=FakeControls)
    server: WebServer = field(init=False)

    @contextmanager
    def asking(
        self, path: str, body: bytes | None = None, method: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        url = urlsplit(self.server.url)
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)) as connection:
            connection.request(method or ("GET" if body is None else "POST"), url.path + path, body)
            with connection.getresponse() as response:
                yield response

    def get(self, path: str) -> tuple[int, Any]:
        """A path's status and, where it is JSON, what it says."""
        with self.asking(path) as response:
            return response.status, _read(response)

    def post(self, path: str, content: object = None) -> tuple[int, Any]:
        """The same of what is posted: bytes, or what becomes JSON."""
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        with self.asking(path, body) as response:
            return response.status, _read(response)

    def drop(self, name: str, content: bytes) -> tuple[int, Any]:
        """Drop a file on the page."""
        return self.post(f"replace?name={quote(name)}", content)


def _read(response: http.client.HTTPResponse) -> Any:
    body = response.read()
    return json.loads(body) if response.headers["Content-Type"] == "application/json" else body


@contextmanager
def serving(desk: Desk) -> Iterator[None]:
    """The daemon, while the block lasts."""
    sent = Backgrounds(desk.state / "backgrounds", background_of)
    gallery = Gallery(sent, (desk.folder,), background_of, work.small)
    control = Control(desk.controls, gallery, desk.state / "scene.json")  # type: ignore[arg-type]
    done = threading.Event()
    player = threading.Thread(target=desk.controls.play, args=(done,))
    with listen(desk.socket) as listener, Server(listener, Service([control.interface])):
        player.start()
        try:
            yield
        finally:
            done.set()
            player.join()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A daemon and its page. The user's folder holds beach.png, which is red."""
    it = Desk(tmp_path / "s.sock", tmp_path / "mine", tmp_path / "state")
    it.folder.mkdir()
    Image.new("RGB", (32, 18), (255, 0, 0)).save(it.folder / "beach.png")
    page = Page(it.socket)
    with WebServer("127.0.0.1", 0, SECRET, page.gets, page.posts) as it.server, serving(it):
        yield it


@pytest.fixture
def serve() -> Any:
    """``serving``, for a daemon that comes back."""
    return serving
