"""``answer.py`` for what lies in the GPU's memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from bgcamd.cuda.gpu import DeviceArray, Gpu, Int, grid_over
from bgcamd.matting.manifest import Output

SOURCE = Path(__file__).with_name("answer.cu")
"""The kernels."""
_ACTIVATIONS = ("none", "sigmoid", "softmax")  # the enum of answer.cu
_MANY, _FEW = 1024, 32  # how many extremes are left after each of the two rounds


class DeviceAnswer:
    """Brings a network's answers to an alpha, from entering the context until it is left.

    Parameters
    ----------
    shape: of the answer: (c, h, w).

    Attributes
    ----------
    alpha: float32 (h, w), 0..1; NaN where the answer is no number. Ours; what ``take`` queued last writes it.
    """

    def __init__(self, gpu: Gpu, output: Output, shape: tuple[int, int, int]) -> None:
        self._output, self._channels, self._pixels = output, shape[0], shape[1] * shape[2]
        with ExitStack() as stack:
            self._kernels = stack.enter_context(gpu.kernels(SOURCE))
            self.alpha: DeviceArray = stack.enter_context(gpu.array(shape[1:], np.float32))
            sizes = (_MANY, _MANY, _FEW, _FEW) if output.minmax else ()
            self._extremes = [stack.enter_context(gpu.array((size,), np.float32)) for size in sizes]
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def take(self, raw: DeviceArray) -> None:
        """Queue what makes ``alpha`` of ``raw``, float32 or float16 of the shape, which stays as it is."""
        output, pixels = self._output, Int(self._pixels)
        self._kernels.launch(
            "activate",
            grid_over(self._pixels),
            raw,
            self.alpha,
            Int(raw.dtype == np.float16),
            pixels,
            Int(self._channels),
            Int(output.channel),
            Int(_ACTIVATIONS.index(output.activation)),
            Int(not output.minmax),
        )
        if output.minmax:
            low, high, lowest, highest = self._extremes
            self._reduce((self.alpha, self.alpha), self._pixels, (low, high), _MANY)
            self._reduce((low, high), _MANY, (lowest, highest), _FEW)
            self._kernels.launch("stretch", grid_over(self._pixels), self.alpha, pixels, lowest, highest, Int(_FEW))

    def _reduce(
        self, source: tuple[DeviceArray, DeviceArray], n: int, target: tuple[DeviceArray, DeviceArray], count: int
    ) -> None:
        self._kernels.launch("extremes", grid_over(count), *source, Int(n), *target, Int(count))
