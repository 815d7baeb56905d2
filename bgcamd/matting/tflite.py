"""TensorFlow Lite files as ONNX files, for segmentation networks such as MediaPipe's.

TFLite lays pictures out as NHWC and kernels as OHWI, ONNX as NCHW and OIHW: the layers stay the same, the
axes are swapped, and half-precision weights become single. What the layers are is in ``layers.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bgcamd.errors import ModelError
from bgcamd.matting.layers import LAYERS, Layer, Network

_OPSET = 13
_IR_VERSION = 8
_KINDS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
_DAMAGE = (  # flatbuffers checks nothing before it follows an offset
    struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, onnx.checker.ValidationError
)  # fmt: skip
_TYPES: dict[int, Any] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


def to_onnx(data: bytes) -> bytes:
    """Convert a TFLite file with one picture as input and one as output.

    The result's input is named ``input``, float32 (1, c, h, w), its output ``output``, likewise.

    Raises
    ------
    ModelError: this is no TFLite file, it is damaged, or it has a layer that ``layers.py`` does not know.
    """
    if data[4:8] != b"TFL3":
        raise ModelError("not a TFLite file")
    try:
        model: bytes = _convert(_File(data)).SerializeToString()
    except _DAMAGE as error:
        raise ModelError(f"the TFLite file is damaged: {error}") from error
    return model


class _File:
    """What we need of a TFLite file's only graph."""

    def __init__(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(data, 0)
        if self._model.SubgraphsLength() != 1:
            raise ModelError(f"the TFLite file has {self._model.SubgraphsLength()} graphs, not one")
        self.graph = self._model.Subgraphs(0)
        if (self.graph.InputsLength(), self.graph.OutputsLength()) != (1, 1):
            raise ModelError("the TFLite file must have one input and one output")

    def shape(self, tensor: int) -> tuple[int, ...]:
        shape = self.graph.Tensors(tensor).ShapeAsNumpy()
        return tuple(int(size) for size in shape) if isinstance(shape, np.ndarray) else ()

    def constants(self) -> Iterator[tuple[int, NDArray[Any]]]:
        for index in range(self.graph.TensorsLength()):
            tensor = self.graph.Tensors(index)
            buffer = self._model.Buffers(tensor.Buffer())
            if buffer.DataLength():
                if tensor.Type() not in _TYPES:
                    raise ModelError(f"weights of TFLite's type {tensor.Type()} are not supported: float ones are")
                values = np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[tensor.Type()])
                yield index, values.reshape(self.shape(index))

    def layers(self) -> Iterator[Layer]:
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            kind = _KINDS.get(code.BuiltinCode(), "?")
            if kind == "CUSTOM":
                kind = code.CustomCode().decode()
            yield Layer(kind, tuple(map(int, operator.InputsAsNumpy())), int(operator.Outputs(0)), operator)


def _convert(file: _File) -> Any:
    source, result = file.graph.Inputs(0), file.graph.Outputs(0)
    network = Network(file.shape, dict(file.constants()), {source: "input", result: "output"})
    for layer in file.layers():
        if layer.kind not in LAYERS:
            raise ModelError(f"the TFLite layer {layer.kind} is not supported", f"known are {', '.join(LAYERS)}")
        LAYERS[layer.kind](network, layer)
    graph = helper.make_graph(
        network.nodes,
        "network",
        [_value("input", file.shape(source))],
        [_value("output", file.shape(result))],
        [numpy_helper.from_array(values, name) for name, values in network.weights.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="bgcamd"
    )
    onnx.checker.check_model(model)
    return model


def _value(name: str, nhwc: Sequence[int]) -> Any:
    n, h, w, c = nhwc
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (n, c, h, w))
