"""Networks run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime as ort

from bgcamd.errors import EngineError
from bgcamd.frame import InputSpec, Matte, Size
from bgcamd.matting.answer import alpha_of, foreground_of
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.rewritten import Rewritten, rewritten
from bgcamd.matting.session import ERRORS, Array, Session, first_line
from bgcamd.matting.signature import Misfit, planes


class OnnxEngine:
    """A network in an ONNX Runtime session, on the CPU; see ``protocols.Engine``.

    Outputs go into arrays that ``fit`` made, and recurrent states lie in two sets of arrays that take turns at
    being input and output: a frame allocates nothing here, and no state is copied.

    Parameters
    ----------
    manifest: what goes in and what comes out.
    file: the ONNX file.
    threads: how many work on one frame.
    rewrite: let ``fit`` make the network faster for frames of the size; a part of a second's work for each new one.

    Raises
    ------
    ModelError: the file is no network, or not the one that the manifest describes.
    """

    def __init__(self, manifest: Manifest, file: Path, *, threads: int = 1, rewrite: bool = True) -> None:
        self._manifest, self._file, self._threads, self._rewrite = manifest, file, threads, rewrite
        self._session: Session | Rewritten = Session(manifest, file, threads=threads)
        self._misfit = Misfit(manifest, file)
        self._name = f"{manifest.name} on cpu (onnxruntime {ort.__version__})"
        self._fitted: Size | None = None
        self._turns: list[Any] = []
        self._turn = 0

    @property
    def name(self) -> str:
        """Model and runtime, as in "selfie on cpu (onnxruntime 1.32.0)"."""
        return self._name

    @property
    def follows(self) -> bool:
        """See ``protocols.Engine``."""
        return self._manifest.input.follow

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.clear()
        self._session.close()

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
            self._session.native.run_with_iobinding(binding)
        except ERRORS as error:
            raise EngineError(f"{self._name} failed: {first_line(error)}") from error
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
        shapes = self._open(size)
        arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._alpha = arrays[output.alpha].reshape(planes(shapes[output.alpha], output, self._misfit))
        self._foreground = self._colours(arrays)
        first = self._session.first_states()
        odd = {state.output: arrays[state.output] for state in states}
        even = {name: np.zeros_like(array) for name, array in odd.items()}
        self._turns = [self._bind(first, arrays)]
        for source, target in ((odd, even), (even, odd)):
            self._turns.append(self._bind({state.input: source[state.output] for state in states}, arrays | target))

    def _open(self, size: Size) -> dict[str, tuple[int, ...]]:
        """Open the network, rewritten for pictures of ``size`` if that is possible; the shapes of its outputs."""
        self._turns.clear()
        own = self._session
        if isinstance(own, Rewritten):
            own.close()
            own = Session(self._manifest, self._file, threads=self._threads)
        shapes = own.shapes(size)
        made = rewritten(own, self._manifest, self._file, size, threads=self._threads) if self._rewrite else None
        self._session = made or own
        return shapes

    def _colours(self, arrays: Mapping[str, Array]) -> Array | None:
        if (name := self._manifest.output.foreground) is None:
            return None
        if arrays[name].shape != (1, 3, *self._alpha.shape[1:]):
            raise self._misfit("output.foreground", f"has the shape {arrays[name].shape}, unlike the alpha's")
        colours: Array = arrays[name][0]
        return colours

    def _bind(self, states: dict[str, Array], outputs: Mapping[str, Array]) -> Any:
        binding = self._session.native.io_binding()
        for name, array in (self._session.constants() | states).items():
            binding.bind_cpu_input(name, array)
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array))
        return binding
