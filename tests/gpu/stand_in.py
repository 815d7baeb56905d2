"""A network that is none, where no TensorRT runs: its tensors and its alpha lie where a real one's do."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Self

from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import EngineError
from bgcamd.frame import InputSpec, Matte, Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.tensorrt.answer import DeviceAnswer


class StandIn:
    """An Engine with a model's input, FP16, and with the tensor's first channel for an alpha."""

    def __init__(self, gpu: Gpu, manifest: Manifest) -> None:
        self._gpu, self._manifest = gpu, manifest
        self._answer: DeviceAnswer | None = None

    @property
    def name(self) -> str:
        """What it stands for."""
        return f"a stand-in for {self._manifest.name}: no network"

    @property
    def follows(self) -> bool:
        """As the model does."""
        return self._manifest.input.follow

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.__exit__(None, None, None)

    def fit(self, size: Size) -> InputSpec:
        """The model's input."""
        self.__exit__(None, None, None)
        spec = self._manifest.input.spec(size)
        output = replace(self._manifest.output, channel=0, activation="none", minmax=False)
        self._answer = DeviceAnswer(self._gpu, output, (3, spec.size.height, spec.size.width))
        return replace(spec, half=True)

    def infer(self, tensor: DeviceArray) -> Matte:
        """The first channel, cut to 0..1."""
        if self._answer is None:
            raise EngineError("the stand-in was not fitted to a size")
        self._answer.take(tensor)
        return Matte(self._answer.alpha, self._manifest.output.softness)

    def reset(self) -> None:
        """It has no state."""
