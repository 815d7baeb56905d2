"""A live loop on a fake camera, a fake network and an output that remembers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from bgcamd.canvas.background import Plate, Still
from bgcamd.canvas.card import Cards
from bgcamd.canvas.host import HostCanvas
from bgcamd.errors import SourceError
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.live.capture import Capture
from bgcamd.live.demand import Demand
from bgcamd.live.looks import Looks
from bgcamd.live.loop import LiveLoop
from bgcamd.live.outputs import OutputPlan, Outputs
from bgcamd.matting.fake import FakeEngine
from bgcamd.pipeline import Pipeline
from bgcamd.scene import Colour, PreparedScene, Scene
from bgcamd.video.mailbox import Latest

SIZE = Size(64, 48)
PLATE = Plate(SIZE, PixelFormat.I420, BT601)
STALLED_S = 0.2
PERSON, GREEN = 235, 112
"""Y of a frame that is all person (white, as the fake network knows it), and of the background."""


class Camera:
    """A source of grey frames, as fast as they are read; it can be unplugged, go silent, or be missing."""

    name, size, rate = "fake camera", SIZE, Fraction(200)

    def __init__(self) -> None:
        self.luma, self.missing, self.silent, self.opened, self.closed, self.out = PERSON, False, False, 0, 0, 0

    def open(self) -> Self:
        if self.missing:
            raise SourceError("no camera at /dev/video9", "plug it in")
        self.opened += 1
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed += 1

    def read(self, timeout_s: float) -> Frame | None:
        time.sleep(timeout_s if self.silent else 0.005)
        if self.missing:
            raise SourceError("the camera was unplugged", "plug it in again")
        if self.silent:
            return None
        self.out += 1
        y, c = np.full((48, 64), self.luma, np.uint8), np.full((24, 32), 128, np.uint8)
        return Frame((y, c, c), PixelFormat.I420, SIZE, captured_ns=time.monotonic_ns(), release=self._back)

    def _back(self) -> None:
        self.out -= 1


class Screen:
    """An output that remembers the mean luma of every frame; a card is neither room, person nor green."""

    name = "screen"

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.watched = True
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write(self, frame: Frame) -> None:
        with self._changed:
            self.seen.append(round(float(frame.planes[0].mean())))
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[int], bool], after: int = 0) -> None:
        """Until a frame that is ``wanted`` has been seen, not counting the first ``after``."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(wanted, self.seen[after:])), 10), self.seen[-20:]


class Live:
    """Everything that runs, in threads of its own; and what the luma of a frame means."""

    def __init__(self, linger_s: float | None) -> None:
        self.camera, self.screen, self.engine = Camera(), Screen(), FakeEngine()
        self.canvas = HostCanvas(SIZE)
        self.outputs = Outputs([OutputPlan("screen", lambda: self.screen)])
        self.mailbox: Latest[Frame] = Latest()
        self.capture = Capture(self.camera.open, self.mailbox)
        self.looks = Looks(SIZE)
        self.demand = Demand(lambda: self.screen.watched or self.looks.watched, linger_s)
        self.loop = LiveLoop(
            capture=self.capture,
            mailbox=self.mailbox,
            outputs=self.outputs,
            pipeline=Pipeline(self.canvas, self.engine),
            scene=PreparedScene(Scene(Colour()), Still(PLATE.solid((0, 177, 64)))),
            demand=self.demand,
            looks=self.looks,
            stalled_s=STALLED_S,
            draw_card=Cards(PLATE).frame,
        )
        self.raised: BaseException | None = None

    @staticmethod
    def is_person(luma: int) -> bool:
        return abs(luma - PERSON) < 4

    @staticmethod
    def is_card(luma: int) -> bool:
        """A card is dark, with a little writing."""
        return luma < 60

    @staticmethod
    def is_background(luma: int) -> bool:
        return abs(luma - GREEN) < 4

    def capture_off(self) -> None:
        """Wait until the camera is closed."""
        deadline = time.monotonic() + 10
        while self.camera.closed < self.camera.opened:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def run(self) -> None:
        try:
            self.loop.run()
        except BaseException as error:
            self.raised = error


@pytest.fixture
def linger_s() -> float | None:
    """How long the camera stays on unwatched; always, unless a test says otherwise."""
    return None


@pytest.fixture
def live(linger_s: float | None) -> Iterator[Live]:
    """A live loop that runs until the test ends; all threads are gone then."""
    it = Live(linger_s)
    before = threading.active_count()
    with ExitStack() as stack:
        stack.enter_context(it.outputs)
        stack.enter_context(it.mailbox)
        stack.enter_context(it.capture)
        worker = threading.Thread(target=it.run)
        worker.start()
        try:
            yield it
        finally:
            it.loop.stop()
            it.engine.unstall.set()
            worker.join(10)
    assert threading.active_count() == before
