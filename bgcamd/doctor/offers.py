"""What a camera can do: each format with its sizes, and how many frames a second it says that it has of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from bgcamd.frame import Size
from bgcamd.video.v4l2 import ioctls, modes
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.kernel import Kernel

_MOST = modes.Wish(Size(16384, 16384), Fraction(1000))  # of a range, its upper end


@dataclass(frozen=True)
class Offer:
    """One format.

    fourcc: "MJPG". readable: whether bgcamd reads it.
    sizes: the largest first, each with its highest rate, frames per second; empty where it is not readable.
    """

    fourcc: str
    readable: bool
    sizes: tuple[tuple[Size, Fraction], ...]


def read_offers(kernel: Kernel, node: str) -> tuple[Offer, ...]:
    """Ask a camera for all of its formats; turns nothing on. Raises OSError."""
    fd = kernel.open(node, os.O_RDWR | os.O_NONBLOCK)
    try:
        best: dict[str, dict[Size, Fraction]] = {}
        with suppress(OSError):  # some drivers list formats and fail at sizes
            for mode in modes.offered(kernel, fd, _MOST):
                sizes = best.setdefault(mode.format.value, {})
                sizes[mode.size] = max(mode.rate, sizes.get(mode.size, Fraction(0)))
        names = dict.fromkeys(ioctls.fourcc_text(number) for number in ioctls.enum_formats(kernel, fd, vd.CAPTURE))
    finally:
        kernel.close(fd)
    readable = {each.value for each in modes.READABLE}
    return tuple(Offer(name, name in readable, _sorted(best.get(name, {}))) for name in names)


def _sorted(sizes: dict[Size, Fraction]) -> tuple[tuple[Size, Fraction], ...]:
    return tuple(sorted(sizes.items(), key=lambda item: (-item[0].width * item[0].height, item[0])))


def offer_line(offer: Offer, most: int = 4) -> str:
    """ "MJPG  1920x1080@30  1280x720@30": the largest sizes of what we read, the one most calls use among them."""
    shown = list(offer.sizes[:most])
    usual = next((item for item in offer.sizes if item[0] == modes.HD), None)
    if usual is not None and usual not in shown:
        shown[-1] = usual
    rest = len(offer.sizes) - len(shown)
    return "  ".join([offer.fourcc, *(f"{size}@{rate_text(rate)}" for size, rate in shown)]) + (
        f"  +{rest} more" if rest else ""
    )


def unread_line(offers: Iterable[Offer], most: int = 6) -> Iterator[str]:
    """ "GREY, UYVY  (bgcamd does not read these)", where there are any; a test camera has seventy."""
    names = [printable(offer.fourcc) for offer in offers if not offer.readable]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    if names:
        yield f"{', '.join(names[:most])}{rest}  (bgcamd does not read {'it' if len(names) == 1 else 'these'})"


def rate_text(rate: Fraction | float) -> str:
    """ "30", "29.97", "7.5"."""
    return f"{float(rate):.2f}".rstrip("0").rstrip(".")


def printable(text: str) -> str:
    """A device's word without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
