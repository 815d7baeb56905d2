"""The capture thread: what it hands on."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live import capture as capture_module
from bgcamd.live.capture import Capture, CaptureState
from bgcamd.video.mailbox import Latest

MS = 1_000_000


class Clip:
    """60 frames a second by their times, given as fast as they are asked for; then silence."""

    name, size, rate = "clip", Size(2, 2), Fraction(60)

    def __init__(self) -> None:
        self.given = self.released = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self, timeout_s: float) -> Frame | None:
        if self.given == 60:
            time.sleep(timeout_s)
            return None
        self.given += 1
        plane = np.zeros((2, 2), np.uint8)
        time_ns = 5 * MS + self.given * 1000 * MS // 60
        return Frame((plane,), PixelFormat.GREY, self.size, captured_ns=time_ns, release=self._back)

    def _back(self) -> None:
        self.released += 1


class Kept(Latest[Frame]):
    """A mailbox that remembers when what it was given was captured."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[int] = []

    def put(self, item: Frame) -> None:
        self.times.append(item.captured_ns)
        super().put(item)


def test_frames_that_come_faster_than_asked_for_are_left_out() -> None:
    clip, mailbox = Clip(), Kept()
    with mailbox, Capture(lambda: clip, mailbox, Fraction(15)) as capture:
        capture.want(True)
        while clip.given < 60:
            time.sleep(0.01)
    assert len(mailbox.times) == 15
    assert set(np.diff(mailbox.times) // MS) <= {66, 67}
    assert clip.released == 60


def test_the_camera_is_not_even_opened_before_it_is_wanted() -> None:
    opened: list[Clip] = []

    def open_it() -> Clip:
        opened.append(Clip())
        return opened[-1]

    with Kept() as mailbox, Capture(open_it, mailbox) as capture:
        time.sleep(0.1)
        assert opened == []
        capture.want(True)
        while not mailbox.times:
            time.sleep(0.01)


class Page(Clip):
    """A source that somebody else has to begin."""

    awaited = ("no browser sends", "open the page")

    def __init__(self) -> None:
        super().__init__()
        self.given, self.opened = 60, 0

    def __enter__(self) -> Self:
        self.opened += 1
        return self


def test_a_source_that_somebody_else_begins_is_waited_for_and_not_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "_READ_S", 0.01)
    monkeypatch.setattr(capture_module, "_HUNG_S", 0.05)
    page, mailbox = Page(), Kept()
    with mailbox, Capture(lambda: page, mailbox) as capture:
        capture.want(True)
        until(lambda: capture.state == CaptureState("waiting", "clip", why="no browser sends", hint="open the page"))
        page.given = 0
        until(lambda: capture.state.state == "live")
        assert capture.state.why == ""
        until(lambda: capture.state.state == "waiting")
    assert page.opened == 1
    assert len(mailbox.times) == 60


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.001)
