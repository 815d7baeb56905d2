"""A GPU's engine for a canvas of the CPU: what stills, and commands that work on files, use."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import DeviceError, EngineError
from bgcamd.frame import InputSpec, Matte, Size
from bgcamd.matting.tensorrt.engine import TensorRtEngine


class Staged:
    """A ``TensorRtEngine`` whose tensors and mattes are NumPy's: each frame is brought to the GPU, and its matte back.

    Owns the engine and the GPU, and closes both.
    """

    def __init__(self, gpu: Gpu, engine: TensorRtEngine) -> None:
        self._gpu, self._engine = gpu, engine
        self._memory = ExitStack()
        self._input: DeviceArray | None = None
        self._staging: NDArray[Any] = np.empty(0, np.float32)
        self._alpha: NDArray[np.float32] = np.empty((0, 0), np.float32)

    @property
    def name(self) -> str:
        """Model, card and runtime."""
        return self._engine.name

    @property
    def follows(self) -> bool:
        """See ``protocols.Engine``."""
        return self._engine.follows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._gpu, self._engine:
            with suppress(DeviceError):  # a GPU that has failed may not let anybody in
                self._gpu.enter_thread()
            self._memory.close()

    def fit(self, size: Size) -> InputSpec:
        """Choose the input for frames of ``size`` and forget the state; as the engine's, but always float32."""
        self._gpu.enter_thread()
        spec = self._engine.fit(size)
        dtype = np.float16 if spec.half else np.float32
        self._memory.close()
        self._staging = np.empty((1, 3, spec.size.height, spec.size.width), dtype)
        self._input = self._memory.enter_context(self._gpu.array(self._staging.shape, dtype))
        return replace(spec, half=False)

    def infer(self, tensor: NDArray[np.float32]) -> Matte:
        """Run the network on float32 (1, 3, h, w). The matte is ours, until the next call. Raises EngineError."""
        if self._input is None:
            raise EngineError(f"{self.name} was not fitted to a size")
        self._gpu.enter_thread()
        np.copyto(self._staging, tensor, casting="same_kind")
        self._gpu.upload(self._input, self._staging)
        matte = self._engine.infer(self._input)
        if matte.alpha.shape != self._alpha.shape:
            self._alpha = np.empty(matte.alpha.shape, np.float32)
        self._gpu.download(self._alpha, matte.alpha)
        self._gpu.synchronize()
        if not np.isfinite(self._alpha.sum()):
            raise EngineError("the network's answer is not finite", "its file may be damaged, or the engine is faulty")
        return replace(matte, alpha=self._alpha)

    def reset(self) -> None:
        """Forget the recurrent state."""
        self._gpu.enter_thread()
        self._engine.reset()
