"""The choice of format, size and rate: one that is offered, and none of the offered is better."""

from __future__ import annotations

import errno
import os
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2 import modes
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.fake_kernel import FakeCamera, FakeKernel
from bgcamd.video.v4l2.modes import Mode, Wish, choose

MJPG, NV12, YUYV = modes.READABLE
HD, VGA = Size(1280, 720), Size(640, 480)

sizes = st.sampled_from([Size(160, 120), VGA, Size(800, 600), Size(960, 540), HD, Size(1920, 1080)])
rates = st.sampled_from([5.0, 7.5, 10.0, 15.0, 20.0, 24.0, 25.0, 30.0, 60.0])
offers = st.dictionaries(
    st.sampled_from(modes.READABLE),
    st.dictionaries(sizes, st.lists(rates, min_size=1, max_size=4), min_size=1),
    min_size=1,
)


def all_of(offer: dict[PixelFormat, dict[Size, list[float]]]) -> list[Mode]:
    """What the offer's camera answers, asked by the real requests."""
    kernel = FakeKernel(FakeCamera(offer))
    fd = kernel.open("/dev/video0", os.O_RDWR)
    try:
        return list(modes.offered(kernel, fd, Wish()))
    finally:
        kernel.close(fd)


def holds(mode: Mode) -> bool:
    return mode.rate >= 24


def nearness(mode: Mode) -> float:
    """How many times the wish's width and height, up or down."""
    width, height = mode.size.width / 1280, mode.size.height / 720
    return max(width, 1 / width) * max(height, 1 / height)


@given(offers)
def test_everything_offered_is_found(offer: dict[PixelFormat, dict[Size, list[float]]]) -> None:
    wanted = {
        Mode(pixels, size, Fraction(rate))
        for pixels, sizes in offer.items()
        for size, rates in sizes.items()
        for rate in rates
    }
    assert set(all_of(offer)) == wanted


@given(offers)
def test_the_choice_is_offered_and_none_is_better(offer: dict[PixelFormat, dict[Size, list[float]]]) -> None:
    offered = all_of(offer)
    choice = choose(offered, Wish())
    assert choice in offered
    good = [mode for mode in offered if holds(mode)]
    if not good:
        assert choice.rate == max(mode.rate for mode in offered)
        return
    assert choice in good
    assert nearness(choice) <= min(map(nearness, good)) + 1e-9
    rivals = {mode.format for mode in good if mode.size == choice.size and mode.rate == choice.rate}
    if choice.size.width >= 1280:
        assert choice.format is MJPG or MJPG not in rivals
    elif choice.rate <= 30:
        assert choice.format is not MJPG or rivals == {MJPG}


@given(offers)
def test_a_size_that_was_asked_for_comes_before_the_rate(offer: dict[PixelFormat, dict[Size, list[float]]]) -> None:
    offered = all_of(offer)
    choice = choose(offered, Wish(size_first=True))
    assert nearness(choice) <= min(map(nearness, offered)) + 1e-9


@pytest.mark.parametrize(
    ("offered", "choice"),
    [
        ([Mode(YUYV, HD, Fraction(10)), Mode(MJPG, HD, Fraction(30)), Mode(YUYV, VGA, Fraction(30))], 1),
        ([Mode(YUYV, HD, Fraction(10)), Mode(YUYV, VGA, Fraction(30))], 1),
        ([Mode(YUYV, HD, Fraction(25)), Mode(YUYV, VGA, Fraction(30))], 0),
        ([Mode(MJPG, VGA, Fraction(30)), Mode(YUYV, VGA, Fraction(30)), Mode(NV12, VGA, Fraction(30))], 2),
        ([Mode(MJPG, HD, Fraction(60)), Mode(MJPG, HD, Fraction(30))], 1),
        ([Mode(MJPG, Size(1920, 1080), Fraction(30)), Mode(MJPG, Size(960, 540), Fraction(30))], 1),
    ],
)
def test_what_ordinary_webcams_offer(offered: list[Mode], choice: int) -> None:
    assert choose(offered, Wish()) == offered[choice]


def test_of_nothing_nothing_is_chosen() -> None:
    assert choose([], Wish()) is None


class Ranges(FakeCamera):
    """A driver that answers ranges, as v4l2loopback and some image processors do."""

    def ioctl(self, fd: int, request: int, argument: object) -> None:
        if request == vd.VIDIOC_ENUM_FRAMESIZES:
            assert isinstance(argument, vd.FrmSizeEnum)
            argument.type = vd.FRMSIZE_STEPWISE
            argument.min_width, argument.max_width, argument.step_width = 32, 1000, 16
            argument.min_height, argument.max_height, argument.step_height = 32, 2000, 8
        elif request == vd.VIDIOC_ENUM_FRAMEINTERVALS:
            assert isinstance(argument, vd.FrmIvalEnum)
            argument.type = vd.FRMIVAL_CONTINUOUS
            argument.min, argument.max = vd.Fract(1, 25), vd.Fract(1, 5)
        else:
            super().ioctl(fd, request, argument)


def test_of_a_range_the_nearest_to_the_wish_is_taken() -> None:
    kernel = FakeKernel(Ranges({YUYV: {VGA: [30]}}))
    fd = kernel.open("/dev/video0", os.O_RDWR)
    assert list(modes.offered(kernel, fd, Wish(HD, Fraction(30)))) == [Mode(YUYV, Size(992, 720), Fraction(25))]
    assert list(modes.offered(kernel, fd, Wish(Size(16, 16), Fraction(1)))) == [Mode(YUYV, Size(32, 32), Fraction(5))]
    kernel.close(fd)


def test_a_driver_without_lists_is_asked_for_the_wish_itself() -> None:
    camera = FakeCamera({YUYV: {VGA: [30]}})
    camera.refused = {vd.VIDIOC_ENUM_FRAMESIZES: errno.ENOTTY, vd.VIDIOC_ENUM_FRAMEINTERVALS: errno.ENOTTY}
    kernel = FakeKernel(camera)
    fd = kernel.open("/dev/video0", os.O_RDWR)
    assert list(modes.offered(kernel, fd, Wish())) == [Mode(YUYV, VGA, Fraction(30))]
    kernel.close(fd)


def test_odd_sizes_are_left_out() -> None:
    assert all_of({YUYV: {Size(641, 480): [30], VGA: [30]}}) == [Mode(YUYV, VGA, Fraction(30))]
