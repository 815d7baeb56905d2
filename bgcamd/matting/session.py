"""Networks opened in ONNX Runtime, on the CPU, and the shapes of what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as _native

from bgcamd.errors import ModelError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.signature import Misfit, check_signature

Array = NDArray[np.float32]
CPU = ["CPUExecutionProvider"]
FATAL = 4
"""onnxruntime shall not write to stderr: what matters comes as an exception."""
ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(kind for kind in vars(_native).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)
"""What ONNX Runtime raises."""


class Session:
    """A network that is what its manifest says.

    Parameters
    ----------
    threads: how many work on one frame.

    Attributes
    ----------
    native: ONNX Runtime's own session.
    misfit: makes the error that says where manifest and file differ.

    Raises
    ------
    ModelError: the file is no network, or not the one that the manifest describes.
    """

    def __init__(self, manifest: Manifest, file: Path, *, threads: int = 1) -> None:
        self._manifest = manifest
        self.misfit = Misfit(manifest, file)
        self.native: Any = _open(manifest, file, threads)
        self._outputs = check_signature(manifest, file, self.native.get_inputs(), self.native.get_outputs())

    def close(self) -> None:
        """Free the network."""
        self.native = None

    def constants(self) -> dict[str, Array]:
        """The inputs that never change."""
        return {name: np.full(1, value, np.float32) for name, value in self._manifest.input.constants.items()}

    def first_states(self) -> dict[str, Array]:
        """The recurrent states of a first frame: zeros."""
        return {state.input: np.zeros(state.shape, np.float32) for state in self._manifest.states}

    def shapes(self, size: Size) -> dict[str, tuple[int, ...]]:
        """The shapes of the outputs that the manifest names, for an input of ``size``. Raises ModelError.

        They are as the file declares them, or as they come when the network runs on black.
        """
        if all(isinstance(side, int) for shape in self._outputs.values() for side in shape):
            return {name: tuple(map(int, shape)) for name, shape in self._outputs.items()}  # type: ignore[arg-type]
        feed = {self._manifest.input.name: np.zeros((1, 3, size.height, size.width), np.float32)}
        feed |= self.constants() | self.first_states()
        try:
            answers = self.native.run(list(self._outputs), feed)
        except ERRORS as error:
            raise self.misfit("input", f"the network fails on a picture of {size}: {first_line(error)}") from error
        return {name: answer.shape for name, answer in zip(self._outputs, answers, strict=True)}


def native_session(network: str | bytes, threads: int) -> Any:
    """ONNX Runtime's session of a network, by its path or its bytes, on the CPU. Raises one of ``ERRORS``."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a waiting core is another's core
    return ort.InferenceSession(network, options, providers=CPU)


def _open(manifest: Manifest, file: Path, threads: int) -> Any:
    try:
        return native_session(str(file), threads)
    except ERRORS as error:
        raise ModelError(
            f"model {manifest.name}: {file} is not an ONNX network that onnxruntime {ort.__version__} can load:"
            f" {first_line(error)}",
            "it may be damaged, or newer than onnxruntime",
        ) from error


def first_line(error: Exception) -> str:
    """What went wrong, in one line of 200 characters at most."""
    return str(error).strip().partition("\n")[0][:200]
