"""What no program can beat on this machine: how fast bytes move, and how many a frame has to move."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from timing import timed

from bgcamd.cuda.gpu import Gpu
from bgcamd.frame import InputSpec, Size


class Ceilings(NamedTuple):
    """GB/s. device: a copy within the device, bytes read and written; upload, download: of pinned memory."""

    device: float
    upload: float
    download: float


def measured(gpu: Gpu, bytes_: int = 256 << 20, times: int = 20) -> Ceilings:
    """Measure them by large copies."""
    with ExitStack() as stack:
        source, target = (stack.enter_context(gpu.array((bytes_,), np.uint8)) for _ in range(2))
        block = stack.enter_context(gpu.pinned(bytes_ // 4))
        part = stack.enter_context(gpu.array((bytes_ // 4,), np.uint8))
        ways = (
            (2 * bytes_, lambda: gpu.copy(target, source)),
            (bytes_ // 4, lambda: gpu.upload(part, block.view)),
            (bytes_ // 4, lambda: gpu.download(block.view, part)),
        )
        return Ceilings(*(moved / timed(gpu, work, times) / 1e6 for moved, work in ways))


def floors_ms(size: Size, spec: InputSpec, background: str, ceilings: Ceilings) -> dict[str, float]:
    """The least that each stage can take for a YUYV frame, ms: its bytes at the ceiling's rate, each moved once.

    A picture is 3/2 bytes a pixel, an alpha 1. Of what is as small as the network's input, that counts which one stage
    leaves to another: the tensor, the picture as the network saw it (4 bytes a pixel), and the matte (4).
    """
    pixels, small = size.width * size.height, spec.size.width * spec.size.height
    picture, tensor = pixels * 3 // 2, 3 * small * (2 if spec.half else 4)
    behind = {"picture": picture, "colour": picture, "blur": picture // 4}[background]
    device = {
        "take": 2 * pixels + picture,
        "shrink": min(picture, 6 * small) + 4 * small + tensor,  # 4 samples of Y, 1 of U and of V, of each pixel
        "refine": 8 * small + pixels,
        "compose": picture + pixels + behind + picture,
    }
    moved = {"upload": 2 * pixels / ceilings.upload, "download": picture / ceilings.download}
    moved |= {stage: bytes_ / ceilings.device for stage, bytes_ in device.items()}
    return {stage: ns / 1e6 for stage, ns in moved.items()}
