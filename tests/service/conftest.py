"""A daemon that only remembers what it was told, served on a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bgcamd.decoding import work
from bgcamd.errors import InputError
from bgcamd.frame import Size
from bgcamd.live.looks import Looks
from bgcamd.scene import Clip, Picture, Scene
from bgcamd.service.backgrounds import Backgrounds
from bgcamd.service.client import Client
from bgcamd.service.control import Control
from bgcamd.service.dispatch import Service
from bgcamd.service.gallery import Gallery
from bgcamd.service.listen import listen
from bgcamd.service.server import Server
from bgcamd.service.state import scene_to_dict


class FakeControls:
    """Implements ``Controls``; raises ``error`` where one is set."""

    def __init__(self) -> None:
        self.live = Scene()
        self.model = "selfie"
        self.error: Exception | None = None
        self.done: list[str] = []
        self.stopped = threading.Event()
        self.looks = Looks(Size(64, 48))
        self._applying = threading.Lock()

    @property
    def scene(self) -> Scene:
        return self.live

    def status(self) -> dict[str, object]:
        return {"version": "0", "state": "live", "camera": "fake", "output": "nowhere", "model": self.model,
                "engine": "none", "why": "a test", "fps": None, "stages": {}, "age_ms": {"p50": None, "p95": None},
                "dropped": 0, "scene": scene_to_dict(self.live)}  # fmt: skip

    def apply(self, scene: Scene, model: str | None) -> None:
        assert self._applying.acquire(blocking=False), "two changes at once"
        try:
            self._fail()
            self.live, self.model = scene, model or self.model
        finally:
            self._applying.release()

    def pause(self, text: str = "", picture: Path | None = None, *, freeze: bool = False) -> None:
        self._fail()
        if picture is not None:
            text = f"picture {picture.read_bytes()!r}"
        self.done.append(" ".join(filter(None, ["pause", text, "freeze" if freeze else ""])))

    def resume(self) -> None:
        self.done.append("resume")

    def snapshot(self) -> bytes:
        self._fail()
        return b"\x89PNG" + bytes(200_000)

    def stop(self) -> None:
        self.stopped.set()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def kind(path: Path, name: str) -> Picture | Clip:
    """Files that begin with "PIC" are pictures, with "CLIP" clips."""
    content = path.read_bytes()
    if content.startswith(b"PIC"):
        return Picture(path, name)
    if content.startswith(b"CLIP"):
        return Clip(path, name)
    raise InputError(f"{path} is no picture", "give a JPEG")


@dataclass
class Daemon:
    """What the tests need to know of the served fake. folder: the user's, which is not there yet."""

    socket: Path
    state: Path
    folder: Path
    controls: FakeControls = field(default_factory=FakeControls)
    control: Control = field(init=False)

    def client(self) -> Client:
        return Client(self.socket)

    def backgrounds(self) -> list[str]:
        """The pictures that are kept."""
        return sorted(path.name for path in (self.state / "backgrounds").glob("*") if path.name != "names.json")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A fake daemon that answers on a socket."""
    served = Daemon(tmp_path / "s.sock", tmp_path / "state", tmp_path / "mine")
    gallery = Gallery(Backgrounds(served.state / "backgrounds", kind), (served.folder,), kind, work.small)
    served.control = control = Control(served.controls, gallery, served.state / "scene.json")
    with listen(served.socket) as listener, Server(listener, Service([control.interface]), idle_s=5):
        yield served


@pytest.fixture
def open_fds() -> Callable[[], int]:
    """Counts this process's file descriptors."""
    return lambda: len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], bool]:
    """Waits for a condition: True as soon as it holds, False where it does not within 5 s."""

    def wait(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 5
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return wait
