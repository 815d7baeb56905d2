"""How old a picture is when a reader has it: the time, drawn into the webcam's frames as black and white squares.

barcode.py send DEVICE FRAME.yuyv WIDTHxHEIGHT    be a YUYV webcam that sends this one frame, 30 times a second
barcode.py read DEVICE WIDTHxHEIGHT COUNT         print the ages of so many frames in ms, one a line

The squares lie on the person's chest, which is foreground to every network: they come through the whole pipeline.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
from v4l2 import Plane, frames, open_webcam

BITS = 24  # of the monotonic clock in units of 0.1 ms: half an hour
COLUMNS, ROWS = 8, 4  # the last row tells whether the others were read aright
DARK, LIGHT = 32, 208
RATE = 30


def main(what: str, *rest: str) -> None:
    """Send until killed, or read."""
    send(*rest) if what == "send" else read(*rest)


def send(device: str, file: str, size: str) -> None:
    """Each frame is drawn, stamped, and written at once."""
    width, height = map(int, size.split("x"))
    frame = np.frombuffer(bytearray(Path(file).read_bytes()), np.uint8)[: width * height * 2].reshape(height, width * 2)
    camera = open_webcam(device, width, height)
    tick = time.monotonic()
    while True:
        draw(frame[:, ::2], now())
        os.write(camera, frame)
        tick += 1 / RATE
        time.sleep(max(0, tick - time.monotonic()))


def read(device: str, size: str, count: str) -> None:
    """Frames whose squares can't be read (the card, at first) are passed over."""
    width, height = map(int, size.split("x"))
    stamps = ((now(), decode(luma, width, height)) for _, luma in frames(device, 30))
    for at, stamp in islice(((at, stamp) for at, stamp in stamps if stamp is not None), int(count)):
        sys.stdout.write(f"{(at - stamp) % (1 << BITS) / 10}\n")


def now() -> int:
    """The clock, as it is drawn."""
    return time.monotonic_ns() // 100_000 % (1 << BITS)


def draw(luma: Plane, stamp: int) -> None:
    """Write the stamp into the picture."""
    height, width = luma.shape
    bits = np.unpackbits(np.frombuffer(stamp.to_bytes(3, "big"), np.uint8)).reshape(ROWS - 1, COLUMNS)
    squares = np.where(np.vstack([bits, check(bits)]), LIGHT, DARK).astype(np.uint8)
    top, left, side = place(width, height)
    luma[top : top + ROWS * side, left : left + COLUMNS * side] = squares.repeat(side, 0).repeat(side, 1)


def decode(luma: Plane, width: int, height: int) -> int | None:
    """The stamp, or None where there is none."""
    top, left, side = place(width, height)
    middle = side // 2
    bits = (luma[top + middle :: side, left + middle :: side][:ROWS, :COLUMNS] > (DARK + LIGHT) // 2).astype(np.uint8)
    if (bits[-1] != check(bits[:-1])).any():
        return None
    return int.from_bytes(np.packbits(bits[:-1]).tobytes(), "big")


def check(bits: Plane) -> Plane:
    """The last row: odd parity, so that a field of one colour is no stamp."""
    return np.bitwise_xor.reduce(bits, axis=0) ^ 1


def place(width: int, height: int) -> tuple[int, int, int]:
    """Top, left and side of the squares: the black collar of the demo's astronaut."""
    side = height // 36
    return height * 17 // 24, width // 2 - height // 9 - COLUMNS * side // 2, side


if __name__ == "__main__":
    main(*sys.argv[1:])
