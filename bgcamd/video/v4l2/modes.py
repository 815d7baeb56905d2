"""Which format, size and rate to ask a camera for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import log

from bgcamd.frame import PixelFormat, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.kernel import Kernel

READABLE = (PixelFormat.MJPG, PixelFormat.NV12, PixelFormat.YUYV)
"""The formats that we can read."""

HD = Size(1280, 720)
"""What a camera is asked for when nobody says otherwise, at 30 frames per second."""

_HOLDS = Fraction(4, 5)  # 24 and 25 pictures a second are as good as 30
_BUSY = HD.width * HD.height * 30 * _HOLDS  # pixels a second from which JPEG is the right format


@dataclass(frozen=True)
class Mode:
    """Something that a camera can do. rate: frames per second."""

    format: PixelFormat
    size: Size
    rate: Fraction


@dataclass(frozen=True)
class Wish:
    """What we would like best. size_first: size counts for more than rate (the user named one)."""

    size: Size = HD
    rate: Fraction = Fraction(30)
    size_first: bool = False


def choose(modes: Iterable[Mode], wish: Wish) -> Mode | None:
    """Return the best of what is offered; None of nothing.

    In this order: it holds the rate (four fifths of it will do), its size is near the wish, its format is the
    right one for that many pixels, its rate is near the wish. With ``wish.size_first``, size comes before all.
    """
    return min(modes, key=lambda mode: rank(mode, wish), default=None)


def wish_of(size: Size | None, fps: float | None) -> Wish:
    """The wish of who named a size and a rate, or neither."""
    return Wish(size or HD, Fraction(fps or 30).limit_denominator(1001), size_first=size is not None)


def rank(mode: Mode, wish: Wish) -> tuple[float, ...]:
    """The order of ``choose``: less is better."""
    lacking = 1 - min(Fraction(1), mode.rate / (wish.rate * _HOLDS))
    size, rate = _distance(mode.size, wish.size), abs(mode.rate - wish.rate)
    first = (size, lacking) if wish.size_first else (lacking, size)
    return tuple(map(float, (*first, _format_rank(mode), rate)))


def offered(kernel: Kernel, fd: int, wish: Wish) -> Iterator[Mode]:
    """Yield everything we can read that the camera offers; of a range, what is nearest to the wish."""
    for readable in readable_formats(kernel, fd):
        number = ioctls.fourcc(readable.value)
        for size in _sizes(kernel, fd, number, wish.size):
            if min(size) > 0 and size.width % 2 == size.height % 2 == 0:
                for rate in _rates(kernel, fd, number, size, wish.rate):
                    yield Mode(readable, size, rate)


def readable_formats(kernel: Kernel, fd: int) -> list[PixelFormat]:
    """The camera's formats that we can read, in its order."""
    numbers = ioctls.enum_formats(kernel, fd, vd.CAPTURE)
    return [_BY_FOURCC[number] for number in numbers if number in _BY_FOURCC]


_BY_FOURCC = {ioctls.fourcc(readable.value): readable for readable in READABLE}


def _distance(a: Size, b: Size) -> float:
    """How far apart two sizes are: 0 = the same; twice and half are equally far."""
    return abs(log(a.width / b.width)) + abs(log(a.height / b.height))


def _format_rank(mode: Mode) -> int:
    """JPEG from 1280x720 at 30 upwards, as USB 2 has no room for more; below that what needs no decoding."""
    compressed = mode.format is PixelFormat.MJPG
    if mode.size.width * mode.size.height * mode.rate >= _BUSY:
        return 0 if compressed else READABLE.index(mode.format)
    return len(READABLE) if compressed else READABLE.index(mode.format)


def _sizes(kernel: Kernel, fd: int, number: int, wish: Size) -> Iterator[Size]:
    silent = True
    for answer in ioctls.enum_sizes(kernel, fd, number):
        silent = False
        if answer.type == vd.FRMSIZE_DISCRETE:
            yield Size(*answer.discrete)
        else:
            yield Size(
                _nearest(wish.width, answer.min_width, answer.max_width, answer.step_width),
                _nearest(wish.height, answer.min_height, answer.max_height, answer.step_height),
            )
    if silent:  # the driver knows no list: it may answer the wish itself
        pix = vd.PixFormat(width=wish.width, height=wish.height, pixelformat=number, field=vd.FIELD_NONE)
        pix = ioctls.set_format(kernel, fd, vd.CAPTURE, pix, only_try=True)
        yield Size(pix.width, pix.height)


def _rates(kernel: Kernel, fd: int, number: int, size: Size, wish: Fraction) -> Iterator[Fraction]:
    silent = True
    for answer in ioctls.enum_intervals(kernel, fd, number, *size):
        silent = False
        if answer.type == vd.FRMIVAL_DISCRETE:
            yield answer.min.rate
        else:  # the longest interval is the lowest rate
            yield min(max(wish, answer.max.rate), answer.min.rate)
    if silent:
        yield wish


def _nearest(wish: int, least: int, most: int, step: int) -> int:
    """The largest of least, least + step, ... that is not above the wish."""
    return least + (min(max(wish, least), most) - least) // max(step, 1) * max(step, 1)
