"""Frames whose number can be read from the decoded picture, and a live loop that writes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.protocols import Sink

SIZE = Size(128, 96)
RATE = Fraction(30)
COLOURS = 90, 170  # U and V


def picture(number: int, size: Size = SIZE) -> Frame:
    """A frame of flat colour with eight bars that tell its number; of this moment."""
    width, height = size
    luma = np.full((height, width), 100, np.uint8)
    for bit in range(8):
        luma[:, bit * width // 8 : (bit + 1) * width // 8] = 200 if number >> bit & 1 else 40
    chroma = tuple(np.full(((height + 1) // 2, (width + 1) // 2), value, np.uint8) for value in COLOURS)
    return Frame((luma, *chroma), PixelFormat.I420, size, captured_ns=time.monotonic_ns(), sequence=number)


def number_of(frame: Frame) -> int:
    """The number that a frame shows; raises where its colours are not the source's."""
    luma, *chroma = frame.planes
    for plane, value in zip(chroma, COLOURS, strict=True):
        assert abs(int(plane[plane.shape[0] // 2, plane.shape[1] // 2]) - value) <= 4
    height, width = luma.shape
    return sum((int(luma[height // 2, (2 * bit + 1) * width // 16]) > 120) << bit for bit in range(8))


@contextmanager
def playing(sink: Sink, make: Callable[[int], Frame] = picture) -> Iterator[Callable[[], int]]:
    """Write frames like the live loop, until the end; gives how many were written so far."""
    ending, written = threading.Event(), [0]

    def loop() -> None:
        while not ending.wait(1 / 100):
            sink.write(make(written[0]))
            written[0] += 1

    thread = threading.Thread(target=loop, name="loop")
    thread.start()
    try:
        yield lambda: written[0]
    finally:
        ending.set()
        thread.join()
