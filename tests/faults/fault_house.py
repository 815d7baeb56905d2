"""bgcamd whole, in this process, on a fake kernel: its camera films a room that nobody may see, all it writes is kept.

Everything is the program's own, from ``run`` to the last system call; only the kernel that answers is fake, and the
network, which knows the person by their being white. A page looks at what viewers see, too, as `bgcam preview` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import cv2
import numpy as np
import pytest
from fault_room import SIZE, is_card, is_live, sent, trace
from numpy.typing import NDArray

from bgcamd import __main__ as program
from bgcamd.canvas.host import HostCanvas
from bgcamd.effort import Governor, Quality
from bgcamd.errors import DeviceError, ModelError
from bgcamd.frame import Matte, PixelFormat, Plane, Size
from bgcamd.live import capture, loop, outputs
from bgcamd.live.loop import LiveLoop
from bgcamd.matting.fake import FakeEngine, Fault
from bgcamd.pipeline import Pipeline
from bgcamd.service.client import Client
from bgcamd.service.daemon import Daemon
from bgcamd.service.model import Model
from bgcamd.settings import SceneChange, load_settings
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel, FakeLoopback
from bgcamd.video.v4l2.kernel import LINUX

PATIENCE_S = 20.0
RATE = 30
BRISK = 4
"""In tests everything that waits does so for a quarter of the time, and the camera is four times as fast."""
HIDING = "#595959"

Maker = Callable[[str], Model]


class Written(NamedTuple):
    """A picture that was written. number: of the camera's newest frame then. at: when, s."""

    number: int
    at: float
    data: bytes

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Y, U, V."""
        return _i420(np.frombuffer(self.data, np.uint8))

    @property
    def card(self) -> bool:
        return is_card(self.planes)

    @property
    def live(self) -> bool:
        return is_live(self.planes)


class Output(FakeLoopback):
    """Keeps every picture, and of which of the camera's frames it may be."""

    def __init__(self, house: House, **given: Any) -> None:
        super().__init__(**given)
        self._house = house
        self.read_by(1)

    def write(self, fd: int, data: bytes) -> int:
        taken = super().write(fd, data)
        self._house.took(data)
        self.written.clear()
        return taken


class White(FakeEngine):
    """A network whose person is what is white.

    changes: what else it does to its answer, or None. failed_at: how many pictures had been written when it failed.
    """

    def __init__(self, house: House) -> None:
        super().__init__(Size(64, 48))
        self._house = house
        self.changes: Callable[[Matte], Matte] | None = None
        self.failed_at: int | None = None

    def infer(self, tensor: NDArray[np.float32]) -> Matte:
        least = np.clip(tensor.min(axis=1, keepdims=True) * 4 - 2, 0, 1)
        matte = super().infer(np.broadcast_to(least, tensor.shape))
        if (changes := self.changes) is None:
            return matte
        self._note()
        return changes(matte)

    def _fail(self, fault: Fault) -> None:
        self._note()
        super()._fail(fault)

    def _note(self) -> None:
        if self.failed_at is None:
            self.failed_at = len(self._house.written)
        self._house.struck()


class Networks:
    """In place of ``networks.Networks``: the models "auto" and "second", until their files vanish."""

    gpu = None

    def __init__(self, house: House, quality: Quality) -> None:
        self._house, self._quality = house, quality
        self.vanished = False
        self.engine = White(house)

    def open(self, name: str) -> Model:
        """See ``networks.Networks``."""
        if name not in ("auto", "second") or self.vanished:
            raise ModelError(f"{name} is not there")
        self.engine = engine = White(self._house)
        pipeline = Pipeline(HostCanvas(SIZE), engine, governor=Governor(self._quality))
        return Model(name, pipeline, "a test", close=lambda: engine.__exit__(None, None, None))

    def rescue(self, model: Model, error: DeviceError) -> Model:
        """See ``networks.Networks``."""
        return self.open(model.name)


class House:
    """The machine and the daemon on it, from entering the context until it is left.

    Parameters
    ----------
    home: an empty folder.
    format: of the camera.
    pace: how much faster than usual everything is that waits.
    settings: besides the usual ones.
    networks: in place of the fake ones.
    page: whether somebody looks at the picture, before and after, as the preview's page does.
    """

    def __init__(
        self,
        home: Path,
        *,
        format: PixelFormat = PixelFormat.YUYV,  # noqa: A002 - the field's standard name
        pace: float = BRISK,
        settings: dict[str, object] | None = None,
        quality: Quality = "medium",
        networks: Any = None,
        page: bool = True,
    ) -> None:
        self.home, self.pace = home, pace
        self.socket = home / "bgcamd.sock"
        self.camera = self.new_camera(format=format)
        self.output = Output(self)
        self.kernel = FakeKernel(self.camera, self.output)
        self.networks = networks or Networks(self, quality)
        self.written: list[Written] = []
        self.seen: list[bytes] = []
        self.number, self.filming = 0, True
        self.struck_at: int | None = None  # the camera's newest frame when a fault came about that had been prepared
        self.spoils: Callable[[bytes], bytes] = lambda data: data
        self.polls: Callable[[], None] = lambda: None
        self.daemon: Daemon
        self._settings, self._page = settings or {}, page
        self._ended, self._ready = threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._crash: BaseException | None = None

    @staticmethod
    def new_camera(
        *,
        format: PixelFormat = PixelFormat.YUYV,  # noqa: A002
        size: Size = SIZE,
        **given: Any,
    ) -> FakeCamera:
        """The camera as it is when it has been plugged in."""
        return FakeCamera({format: {size: [RATE]}}, name="Room Camera", **given)

    def struck(self) -> None:
        """Say that a fault comes about now."""
        if self.struck_at is None:
            self.struck_at = self.number

    @property
    def engine(self) -> White:
        """The network that is in use."""
        return self.networks.engine

    @property
    def canvas(self) -> HostCanvas:
        """What works on the frames."""
        canvas = self.daemon.model.pipeline.canvas
        assert isinstance(canvas, HostCanvas)
        return canvas

    @property
    def loop(self) -> LiveLoop:
        """The live loop, to break things in it."""
        return self.daemon._loop

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._patched())
            threads = [threading.Thread(target=run) for run in (self._run, self._film, self._look)]
            stack.callback(self._end, threads)
            for thread in threads:
                thread.start()
            assert self._ready.wait(PATIENCE_S)
            assert self._crash is None, self._crash
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if self._crash is not None:
            raise self._crash

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        self._ended.set()
        if hasattr(self, "daemon"):
            self.daemon.stop()
        if isinstance(self.networks, Networks):
            self.engine.unstall.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _run(self) -> None:
        given = {"camera.address": "/dev/video0", "output.addresses": ("loopback:", "null:"), "scene.color": HIDING,
                 "control.socket": str(self.socket), "preview.folder": str(self.home / "mine")}  # fmt: skip
        try:
            settings = load_settings(None, {**given, **self._settings})
            program.run(settings, SceneChange(), instance="bgcamd", model_asked=False)
        except BaseException as error:
            self._crash = error
            self._ready.set()

    def _film(self) -> None:
        while not self._ended.wait(1 / RATE / self.pace):
            self.number += 1
            if self.filming and not self.camera.gone:
                self.shoot()

    def shoot(self) -> None:
        """Send the camera's picture of this moment."""
        ((format, sizes),) = self.camera.offer.items()  # noqa: A001
        (size,) = sizes
        self.camera.feed(self.spoils(sent(self.number, format, size)))

    def _look(self) -> None:
        """A page that shows the picture, before and after."""
        if not self._page or not self._ready.wait(PATIENCE_S) or self._crash is not None:
            return
        with self.daemon.looks.looking(before=True) as newest:
            while not self._ended.is_set():
                if (look := newest(0.1)) is not None:
                    self.seen.append(look.picture)

    def took(self, data: bytes) -> None:
        """Keep what the virtual camera got."""
        with self._changed:
            self.written.append(Written(self.number, time.perf_counter(), data))
            self._changed.notify_all()

    @contextmanager
    def _patched(self) -> Iterator[None]:
        """The fake kernel in the real one's place; less patience than usual."""
        calls = ("open", "close", "ioctl", "mmap", "write", "video_nodes")
        with pytest.MonkeyPatch.context() as patch:
            for name in calls:
                patch.setitem(vars(LINUX), name, getattr(self.kernel, name))
            patch.setitem(vars(LINUX), "poll", self._poll)
            patch.setattr(program, "Networks", lambda *_: self.networks)
            patch.setattr(program, "_stop_on_signals", self._is_ready)
            patch.setattr(program, "announce", lambda *_: None)
            patch.setenv("XDG_STATE_HOME", str(self.home / "state"))
            patch.setattr(program, "LiveLoop", partial(LiveLoop, stalled_s=loop.STALLED_S / self.pace))
            for module, names in _WAITS.items():
                for name in names:
                    patch.setattr(module, name, getattr(module, name) / self.pace)
            yield

    def _is_ready(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._ready.set()

    def _poll(self, fds: Sequence[int], timeout_s: float) -> dict[int, int]:
        self.polls()
        return self.kernel.poll(fds, timeout_s)

    def ask(self, method: str, fds: tuple[int, ...] = (), **parameters: object) -> dict[str, Any]:
        """One call of org.bgcam. Raises what the client raises."""
        with Client(self.socket) as client:
            reply, came = client.call(f"org.bgcam.{method}", parameters, fds, timeout_s=PATIENCE_S)
            came.close()
            return reply

    def status(self) -> dict[str, Any]:
        """What ``bgcam status`` says."""
        found: dict[str, Any] = self.ask("GetStatus")["status"]
        return found

    def until(self, state: str, said: str = "") -> dict[str, Any]:
        """Wait for the state, and for a problem that holds these words; return the status."""
        deadline = time.perf_counter() + PATIENCE_S
        while (status := self.status())["state"] != state or said not in str(status["problems"]):
            assert self._crash is None, self._crash
            assert time.perf_counter() < deadline, f"never {state} {said}: {status}"
            time.sleep(0.01)
        return status

    def until_well(self) -> None:
        """Wait until it is live and nothing is wrong."""
        deadline = time.perf_counter() + PATIENCE_S
        while (status := self.until("live"))["problems"]:
            assert time.perf_counter() < deadline, status
            time.sleep(0.01)

    def see(self, wanted: Callable[[Written], bool], after: int | None = None) -> int:
        """Wait for a picture that is ``wanted``; return its place. after: not counting so many; None: all so far."""
        start = place = len(self.written) if after is None else after
        deadline = time.perf_counter() + PATIENCE_S
        while True:
            if self._there(place):
                if wanted(self.written[place]):
                    return place
                place += 1
            assert time.perf_counter() < deadline, f"{place - start} pictures, and none that was wanted"
            assert self._crash is None, self._crash

    def _there(self, place: int) -> bool:
        """Whether that many pictures have been written, now or soon."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.written) > place, 0.5)

    def live(self) -> int:
        """Wait for a live picture from now on."""
        return self.see(lambda picture: picture.live)

    def card(self) -> int:
        """Wait for a card from now on."""
        return self.see(lambda picture: picture.card)

    def traces(self, start: int = 0, end: int | None = None, *, blurred: bool = False) -> list[str]:
        """What there is of the room in the pictures that were written, each with its place."""
        found = enumerate(self.written[start:end], start)
        return [f"{place}: {what}" for place, each in found if (what := trace(each.planes, blurred=blurred))]

    def traces_in_page(self, *, blurred: bool = False) -> list[str]:
        """The same, in what the page was shown, which is JPEG."""
        shown = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in self.seen]
        planes = [_i420(cv2.cvtColor(each, cv2.COLOR_BGR2YUV_I420).reshape(-1)) for each in shown]
        return [what for each in planes if (what := trace(each, blurred=blurred))]

    def replug(self, **given: Any) -> None:
        """Plug the camera in again, as what ``new_camera`` takes."""
        self.kernel.devices.pop(self.camera.node, None)
        self.camera = self.new_camera(**given)
        self.kernel.plug(self.camera)


_WAITS = {
    capture: ("_READ_S", "_HUNG_S", "_STUCK_S", "_FIRST_DELAY_S", "_LONGEST_DELAY_S"),
    loop: ("_SILENCE_S",),
    outputs: ("_FIRST_DELAY_S", "_LONGEST_DELAY_S"),
}


def _i420(flat: Plane) -> tuple[Plane, ...]:
    width, height = SIZE
    luma, chroma = width * height, width * height // 4
    y, u, v = flat[:luma], flat[luma : luma + chroma], flat[luma + chroma :]
    return y.reshape(height, width), u.reshape(height // 2, -1), v.reshape(height // 2, -1)
