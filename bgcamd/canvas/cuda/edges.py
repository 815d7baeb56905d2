"""The small matte made ready to be enlarged: brought onto the picture's edges, as ``edges.Sharpener`` does it."""

from __future__ import annotations

import numpy as np

from bgcamd.canvas.cuda.memory import Arrays
from bgcamd.canvas.edges import filter_size
from bgcamd.cuda.gpu import DeviceArray, Float, Int, Kernels, grid_over
from bgcamd.frame import Matte, Size


class Edges:
    """Queues the kernels; their memory is of ``arrays``."""

    def __init__(self, kernels: Kernels, arrays: Arrays) -> None:
        self._kernels, self._arrays = kernels, arrays

    def small_alpha(self, matte: Matte, seen: DeviceArray | None, fault: DeviceArray) -> DeviceArray:
        """Return it, uint8 of the matte's shape; ``fault`` is set where the matte is not what it must be.

        seen: uint8 (h, w, 4), the picture that the network saw, R, G, B; None where it saw none.
        """
        height, width = matte.alpha.shape
        out = self._arrays.get("small alpha", (height, width))
        if matte.softness > 1 and seen is not None and seen.shape[:2] == (height, width):
            self._sharpen(matte, seen, out, fault)
        else:
            self._kernels.launch("bytes", grid_over(width, height), matte.alpha, out, Int(width), Int(height), fault)
        return out

    def _sharpen(self, matte: Matte, seen: DeviceArray, out: DeviceArray, fault: DeviceArray) -> None:
        height, width = out.shape
        small_w, small_h = small = filter_size(Size(width, height))
        launch, soft = self._kernels.launch, Float(matte.softness)
        parts, lines, means = (
            self._arrays.get(name, (small_h, small_w, 4), np.float32) for name in ("parts", "lines", "means")
        )
        whole, few = (Int(width), Int(height)), (Int(small_w), Int(small_h))
        launch("gather", grid_over(*small), matte.alpha, seen, parts, *whole, *few, soft)
        launch("fit", grid_over(*small), parts, lines, *few)
        launch("smooth", grid_over(*small), lines, means, *few)
        launch("sharpen", grid_over(width, height), means, *few, seen, matte.alpha, out, *whole, soft, fault)
