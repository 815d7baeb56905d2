"""Read the virtual camera for a while; save when each frame came and what it looked like, small.

watch.py DEVICE SECONDS PATIENCE FILE    for at most so long, or until FILE.end is there, which the next frame tells;
                                         fails when no frame comes for PATIENCE seconds; writes FILE.npz:
                                         "times" and "started" (monotonic, s) and "looks" (frames, 36, 64), luma
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic

import numpy as np
from v4l2 import Plane, frames

ROWS, COLUMNS = 36, 64


def main(device: str, seconds: str, patience: str, file: str) -> None:
    """Save under another name first: who waits for the file finds it whole."""
    times, looks, started = [], [], monotonic()
    for time, luma in frames(device, float(seconds), timeout=float(patience)):
        times.append(time)
        looks.append(small(luma))
        if Path(f"{file}.end").exists():
            break
    np.savez(f"{file}.new.npz", times=times, looks=looks, started=started)
    Path(f"{file}.new.npz").rename(f"{file}.npz")


def small(luma: Plane) -> Plane:
    """Some of its pixels."""
    height, width = luma.shape
    return luma[height // ROWS // 2 :: height // ROWS, width // COLUMNS // 2 :: width // COLUMNS][
        :ROWS, :COLUMNS
    ].copy()


if __name__ == "__main__":
    main(*sys.argv[1:])
