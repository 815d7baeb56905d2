"""Read a camera as on a machine with a GPU, and look at every frame twice: as Python does, and as a GPU would.

zero_copy.py DEVICE REFUSED    prints whose memory it was and what was seen; the first REFUSED registrations fail
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pinned import IoUring
from v4l2 import frames as frames_of_another_program

from bgcamd.frame import Frame
from bgcamd.video.v4l2.camera import V4L2Camera

FRAMES = 100


def main(device: str, refused: str) -> None:
    """Read, compare, close, and see what is left."""
    gpu = IoUring(refuses=int(refused))
    sequences, bars, by_pages, start = [], None, 0, time.monotonic()
    with V4L2Camera(device, registrar=gpu) as camera:
        memory, kind, size, rate = camera.memory, camera.format.name, camera.size, camera.rate
        while len(sequences) < FRAMES:
            frame = camera.read(5)
            assert frame is not None, "no frame for 5 s"
            sequences.append(frame.sequence)
            by_pages += seen_by_gpu(gpu, frame)
            bars = lower_half(frame)
            frame.release()
        assert len(gpu.held) in (0, 4), gpu.held
        last = camera.read(5)
        assert last is not None, "no frame for 5 s"
    seconds = time.monotonic() - start
    still = bool(np.array_equal(lower_half(last), bars))  # the camera is closed, the frame is not
    last.release()
    del frame, last
    assert sequences == sorted(set(sequences)), "frames came twice, or in the wrong order"
    assert not gpu.held, "still registered"
    assert "/dev/video" not in Path("/proc/self/maps").read_text(), "still mapped"
    bare = next(luma[luma.shape[0] // 2 :].copy() for _, luma in frames_of_another_program(device, 5))
    lost, same = sequences[-1] - sequences[0] + 1 - FRAMES, np.array_equal(bare, bars)
    print(f"{memory}; {FRAMES} frames of {kind} {size} at {rate}, {lost} lost, {seconds:.1f} s; ", end="")  # noqa: T201
    print(f"by their pages {by_pages}, after the close {still}, as others see it {same}")  # noqa: T201


def seen_by_gpu(gpu: IoUring, frame: Frame) -> bool:
    """Whether the registered pages hold what we see; False where they are not registered."""
    pinned = gpu.held.get(frame.planes[0].ctypes.data)
    if pinned is None:
        return False
    seen = b"".join(plane.tobytes() for plane in frame.planes)  # without gaps, for these drivers' lines have no padding
    assert pinned.read(len(seen)) == seen, "the pages hold another picture"
    return True


def lower_half(frame: Frame) -> NDArray[np.uint8]:
    """A copy of what stands still in the test picture: above it, a clock runs."""
    first = frame.planes[0]
    return (first if first.ndim == 2 else first[..., 0])[first.shape[0] // 2 :].copy()


if __name__ == "__main__":
    main(*sys.argv[1:])
