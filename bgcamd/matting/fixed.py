"""A network for pictures of one size: every shape fixed, constants folded, and, on request, in half precision."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort

from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.session import CPU, ERRORS, FATAL, Session, first_line


def fixed_network(manifest: Manifest, file: Path, size: Size, *, half: bool = False, foreground: bool = False) -> bytes:
    """Return an ONNX network for pictures of ``size``, the network's own, not the frame's.

    Its inputs are the picture and the recurrent states, its outputs the alpha and the states that go with the next
    frame, and, on request, the foreground; all are float32, or float16 with ``half``. The first states are zeros, as
    large as those that follow.
    A second's work, and three times the file's size in memory.

    Raises
    ------
    ModelError: the file is no network, or not the one that the manifest describes.
    EngineError: it can't be made so.
    """
    session = Session(manifest, file)
    shapes = session.shapes(size)
    session.close()
    model = onnx.load(file)
    outputs = [manifest.output.alpha, *(state.output for state in manifest.states)]
    if foreground and manifest.output.foreground is not None:
        outputs.append(manifest.output.foreground)
    _fix(model.graph, manifest, size, shapes, outputs)
    model = _folded(model, manifest)
    result: bytes = (_halved(model) if half else model).SerializeToString()
    return result


def _fix(
    graph: Any, manifest: Manifest, size: Size, shapes: dict[str, tuple[int, ...]], outputs: Sequence[str]
) -> None:
    """Let the manifest's constants be weights, and leave no output that nobody asks for: what led to it is dropped."""
    fed: dict[str, tuple[int, ...]] = {manifest.input.name: (1, 3, size.height, size.width)}
    fed |= {state.input: shapes[state.output] for state in manifest.states}
    taken = {name: shapes[name] for name in outputs}
    for values, wanted in ((graph.input, fed), (graph.output, taken)):
        kept = [_value(value.name, wanted[value.name]) for value in values if value.name in wanted]
        del values[:]
        values.extend(kept)
    for name, value in manifest.input.constants.items():
        graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [1], [value]))


def _value(name: str, shape: tuple[int, ...]) -> Any:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _folded(model: Any, manifest: Manifest) -> Any:
    """Let ONNX Runtime compute all that does not depend on an input; what is left is plain ONNX."""
    options = ort.SessionOptions()
    options.log_severity_level = FATAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # more would use its own layers
    with tempfile.TemporaryDirectory(prefix="bgcamd-") as folder:
        options.optimized_model_filepath = f"{folder}/folded.onnx"
        try:
            ort.InferenceSession(model.SerializeToString(), options, providers=CPU)
        except ERRORS as error:
            raise EngineError(f"model {manifest.name} has no form of a fixed size: {first_line(error)}") from error
        folded = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in folded.graph.node}
    opsets = [opset for opset in folded.opset_import if opset.domain in used]
    del folded.opset_import[:]  # it lists all that onnxruntime knows, also what no layer uses
    folded.opset_import.extend(opsets)
    return folded


def _halved(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - only when one is built

    for number, node in enumerate(model.graph.node):
        node.name = f"{number}/{node.op_type}"  # it tells nodes apart by their names, and some have none
    return convert_float_to_float16(model, keep_io_types=False)
