"""Small networks, made here: ONNX files from nodes, TFLite files byte by byte, and manifests for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
import tflite
from numpy.typing import NDArray
from onnx import helper

from bgcamd.matting.manifest import Input, Manifest, Output, State
from bgcamd.matting.store import is_intact

ANY = (1, 3, "h", "w")
MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write an ONNX file: nodes (kind, inputs, output, attributes), inputs and outputs by name with their shapes."""

    def make(
        nodes: Sequence[tuple[Any, ...]],
        inputs: dict[str, Any],
        outputs: dict[str, Any],
        weights: dict[str, NDArray[Any]] | None = None,
        kind: int = onnx.TensorProto.FLOAT,
    ) -> Path:
        graph = helper.make_graph(
            [helper.make_node(kind, into, [out], **(rest[0] if rest else {})) for kind, into, out, *rest in nodes],
            "test",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
            [onnx.numpy_helper.from_array(values, name) for name, values in (weights or {}).items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path = tmp_path / "network.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return make


@pytest.fixture
def mean_model(make_model: MakeModel) -> Path:
    """A network of any size whose alpha is the mean of the three channels."""
    nodes = [("ReduceMean", ["x"], "alpha", {"axes": [1], "keepdims": 1})]
    return make_model(nodes, {"x": ANY}, {"alpha": (1, 1, "h", "w")})


@pytest.fixture
def counting_model(make_model: MakeModel) -> Path:
    """A recurrent network: the state, and the alpha, grow by ``step`` with every frame; the picture is ignored."""
    nodes = [
        ("ReduceMean", ["x"], "mean", {"axes": [1], "keepdims": 1}),
        ("Mul", ["mean", "zero"], "nothing"),
        ("Add", ["nothing", "step"], "growth"),
        ("Add", ["growth", "before"], "after"),
        ("Identity", ["after"], "alpha"),
        ("Identity", ["x"], "colours"),
    ]
    inputs = {"x": ANY, "before": (1, 1, "a", "b"), "step": (1,)}
    outputs = {"alpha": (1, 1, "h", "w"), "after": (1, 1, "h", "w"), "colours": ANY}
    return make_model(nodes, inputs, outputs, {"zero": np.zeros(1, np.float32)})


@pytest.fixture
def plain() -> Manifest:
    """Describes ``mean_model``, at 8x4."""
    return Manifest("plain", "Plain", "none", Input("x", size=(8, 4)), Output("alpha"), file="network.onnx")


@pytest.fixture
def counting() -> Manifest:
    """Describes ``counting_model``."""
    return Manifest(
        "counting",
        "Counting",
        "none",
        Input("x", long_side=128, multiple=2, constants={"step": 0.125}),
        Output("alpha", foreground="colours"),
        file="network.onnx",
        states=(State("before", "after"),),
    )


@pytest.fixture
def fetched() -> Callable[[Manifest], Manifest]:
    """Skip the test where a model is not fetched (``make test`` fetches it)."""

    def check(manifest: Manifest) -> Manifest:
        if not is_intact(manifest):
            pytest.skip(f"needs bgcam models fetch {manifest.name}")
        return manifest

    return check


@dataclass
class Tensor:
    """A tensor of a TFLite file: its shape (NHWC), and its values if it is a constant."""

    shape: tuple[int, ...]
    values: NDArray[Any] | None = None
    kind: int = tflite.TensorType.FLOAT32


@dataclass
class Operator:
    """An operator of a TFLite file. options: the schema's name of the table, and its fields. custom: its bytes."""

    code: int | str
    inputs: tuple[int, ...]
    output: int
    options: tuple[str, dict[str, Any]] | None = None
    custom: bytes = b""


@pytest.fixture
def tflite_file() -> type[TfliteFile]:
    """The writer below; a fixture since test modules can't import each other."""
    return TfliteFile


class TfliteFile:
    """Writes TFLite files; tensor 0 is the input, the last operator's output the output."""

    Tensor = Tensor
    Operator = Operator

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def write(self, tensors: Sequence[Tensor], operators: Sequence[Operator]) -> bytes:
        """Return the file."""
        b = self._builder
        buffers = [self._table("Buffer", Data=b.CreateNumpyVector(np.zeros(0, np.uint8)))]
        written = []
        for tensor in tensors:
            data = np.zeros(0, np.uint8) if tensor.values is None else np.frombuffer(tensor.values.tobytes(), np.uint8)
            buffers.append(self._table("Buffer", Data=b.CreateNumpyVector(data)))
            shape = b.CreateNumpyVector(np.array(tensor.shape, np.int32))
            written.append(self._table("Tensor", Shape=shape, Type=tensor.kind, Buffer=len(buffers) - 1))
        codes = [self._code(operator.code) for operator in operators]
        nodes = [self._operator(index, operator) for index, operator in enumerate(operators)]
        graph = self._table(
            "SubGraph",
            Tensors=self._vector(written),
            Inputs=b.CreateNumpyVector(np.array([0], np.int32)),
            Outputs=b.CreateNumpyVector(np.array([operators[-1].output], np.int32)),
            Operators=self._vector(nodes),
        )
        parts = {"OperatorCodes": codes, "Subgraphs": [graph], "Buffers": buffers}
        model = self._table("Model", Version=3, **{name: self._vector(part) for name, part in parts.items()})
        b.Finish(model, b"TFL3")
        return bytes(b.Output())

    def _code(self, code: int | str) -> int:
        if isinstance(code, str):
            name = self._builder.CreateString(code)
            return self._table("OperatorCode", DeprecatedBuiltinCode=tflite.BuiltinOperator.CUSTOM, CustomCode=name)
        return self._table("OperatorCode", BuiltinCode=code, DeprecatedBuiltinCode=min(code, 127))

    def _operator(self, index: int, operator: Operator) -> int:
        b = self._builder
        fields: dict[str, Any] = {
            "OpcodeIndex": index,
            "Inputs": b.CreateNumpyVector(np.array(operator.inputs, np.int32)),
            "Outputs": b.CreateNumpyVector(np.array([operator.output], np.int32)),
            "CustomOptions": b.CreateNumpyVector(np.frombuffer(operator.custom, np.uint8)),
        }
        if operator.options is not None:
            name, values = operator.options
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
            fields["BuiltinOptions"] = self._table(name, **values)
        return self._table("Operator", **fields)

    def _table(self, kind: str, **fields: Any) -> int:
        getattr(tflite, f"{kind}Start")(self._builder)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(self._builder, value)
        return int(getattr(tflite, f"{kind}End")(self._builder))

    def _vector(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())
