"""The capture thread: what it hands on."""

from __future__ import annotations

import time
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live.capture import Capture
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
