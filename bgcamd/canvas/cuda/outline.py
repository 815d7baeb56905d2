"""From a network's matte to the frame's alpha, on the GPU, as ``outline.Outline`` and ``HostCanvas`` do it."""

from __future__ import annotations

import numpy as np

from bgcamd.canvas.cuda.memory import Arrays
from bgcamd.canvas.cuda.parameters import Parameters
from bgcamd.canvas.edges import filter_size
from bgcamd.cuda.gpu import DeviceArray, Float, Gpu, Int, Kernels, grid_over
from bgcamd.frame import GLANCE, Matte, Size

_MEMORY = 6  # words of kernels.cu's struct Memory


class Outline:
    """Queues the kernels; their memory is of ``arrays``.

    Parameters
    ----------
    fault: one word, set where a matte is not what it must be.
    glanced: uint8 of GLANCE's shape.
    """

    def __init__(
        self,
        gpu: Gpu,
        kernels: Kernels,
        arrays: Arrays,
        parameters: Parameters,
        *,
        fault: DeviceArray,
        glanced: DeviceArray,
    ) -> None:
        self._gpu, self._launch, self._arrays, self._parameters = gpu, kernels.launch, arrays, parameters
        self._fault, self._glanced = fault, glanced
        self._frame = parameters.size
        self._memory = arrays.get("memory", (_MEMORY,), np.int32)
        self._remembers: Size | None = None  # the size of the mattes that it does of
        self._kept: DeviceArray | None = None  # of this frame

    def forget(self) -> None:
        """The next matte has nothing to do with the last: queue zeros."""
        self._kept = None
        self._gpu.clear(self._memory)

    def keep(self, alpha: DeviceArray) -> None:
        """Keep the answer to a mirrored look for the next ``drawn``."""
        height, width = alpha.shape
        self._kept = self._arrays.get("kept", alpha.shape, np.float32)
        self._launch("keep", grid_over(width, height), alpha, self._kept, Int(width), Int(height), self._fault)

    def glance(self, alpha: DeviceArray) -> None:
        """Add who is in it to who was seen."""
        (height, width), (w, h) = alpha.shape, self._frame
        grid = grid_over(max(width, GLANCE.width), max(height, GLANCE.height))
        sizes = Int(width), Int(height), self._glanced, Int(w), Int(h), self._fault
        self._launch("glance", grid, self._parameters.block, alpha, *sizes)

    def drawn(self, matte: Matte, seen: DeviceArray | None, own_alpha: DeviceArray) -> DeviceArray:
        """Return the alpha, uint8 of the frame's size.

        seen: uint8 (h, w, 4), the picture that the network saw, R, G, B; None where it saw none.
        """
        (height, width), (w, h) = matte.alpha.shape, self._frame
        guide = seen if seen is not None and seen.shape[:2] == (height, width) else None
        block, size = self._parameters.block, (Int(width), Int(height))
        steadied = self._steadied(matte.alpha, guide)
        sharp = self._arrays.get("sharp", (height, width))
        if matte.softness > 1 and guide is not None:
            self._sharpen(steadied, guide, matte.softness, sharp)
        else:
            self._launch("bytes", grid_over(width, height), block, self._memory, steadied, sharp, *size)
        sums = self._arrays.get("sums", (height, width), np.uint16)
        for feathers in (Int(0), Int(1)):
            self._launch("soften_lines", grid_over(width, height), block, feathers, sharp, sums, *size)
            self._launch("soften_columns", grid_over(width, height), block, feathers, sums, sharp, *size)
        alpha = self._arrays.get("alpha", (h, w))
        memory = self._memory, Int(guide is not None), self._fault
        sizes = *size, own_alpha, alpha, Int(w), Int(h)
        self._launch("enlarge", grid_over(w // 2, h // 2), block, *memory, sharp, *sizes)
        return alpha

    def _steadied(self, alpha: DeviceArray, guide: DeviceArray | None) -> DeviceArray:
        """float32 (2, h, w): in the half that is not remembered, the matte joined with what was kept, and steady."""
        height, width = alpha.shape
        if self._remembers != (width, height):
            self._remembers = Size(width, height)
            self._gpu.clear(self._memory)
        kept, self._kept = self._kept, None
        joins = kept is not None and kept.shape == alpha.shape
        steadied = self._arrays.get("steadied", (2, height, width), np.float32)
        calm = self._arrays.get("calm", (2, max(height // 2, 1), max(width // 2, 1), 4))
        looks = alpha, kept if kept is not None and joins else alpha, Int(joins)
        picture = guide if guide is not None else alpha, Int(guide is not None), calm
        sizes = Int(width), Int(height), self._fault
        grid = grid_over(max(width, 2), max(height, 2))  # blocks of 32x8 always
        self._launch("steady", grid, self._parameters.block, self._memory, *looks, *picture, steadied, *sizes)
        return steadied

    def _sharpen(self, steadied: DeviceArray, seen: DeviceArray, softness: float, sharp: DeviceArray) -> None:
        height, width = sharp.shape
        small_w, small_h = small = filter_size(Size(width, height))
        launch, soft = self._launch, Float(softness)
        parts, lines, means = (
            self._arrays.get(name, (small_h, small_w, 4), np.float32) for name in ("parts", "lines", "means")
        )
        whole, few = (Int(width), Int(height)), (Int(small_w), Int(small_h))
        source = self._parameters.block, self._memory, steadied
        launch("gather", grid_over(*small), *source, seen, parts, *whole, *few, soft)
        launch("fit", grid_over(*small), parts, lines, *few)
        launch("smooth", grid_over(*small), lines, means, *few)
        launch("sharpen", grid_over(width, height), means, *few, seen, sharp, *whole, soft)
