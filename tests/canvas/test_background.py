"""Backgrounds made ready: pictures, and clips that keep step with the frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from bgcamd.canvas.background import Plate
from bgcamd.canvas.moving import Moving
from bgcamd.errors import InputError
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.scene import Fit

PLATE = Plate(Size(16, 8), PixelFormat.RGBP, BT601)
STEP_NS = 40_000_000


class Greys:
    """A clip of plain grey frames, 25 a second; frame n has the value 10 * (n + 1)."""

    rate, size = Fraction(25), Size(16, 8)

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        for n in range(self.count):
            grey = np.full((8, 16, 3), 10 * (n + 1), np.uint8)
            yield Frame((grey,), PixelFormat.RGB24, self.size, captured_ns=n * STEP_NS)


def values(clip: Moving, times_ns: list[int]) -> list[int]:
    return [int(clip.planes_at(time)[0][0, 0]) for time in times_ns]


def test_a_clip_keeps_step_with_the_frames_and_starts_again_at_its_end() -> None:
    with Moving(lambda: Greys(3), PLATE, Fit.COVER, wait=True) as clip:
        start = 5 * STEP_NS  # the clip begins with the first frame that shows it
        assert values(clip, [start + n * STEP_NS for n in range(7)]) == [10, 20, 30, 10, 20, 30, 10]


def test_a_slower_output_skips_pictures_and_a_faster_one_repeats_them() -> None:
    with Moving(lambda: Greys(4), PLATE, Fit.COVER, wait=True) as clip:
        assert values(clip, [0, 2 * STEP_NS, 6 * STEP_NS]) == [10, 30, 30]
    with Moving(lambda: Greys(4), PLATE, Fit.COVER, wait=True) as clip:
        assert values(clip, [n * STEP_NS // 2 for n in range(6)]) == [10, 10, 20, 20, 30, 30]


@pytest.mark.parametrize("skipped", range(1, 9))
def test_another_picture_is_another_tuple_and_the_same_one_is_the_same(skipped: int) -> None:
    with Moving(lambda: Greys(25), PLATE, Fit.COVER, wait=True) as clip:
        shown = [clip.planes_at(n * STEP_NS // 2 * skipped) for n in range(8)]
    assert all(a is not b for a, b in zip(shown, shown[2:], strict=False))  # though its memory may be the same
    assert skipped > 1 or all(a is b for a, b in zip(shown[::2], shown[1::2], strict=True))


def test_live_never_waits_for_a_slow_decoder() -> None:
    go_on = threading.Event()

    class Slow(Greys):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield frame
                go_on.wait(10)

    with Moving(lambda: Slow(3), PLATE, Fit.COVER, wait=False) as clip:
        assert values(clip, [0, 10 * STEP_NS]) == [10, 10]
        go_on.set()


@pytest.mark.parametrize("wait", [True, False])
def test_a_clip_without_a_picture_is_refused(wait: bool) -> None:
    with pytest.raises(InputError, match="holds no picture"):
        Moving(lambda: Greys(0), PLATE, Fit.COVER, wait=wait)


def test_a_clip_that_is_damaged_later_keeps_its_last_picture() -> None:
    class Damaged(Greys):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            raise InputError("damaged")

    with Moving(lambda: Damaged(2), PLATE, Fit.COVER, wait=True) as clip:
        assert values(clip, [0, STEP_NS, 9 * STEP_NS]) == [10, 20, 20]
        assert clip.problem == "the background stands still: damaged"


def test_a_live_clip_that_nobody_looked_at_goes_on_where_it_was() -> None:
    with Moving(lambda: Greys(20), PLATE, Fit.COVER, wait=False) as clip:
        values(clip, [0])
        seen = []
        for n in range(12):
            while len(clip._ready) < 3:  # so that the decoder's speed does not count
                time.sleep(0.001)
            seen += values(clip, [600_000_000_000 + n * STEP_NS])
        assert seen == [20 + 10 * n for n in range(12)]


def test_closing_ends_the_decoder() -> None:
    before = threading.active_count()
    clip = Moving(lambda: Greys(100), PLATE, Fit.COVER, wait=False)
    clip.close()
    assert threading.active_count() == before


def test_what_is_transparent_in_a_picture_becomes_black() -> None:
    white = Frame((np.full((8, 16, 3), 255, np.uint8),), PixelFormat.RGB24, Size(16, 8))
    white.alpha = np.zeros((8, 16), np.uint8)
    white.alpha[:, 8:] = 255
    red, _, _ = PLATE.picture(white, Fit.STRETCH)
    assert (red[:, :8] == 0).all()
    assert (red[:, 8:] == 255).all()


def test_a_clip_in_the_canvass_own_format_is_laid_as_it_is_and_its_transparent_parts_black() -> None:
    plate = Plate(Size(16, 8), PixelFormat.I420, BT601)
    y, u, v = np.full((8, 16), 180, np.uint8), np.full((4, 8), 90, np.uint8), np.full((4, 8), 200, np.uint8)
    frame = Frame((y, u, v), PixelFormat.I420, Size(16, 8))
    assert [set(np.unique(plane)) for plane in plate.picture(frame, Fit.STRETCH)] == [{180}, {90}, {200}]
    frame.alpha = np.zeros((8, 16), np.uint8)
    frame.alpha[:, 8:] = 255
    luma, blue, red = plate.picture(frame, Fit.STRETCH)
    assert set(np.unique(luma[:, :8])) == {16}
    assert set(np.unique(luma[:, 8:])) == {180}
    assert (blue[0, 0], red[0, 0]) == (128, 128)
    assert (blue[0, 7], red[0, 7]) == (90, 200)
