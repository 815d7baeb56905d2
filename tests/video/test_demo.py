from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from bgcamd.frame import BT601, Frame, PixelFormat, Plane, Size
from bgcamd.protocols import Reader
from bgcamd.video.demo import DemoReader

SMALL = Size(320, 180)


def picture(rgb: np.ndarray) -> Frame:
    height, width = rgb.shape[:2]
    return Frame((rgb.astype(np.uint8),), PixelFormat.RGB24, Size(width, height))


def plain(colour: tuple[int, int, int]) -> Frame:
    return picture(np.full((128, 128, 3), colour))


def textured() -> Frame:
    y, x = np.mgrid[:128, :128]
    wave = 127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7)
    return picture(np.stack([wave, wave[::-1], wave.T], axis=2))


def ramp() -> np.ndarray:
    """Brighter column by column, so that no two neighbours are alike."""
    return np.repeat(np.arange(128, dtype=np.uint8)[None, :, None] * 2, 128, axis=0).repeat(3, axis=2)


def luma(reader: DemoReader) -> list[Plane]:
    return [frame.planes[0].copy() for frame in reader]


def test_it_is_a_reader_with_the_size_rate_and_count_asked_for() -> None:
    reader: Reader = DemoReader(textured(), size=SMALL, rate=Fraction(25), seconds=2)
    with reader:
        frames = [(frame.sequence, frame.captured_ns) for frame in reader]
    assert (reader.size, reader.rate, reader.count) == (SMALL, Fraction(25), 50)
    assert frames == [(number, number * 40_000_000) for number in range(50)]


def test_colours_are_those_of_the_photograph_in_bt601() -> None:
    frame = next(iter(DemoReader(plain((255, 0, 0)), size=SMALL)))
    assert (frame.format, frame.color) == (PixelFormat.I420, BT601)
    for plane, expected in zip(frame.planes, (81, 90, 240), strict=True):
        assert abs(int(plane.min()) - expected) <= 1
        assert abs(int(plane.max()) - expected) <= 1


def test_the_picture_moves_but_only_gently() -> None:
    frames = luma(DemoReader(textured(), size=SMALL, seconds=4))
    steps = [np.abs(after.astype(int) - before).mean() for before, after in itertools.pairwise(frames)]
    assert np.mean(steps) > 0.1
    assert max(steps) < 10


def test_the_clip_loops_without_a_seam() -> None:
    frames = luma(DemoReader(textured(), size=SMALL, seconds=4))
    steps = [np.abs(after.astype(int) - before).mean() for before, after in itertools.pairwise(frames)]
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() <= max(steps)


def test_two_passes_are_the_same() -> None:
    reader = DemoReader(textured(), size=SMALL, seconds=1)
    first, second = luma(reader), luma(DemoReader(textured(), size=SMALL, seconds=1))
    assert np.array_equal(first, second)
    assert np.array_equal(first, luma(reader))


@pytest.mark.parametrize("size", [SMALL, Size(240, 180), Size(180, 320)])
def test_the_view_never_leaves_the_photograph(size: Size) -> None:
    across, down = picture(ramp()), picture(ramp().transpose(1, 0, 2))
    longest = 2 * max(size) // 128 + 2
    for frame in DemoReader(across, size=size, seconds=4):
        for edge in (frame.planes[0][:, 0], frame.planes[0][:, -1]):
            assert ((frame.planes[0] == edge[:, None]).sum(axis=1) <= longest).all()
    for frame in DemoReader(down, size=size, seconds=4):
        for edge in (frame.planes[0][0], frame.planes[0][-1]):
            assert ((frame.planes[0] == edge).sum(axis=0) <= longest).all()


def crossing(plane: Plane, level: float) -> float:
    """Where the plane's rows, which fall from left to right, pass the level, in samples; the mean of all rows."""
    before = (plane > level).sum(axis=1) - 1
    rows = np.arange(len(plane))
    high, low = plane[rows, before].astype(float), plane[rows, before + 1].astype(float)
    return float((before + (high - level) / (high - low)).mean())


def test_colour_stays_on_the_edges_of_the_picture() -> None:
    halves = np.zeros((128, 128, 3))
    halves[:, :64, 0] = halves[:, 64:, 2] = 255  # red (Y 81, V 240), then blue (Y 41, V 110)
    for frame in DemoReader(picture(halves), size=SMALL, seconds=2):
        by_luma = crossing(frame.planes[0], 61)
        by_chroma = crossing(frame.planes[2], 175) * 2 + 0.5
        assert abs(by_luma - by_chroma) < 0.5


def test_odd_sizes_have_rounded_up_chroma() -> None:
    frame = next(iter(DemoReader(textured(), size=Size(321, 181))))
    assert [plane.shape for plane in frame.planes] == [(181, 321), (91, 161), (91, 161)]


def test_every_frame_uses_the_same_memory() -> None:
    reader = DemoReader(textured(), size=SMALL, seconds=1)
    assert len({frame.planes[0].ctypes.data for frame in reader}) == 1


def test_a_picture_that_is_not_rgb24_is_refused() -> None:
    grey = Frame((np.zeros((8, 8), np.uint8),), PixelFormat.GREY, Size(8, 8))
    with pytest.raises(ValueError, match="GREY"):
        DemoReader(grey)
