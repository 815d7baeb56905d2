"""Outputs that fail and come back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from bgcamd.errors import OutputError, SinkError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live import outputs as outputs_module
from bgcamd.live.outputs import OutputPlan, Outputs
from bgcamd.protocols import Command

FRAME = Frame((np.zeros((2, 2), np.uint8),), PixelFormat.GREY, Size(2, 2))


class Recorder:
    """A sink that remembers what happened to it."""

    name = "recorder"

    def __init__(self) -> None:
        self.log: list[str] = []
        self.broken: Exception | None = None

    def __enter__(self) -> Self:
        self.log.append("open")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.log.append("close")

    def write(self, frame: Frame) -> None:
        if self.broken:
            raise self.broken
        self.log.append("write")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the outputs see; a test moves it."""
    now = [100.0]
    monkeypatch.setattr(outputs_module.time, "monotonic", lambda: now[0])
    return now


def test_an_output_is_opened_once_and_closed_at_the_end() -> None:
    sink = Recorder()
    with Outputs([OutputPlan("x", lambda: sink)]) as outputs:
        outputs.write(FRAME)
        outputs.write(FRAME)
        assert outputs.names == ["recorder"]
    assert sink.log == ["open", "write", "write", "close"]


def test_a_failing_output_is_closed_tried_again_later_and_does_not_hurt_the_others(clock: list[float]) -> None:
    bad, good = Recorder(), Recorder()
    with Outputs([OutputPlan("bad", lambda: bad), OutputPlan("good", lambda: good)]) as outputs:
        outputs.write(FRAME)
        bad.broken = SinkError("gone", "plug it in")
        outputs.write(FRAME)
        assert [(name, error.message) for name, error in outputs.problems] == [("bad", "gone")]
        bad.broken = None
        outputs.write(FRAME)  # too early to try again
        clock[0] += 1.1
        outputs.write(FRAME)
        assert outputs.problems == []
    assert bad.log == ["open", "write", "close", "open", "write", "close"]
    assert good.log == ["open", *["write"] * 4, "close"]


def test_the_time_between_tries_grows_to_a_limit(clock: list[float]) -> None:
    tries: list[float] = []

    def missing() -> Recorder:
        tries.append(clock[0])
        raise SinkError("no such device")

    with Outputs([OutputPlan("missing", missing)]) as outputs:
        for _ in range(1000):
            outputs.write(FRAME)
            clock[0] += 0.1
    gaps = np.diff(tries).round(1)
    assert gaps[:4].tolist() == pytest.approx([1, 2, 4, 8], abs=0.2)
    assert gaps[4:].tolist() == pytest.approx([10.0] * len(gaps[4:]), abs=0.2)


def test_a_file_that_cannot_be_gone_on_with_is_completed_and_not_begun_again(clock: list[float]) -> None:
    file = Recorder()
    with Outputs([OutputPlan("clip.mp4", lambda: file)]) as outputs:
        outputs.write(FRAME)
        file.broken = OutputError("no space left on device")
        outputs.write(FRAME)
        file.broken = None
        clock[0] += 1000
        outputs.write(FRAME)
        assert [error.message for _, error in outputs.problems] == ["no space left on device"]
    assert file.log == ["open", "write", "close"]


def test_one_that_breaks_in_closing_does_not_keep_the_others_open() -> None:
    class Broken(Recorder):
        def __exit__(self, *_: object) -> None:
            raise RuntimeError("a bug")

    good = Recorder()
    outputs = Outputs([OutputPlan("good", lambda: good), OutputPlan("bad", Broken), OutputPlan("worse", Broken)])
    with pytest.raises(RuntimeError, match="a bug"), outputs:
        outputs.write(FRAME)
    assert good.log == ["open", "write", "close"]


def test_a_bug_in_one_output_is_told_and_does_not_take_the_others_down() -> None:
    bad, good = Recorder(), Recorder()
    with Outputs([OutputPlan("bad", lambda: bad), OutputPlan("good", lambda: good)]) as outputs:
        outputs.write(FRAME)
        bad.broken = ZeroDivisionError("a bug")
        outputs.write(FRAME)
        assert ["ZeroDivisionError" in error.message for _, error in outputs.problems] == [True]
    assert good.log == ["open", "write", "write", "close"]


class Window(Recorder):
    """A sink with keys."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[Command] = []

    def commands(self) -> Sequence[Command]:
        pressed, self.keys = self.keys, []
        return pressed


def test_what_viewers_ask_by_keys_is_passed_on_in_order() -> None:
    window = Window()
    with Outputs([OutputPlan("other", Recorder), OutputPlan("window", lambda: window)]) as outputs:
        outputs.write(FRAME)
        window.keys = [Command.MIRROR, Command.NEXT_BACKGROUND]
        assert outputs.commands() == [Command.MIRROR, Command.NEXT_BACKGROUND]
        assert outputs.commands() == []


def test_an_output_whose_viewer_quits_is_closed_for_good_and_the_others_go_on() -> None:
    window, other = Window(), Recorder()
    with Outputs([OutputPlan("window", lambda: window), OutputPlan("other", lambda: other)]) as outputs:
        outputs.write(FRAME)
        window.keys = [Command.QUIT]
        assert outputs.commands() == [Command.QUIT]
        outputs.write(FRAME)
        assert not outputs.ended
    assert window.log == ["open", "write", "close"]
    assert other.log == ["open", "write", "write", "close"]


def test_when_the_last_viewer_has_quit_all_is_over() -> None:
    window = Window()
    with Outputs([OutputPlan("window", lambda: window)]) as outputs:
        outputs.write(FRAME)
        assert not outputs.ended
        window.keys = [Command.QUIT]
        outputs.commands()
        assert outputs.ended


def test_a_picture_without_a_time_is_of_now_so_that_a_recording_begins_with_it() -> None:
    seen: list[int] = []

    class Clock(Recorder):
        def write(self, frame: Frame) -> None:
            seen.append(frame.captured_ns)

    before = time.monotonic_ns()
    with Outputs([OutputPlan("clock", Clock)]) as outputs:
        outputs.write(Frame((), PixelFormat.I420, Size(2, 2)))
        outputs.write(Frame((), PixelFormat.I420, Size(2, 2), captured_ns=7))
    assert before <= seen[0] <= time.monotonic_ns()
    assert seen[1] == 7
