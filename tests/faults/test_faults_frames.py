"""Frames that are not what they are said to be, and outputs and cameras that fail in ways of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from fault_house import House
from fault_room import SIZE

from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.canvas.host import HostCanvas
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import SourceError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.live import outputs as outputs_module
from bgcamd.live.capture import Capture
from bgcamd.live.outputs import OutputPlan, Outputs
from bgcamd.live.understudy import Stopwatch, Understudy
from bgcamd.protocols import Command
from bgcamd.video.mailbox import Latest


def zeros(*shapes: tuple[int, ...]) -> tuple[Plane, ...]:
    return tuple(np.zeros(shape, np.uint8) for shape in shapes)


SHORT = [
    (PixelFormat.YUYV, zeros((90, 128, 2))),
    (PixelFormat.YUYV, zeros((96, 64, 2))),
    (PixelFormat.NV12, zeros((96, 128), (40, 64, 2))),
    (PixelFormat.NV12, zeros((96, 128))),
    (PixelFormat.I420, zeros((96, 128), (48, 64), (48, 32))),
    (PixelFormat.RGB24, zeros((96, 100, 3))),
    (PixelFormat.GREY, zeros((48, 128))),
]
NAMES = [f"{format.name}-{planes[-1].shape}" for format, planes in SHORT]  # noqa: A001


@pytest.mark.parametrize(("format", "planes"), SHORT, ids=NAMES)
def test_planes_that_are_shorter_than_said_are_a_damaged_frame_which_is_given_back(
    format: PixelFormat,  # noqa: A002
    planes: tuple[Plane, ...],
) -> None:
    released: list[bool] = []
    with pytest.raises(SourceError, match="128x96"):
        HostCanvas(SIZE).take(Frame(planes, format, SIZE, release=lambda: released.append(True)))
    assert released == [True]


@pytest.mark.parametrize(("format", "planes"), SHORT[:5], ids=NAMES[:5])
def test_the_same_on_a_gpu(gpu: Gpu, format: PixelFormat, planes: tuple[Plane, ...]) -> None:  # noqa: A002
    released: list[bool] = []
    with CudaCanvas(gpu, SIZE) as canvas, pytest.raises(SourceError, match="128x96"):
        canvas.take(Frame(planes, format, SIZE, release=lambda: released.append(True)))
    assert released == [True]


class Sink:
    """Breaks where it is told to, with a bug."""

    name = "sink"

    def __init__(self, place: str) -> None:
        self.place, self.written = place, 0

    def _reached(self, place: str) -> None:
        if place == self.place:
            raise ZeroDivisionError(place)

    def open(self) -> Self:
        self._reached("open")
        return self

    def __enter__(self) -> Self:
        self._reached("enter")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reached("exit")

    def write(self, frame: Frame) -> None:
        self.written += 1
        self._reached("write")
        if self.place == "exit":
            raise SourceError("so that it is closed")

    def commands(self) -> list[Command]:
        self._reached("commands")
        return []


@pytest.mark.parametrize("place", ["open", "enter", "write", "commands", "exit"])
def test_a_bug_anywhere_in_an_output_leaves_the_others_on_air(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(outputs_module.time, "monotonic", lambda: now[0])
    bad, good = Sink(place), Sink("nowhere")
    with Outputs([OutputPlan("bad", bad.open), OutputPlan("good", good.open)]) as outputs:
        for _ in range(5):
            outputs.write(Frame(zeros((2, 2)), PixelFormat.GREY, Size(2, 2)))
            outputs.commands()
        assert [name for name, _ in outputs.problems] == ["bad"]
        bad.place = "nowhere"
        now[0] += 2.1
        outputs.write(Frame(zeros((2, 2)), PixelFormat.GREY, Size(2, 2)))
        assert outputs.problems == []
    assert good.written == 6


class Stamped:
    """A camera whose clock goes back by an hour, once."""

    name, size, rate = "stamped", Size(2, 2), Fraction(30)

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self, timeout_s: float) -> Frame | None:
        time.sleep(0.001)
        self.number += 1
        taken_ns = self.number * 100_000_000 + (0 if self.number > 5 else 3600 * 10**9)
        return Frame(zeros((2, 2)), PixelFormat.GREY, self.size, captured_ns=taken_ns, sequence=self.number)


def test_a_camera_whose_clock_goes_back_is_not_waited_for() -> None:
    newest = 0
    with Latest[Frame]() as mailbox, Capture(Stamped, mailbox, Fraction(15)) as capture:
        capture.want(True)
        deadline = time.monotonic() + 10
        while newest < 10 and time.monotonic() < deadline:
            if (frame := mailbox.get(0.1)) is not None:
                newest = frame.sequence
    assert newest >= 10


def test_an_understudy_that_stumbles_tries_again() -> None:
    tries: list[int] = []

    def stand_in() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise MemoryError

    watch = Stopwatch(0.01)
    with Understudy(watch, stand_in), watch:
        deadline = time.monotonic() + 10
        while len(tries) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
    assert len(tries) >= 4


@pytest.mark.parametrize("act", [lambda house: house.ask("Pause"), lambda house: house.ask("Set", color="#707070")])
def test_what_a_client_is_told_is_on_air(house: House, act: Callable[[House], Any]) -> None:
    act(house)
    last = house.written[-1].planes
    assert house.written[-1].card or abs(int(last[0][4, 4]) - 112) < 4
