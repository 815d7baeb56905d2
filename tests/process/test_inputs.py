"""Live inputs as frames in order, and clips at their own pace."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType

import numpy as np
import pytest

from bgcamd.errors import SourceError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.process.inputs import LiveReader, paced

SIZE = Size(4, 2)


def frame(captured_ns: int, sequence: int = 0) -> Frame:
    planes = tuple(np.zeros(shape, np.uint8) for shape in ((2, 4), (1, 2), (1, 2)))
    return Frame(planes, PixelFormat.I420, SIZE, captured_ns=captured_ns, sequence=sequence)


class Plug:
    """A camera that gives so many frames each time it is opened, then is lost."""

    name, size, rate = "plug", SIZE, Fraction(30)

    def __init__(self, frames: int) -> None:
        self._left = frames

    def read(self, timeout_s: float) -> Frame | None:
        time.sleep(0.002)  # as a camera, no faster than it is read here
        if not self._left:
            raise SourceError("unplugged", "plug it in")
        self._left -= 1
        return frame(time.monotonic_ns())

    def __enter__(self) -> Plug:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def reader_of(opened: Iterator[Plug], stopped: threading.Event, *, patient: bool = False) -> LiveReader:
    def open_source() -> Plug:
        plug = next(opened, None)
        if plug is None:
            raise SourceError("no such camera", "plug one in")
        return plug

    return LiveReader(open_source, name="plug", size=SIZE, rate=Fraction(30), stopped=stopped, patient=patient)


def test_a_camera_that_is_lost_is_opened_again_and_the_frames_go_on(caplog: pytest.LogCaptureFixture) -> None:
    stopped, numbers = threading.Event(), []
    with reader_of(iter([Plug(1), Plug(1), Plug(1)]), stopped) as reader:
        for given in reader:
            numbers.append(given.sequence)
            given.release()
            if len(numbers) == 3:
                stopped.set()
    assert numbers == [0, 1, 2]
    assert "unplugged" in caplog.text


def test_a_camera_that_never_was_there_is_an_error_at_once() -> None:
    with reader_of(iter(()), threading.Event()) as reader, pytest.raises(SourceError, match="no such camera") as caught:
        next(iter(reader))
    assert caught.value.hint == "plug one in"


def test_an_input_that_others_have_to_begin_is_waited_for() -> None:
    stopped = threading.Event()
    threading.Timer(0.6, stopped.set).start()
    with reader_of(iter(()), stopped, patient=True) as reader:
        assert list(reader) == []


class Clip:
    """Frames at given times, which tell whether they were released."""

    name, size, count, rate = "clip", SIZE, None, Fraction(25)

    def __init__(self, times_ms: list[int]) -> None:
        self._frames = [frame(ms * 1_000_000, number) for number, ms in enumerate(times_ms)]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def test_a_clip_is_given_no_faster_than_it_plays_and_in_order() -> None:
    start = time.monotonic_ns()
    given = [
        (each.sequence, time.monotonic_ns() - start)
        for each in paced(Clip([0, 40, 120, 160]), skip=False, stopped=threading.Event())
    ]
    assert [sequence for sequence, _ in given] == [0, 1, 2, 3]
    assert all(at >= wanted * 1_000_000 for (_, at), wanted in zip(given, [0, 40, 120, 160], strict=True))


@pytest.mark.parametrize(("skip", "second"), [(True, 11), (False, 1)])
def test_who_is_late_skips_frames_only_where_nobody_needs_them_all(skip: bool, second: int) -> None:
    frames = paced(Clip([*range(0, 44, 4), 900]), skip=skip, stopped=threading.Event())
    assert next(frames).sequence == 0
    time.sleep(0.5)  # until then ten more were due, none of them less than two of the clip's 40 ms ago
    assert next(frames).sequence == second


def test_times_that_leap_or_stand_still_are_replaced_by_the_rate() -> None:
    start = time.monotonic_ns()
    due = [
        each.captured_ns - start for each in paced(Clip([0, 0, 999_999_999, 20]), skip=False, stopped=threading.Event())
    ]
    steps = [round((after - before) / 1e6) for before, after in itertools.pairwise(due)]
    assert steps == [40, 40, 40]


def test_pacing_ends_when_it_is_told() -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    assert [each.sequence for each in paced(Clip([0, 50_000]), skip=False, stopped=stopped)] == [0]
