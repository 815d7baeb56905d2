"""bgcamd as it is, in this process, on a fake kernel and fake networks: a camera that has the next frame at once.

Only three things are not the real ones: who answers the system calls of cameras and virtual cameras, what a network
answers, and the clock of the camera, which is as fast as the loop.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bgcamd import __main__ as program
from bgcamd.canvas.host import HostCanvas
from bgcamd.effort import Governor
from bgcamd.errors import ControlError, DeviceError, ModelError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.matting.fake import FakeEngine
from bgcamd.pipeline import Pipeline
from bgcamd.service.client import Client
from bgcamd.service.model import Model
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback
from bgcamd.video.v4l2.kernel import LINUX, Argument, Kernel

SIZE = Size(64, 48)
MODELS = ("auto", "second", "third")
_STALLED_S = 0.005  # after so long without a picture written, the camera sends one all the same
_PATIENCE_S = 30.0


class Camera(FakeCamera):
    """Sends pictures of noise with somebody in it, in one of the formats that there are."""

    FORMATS = (PixelFormat.YUYV, PixelFormat.NV12, PixelFormat.MJPG)

    def __init__(self, format: PixelFormat, node: str) -> None:  # noqa: A002 - the field's standard name
        super().__init__({format: {SIZE: [30]}}, node=node, name="Soaked Camera", bus="usb-soak-1")
        self.pictures = itertools.cycle([_sent(format, number) for number in range(24)])

    def send(self) -> None:
        """The next picture, as soon as there is a buffer for it."""
        self.feed(next(self.pictures))

    def mmap(self, length: int, offset: int) -> Any:
        mapped = super().mmap(length, offset)
        del self.mappings[:-8]  # it remembers all that there ever were
        return mapped


class Output(FakeLoopback):
    """Keeps nothing, counts, and has the camera send the next picture."""

    def __init__(self, written: Callable[[], None]) -> None:
        super().__init__()
        self._written = written

    def write(self, fd: int, data: bytes) -> int:
        taken = super().write(fd, data)
        self.written.clear()
        self._written()
        return taken

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        self.requests.clear()
        super().ioctl(fd, request, argument)


class Networks:
    """In place of ``networks.Networks``. engine: of the model that was opened last. frames: that went through all."""

    gpu = None

    def __init__(self, size: Size) -> None:
        self._size, self.frames = size, 0
        self.engine = FakeEngine()

    def open(self, name: str) -> Model:
        """A model of ``MODELS``."""
        if name not in MODELS:
            raise ModelError(f"unknown model {name!r}")
        self.engine = engine = FakeEngine(follows=name == "second", foreground=name == "third")
        pipeline = _Counted(self, HostCanvas(self._size), engine, governor=Governor("medium"))
        return Model(name, pipeline, "a soak", close=lambda: engine.__exit__(None, None, None))

    def rescue(self, model: Model, error: DeviceError) -> Model:
        """Another one."""
        return self.open(model.name)


class _Counted(Pipeline):
    def __init__(self, networks: Networks, *parts: Any, **others: Any) -> None:
        super().__init__(*parts, **others)
        self._networks = networks

    def run(self, *given: Any, **others: Any) -> Frame:
        done = super().run(*given, **others)
        self._networks.frames += 1
        return done


class House:
    """The machine and the daemon on it. Everything but ``run`` is for other threads than the daemon's."""

    def __init__(self, home: Path) -> None:
        self.home, self.socket = home, home / "bgcamd.sock"
        self.formats = itertools.cycle(Camera.FORMATS)
        self.camera = Camera(next(self.formats), "/dev/video0")
        self.output = Output(self._written)
        self.kernel = FakeKernel(self.camera, self.output)
        self.networks = Networks(SIZE)
        self._seen, self._last_ns, self._ended = 0, 0, threading.Event()

    def _written(self) -> None:
        self._seen, self._last_ns = self._seen + 1, time.monotonic_ns()
        self.camera.send()

    @property
    def frames(self) -> int:
        """How many of the camera's went through a network, or past it."""
        return self.networks.frames

    def run(self) -> None:
        """The daemon, until it is told to stop."""
        self.output.read_by(1)
        with ExitStack() as stack:
            stack.enter_context(_patched(self))
            stack.enter_context(self._started())
            words = ("--camera", "/dev/video0", "--size", SIZE, "--linger", "0.05", "--output", "loopback:")
            program.main.main([*map(str, words), "--socket", str(self.socket)], standalone_mode=False)

    @contextmanager
    def _started(self) -> Iterator[None]:
        """A camera does not wait for who is to see its pictures."""

        def pump() -> None:
            while not self._ended.wait(_STALLED_S):
                if time.monotonic_ns() - self._last_ns > _STALLED_S * 1e9:
                    self.camera.send()

        thread = threading.Thread(target=pump, name="pump")
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def replug(self) -> None:
        """Pull the camera's plug; put it in again, maybe under another number, in another format."""
        self.camera.unplug()
        self.until("waiting")
        del self.kernel.devices[self.camera.node]
        node = "/dev/video2" if self.camera.node == "/dev/video0" else "/dev/video0"
        self.camera = Camera(next(self.formats), node)
        self.kernel.plug(self.camera)

    def reload(self) -> None:
        """Take the virtual camera away, and give another."""
        self.output.unplug()
        self.output = Output(self._written)
        self.output.read_by(1)
        time.sleep(0.05)
        self.kernel.plug(self.output)

    def client(self) -> Client:
        """A new connection."""
        return Client(self.socket)

    def ask(self, method: str, fds: tuple[int, ...] = (), **parameters: object) -> dict[str, Any]:
        """One call on a connection of its own, as ``bgcam`` makes it; again while all places are taken."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with self.client() as client:
                    reply, came = client.call(f"org.bgcam.{method}", parameters, fds, timeout_s=_PATIENCE_S)
                    came.close()
                    return reply
            except ControlError as error:
                if "connected already" not in error.message or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def status(self) -> dict[str, Any]:
        """What ``bgcam status`` would say."""
        found: dict[str, Any] = self.ask("GetStatus")["status"]
        return found

    def calm(self) -> None:
        """Everything as it was at first, and everybody gone: what is held then can be compared."""
        self.ask("Set", model=MODELS[0], color="#00b140", mirror=False, fit="cover")
        self.ask("Set", feather=0, shift=0, smooth=90, light_wrap=0)
        self.until("live")
        self.until_seen()
        deadline = time.monotonic() + _PATIENCE_S
        while any(thread.name == "control-client" for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "clients that have left are still served"
            time.sleep(0.05)

    def until(self, state: str) -> None:
        """Wait for the daemon to be in a state. Raises AssertionError where it never is."""
        deadline = time.monotonic() + _PATIENCE_S
        while (status := self.status())["state"] != state:
            assert time.monotonic() < deadline, f"never {state}: {status}"
            time.sleep(0.01)

    def until_seen(self, count: int = 10) -> None:
        """Wait until so many more frames were worked on, and so many more pictures written, frames or cards."""
        frames, seen, deadline = self.frames + count, self._seen + count, time.monotonic() + _PATIENCE_S
        while self.frames < frames or self._seen < seen:
            assert time.monotonic() < deadline, "the picture stands still"
            time.sleep(0.005)

    def stop(self) -> None:
        """End the daemon as a signal would, so that it ends whatever clients are told."""
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _patched(house: House) -> Iterator[None]:
    """The fake kernel in the real one's place, by its methods: it is the default of many a function."""
    calls = [name for name in vars(Kernel) if not name.startswith("_")]
    vars(LINUX).update({name: getattr(house.kernel, name) for name in calls})
    real, program.Networks = program.Networks, lambda *_: house.networks  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        program.Networks = real  # type: ignore[misc]
        for name in calls:
            del vars(LINUX)[name]


def _sent(format: PixelFormat, number: int) -> bytes:  # noqa: A002
    """A picture as a camera of that format sends it."""
    luma = np.random.default_rng(number).integers(16, 90, (SIZE.height, SIZE.width), np.uint8)
    cv2.circle(luma, (16 + number, 28), 12, 230, -1)
    if format is PixelFormat.MJPG:
        return cv2.imencode(".jpg", cv2.merge([luma] * 3))[1].tobytes()
    if format is PixelFormat.NV12:
        return luma.tobytes() + bytes([128]) * (luma.size // 2)
    packed = np.full((*luma.shape, 2), 128, np.uint8)
    packed[..., 0] = luma
    return packed.tobytes()
