"""Networks run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as _native

from bgcamd.errors import EngineError, ModelError
from bgcamd.frame import InputSpec, Matte, Size
from bgcamd.matting.answer import alpha_of, foreground_of
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.signature import Misfit, check_signature, planes

Array = NDArray[np.float32]
CPU = "CPUExecutionProvider"
_FATAL = 4  # onnxruntime shall not write to stderr: what matters comes as an exception
_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(kind for kind in vars(_native).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


class OnnxEngine:
    """A network in an ONNX Runtime session; see ``frame.Engine``.

    Outputs go into arrays that ``fit`` made, and recurrent states lie in two sets of arrays that take turns at
    being input and output: a frame allocates nothing here, and no state is copied.

    Parameters
    ----------
    manifest: what goes in and what comes out.
    file: the ONNX file.
    threads: how many work on one frame.
    provider, options: an execution provider of ONNX Runtime; what it can't run, the CPU does.

    Raises
    ------
    ModelError: the file is no network, or not the one that the manifest describes.
    EngineError: the provider is not to be had.
    """

    def __init__(
        self,
        manifest: Manifest,
        file: Path,
        *,
        threads: int = 1,
        provider: str = CPU,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._manifest = manifest
        self._misfit = Misfit(manifest, file)
        self._session = _open(manifest, file, threads, {provider: dict(options or {}), CPU: {}})
        if self._session.get_providers()[0] != provider:
            raise EngineError(f"onnxruntime {ort.__version__} can't use {provider} here")
        self._outputs = check_signature(manifest, file, self._session.get_inputs(), self._session.get_outputs())
        self._name = f"{manifest.name} on {_PLACES.get(provider, provider)} (onnxruntime {ort.__version__})"
        self._fitted: Size | None = None
        self._turns: list[Any] = []
        self._turn = 0

    @property
    def name(self) -> str:
        """Model and runtime, as in "selfie on cpu (onnxruntime 1.32.0)"."""
        return self._name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.clear()
        self._session = None

    def fit(self, size: Size) -> InputSpec:
        """Choose the input for frames of ``size`` and forget the state. Raises ModelError, EngineError.

        A network that does not say how large its outputs are is run here, on black, to learn it.
        """
        spec = self._manifest.input.spec(size)
        if spec.size != self._fitted:
            self._allocate(spec.size)
            self._fitted = spec.size
        self.reset()
        return spec

    def infer(self, tensor: Array) -> Matte:
        """Run the network on float32 (1, 3, h, w), C-contiguous, as ``fit`` specified it.

        The matte is in our memory, until the next call. Raises EngineError.
        """
        binding = self._turns[self._turn]
        try:
            binding.bind_cpu_input(self._manifest.input.name, tensor)  # no copy
            self._session.run_with_iobinding(binding)
        except _ERRORS as error:
            raise EngineError(f"{self._name} failed: {_first_line(error)}") from error
        if self._manifest.states:
            self._turn = 2 if self._turn == 1 else 1
        alpha = alpha_of(self._alpha, self._manifest.output)
        foreground = None if self._foreground is None else foreground_of(self._foreground)
        return Matte(alpha, self._manifest.output.softness, foreground)

    def reset(self) -> None:
        """Forget the recurrent state."""
        self._turn = 0

    def _allocate(self, size: Size) -> None:
        """Make the arrays and bind them: turn 0 starts from the first states, 1 and 2 take turns after it."""
        output, states = self._manifest.output, self._manifest.states
        arrays = {name: np.zeros(shape, np.float32) for name, shape in self._shapes(size).items()}
        self._alpha = arrays[output.alpha].reshape(planes(arrays[output.alpha].shape, output, self._misfit))
        self._foreground = self._colours(arrays)
        first = {state.input: np.zeros(state.shape, np.float32) for state in states}
        odd = {state.output: arrays[state.output] for state in states}
        even = {name: np.zeros_like(array) for name, array in odd.items()}
        self._turns = [self._bind(first, arrays)]
        for source, target in ((odd, even), (even, odd)):
            self._turns.append(self._bind({state.input: source[state.output] for state in states}, arrays | target))

    def _colours(self, arrays: Mapping[str, Array]) -> Array | None:
        if (name := self._manifest.output.foreground) is None:
            return None
        if arrays[name].shape != (1, 3, *self._alpha.shape[1:]):
            raise self._misfit("output.foreground", f"has the shape {arrays[name].shape}, unlike the alpha's")
        colours: Array = arrays[name][0]
        return colours

    def _bind(self, states: dict[str, Array], outputs: Mapping[str, Array]) -> Any:
        binding = self._session.io_binding()
        for name, array in (self._constants() | states).items():
            binding.bind_cpu_input(name, array)
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array))
        return binding

    def _constants(self) -> dict[str, Array]:
        return {name: np.full(1, value, np.float32) for name, value in self._manifest.input.constants.items()}

    def _shapes(self, size: Size) -> dict[str, tuple[int, ...]]:
        """The outputs' shapes: as the file declares them, or as they come when the network runs on black."""
        if all(isinstance(side, int) for shape in self._outputs.values() for side in shape):
            return {name: tuple(map(int, shape)) for name, shape in self._outputs.items()}  # type: ignore[arg-type]
        feed = {self._manifest.input.name: np.zeros((1, 3, size.height, size.width), np.float32)}
        feed |= self._constants() | {each.input: np.zeros(each.shape, np.float32) for each in self._manifest.states}
        try:
            answers = self._session.run(list(self._outputs), feed)
        except _ERRORS as error:
            raise self._misfit("input", f"the network fails on a picture of {size}: {_first_line(error)}") from error
        return {name: answer.shape for name, answer in zip(self._outputs, answers, strict=True)}


_PLACES = {CPU: "cpu", "TensorrtExecutionProvider": "tensorrt", "CUDAExecutionProvider": "cuda"}


def _open(manifest: Manifest, file: Path, threads: int, providers: dict[str, dict[str, str]]) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a waiting core is another's core
    try:
        return ort.InferenceSession(str(file), options, providers=list(providers.items()))
    except _ERRORS as error:
        raise ModelError(
            f"model {manifest.name}: {file} is not an ONNX network that onnxruntime {ort.__version__} can load:"
            f" {_first_line(error)}",
            "it may be damaged, or newer than onnxruntime",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
