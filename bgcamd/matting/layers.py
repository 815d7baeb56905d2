"""The layers of TensorFlow Lite, each as nodes of ONNX. ``LAYERS`` is the table; one more layer is one more row.

Every function takes the network that is being built and the layer, and adds nodes and weights.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray
from onnx import helper

from bgcamd.errors import ModelError

_NHWC_TO_NCHW = (0, 3, 1, 2)


@dataclass(frozen=True)
class Layer:
    """One operator of a TFLite file.

    kind: its name, as in TFLite's schema, or the custom operator's own.
    inputs, output: numbers of tensors; -1 is an input that is left out.
    operator: the flatbuffer, for ``options``.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    operator: Any

    def options(self, cls: Callable[[], Any]) -> Any:
        """Return the operator's options as the schema's ``cls``."""
        options, table = cls(), self.operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options


@dataclass
class Network:
    """An ONNX graph in the making.

    shape: gives a TFLite tensor's shape, NHWC.
    constants: TFLite tensors whose values are known, as the file lays them out.
    names: what a tensor is called in ONNX, where that is not its number.
    nodes, weights: the result.
    """

    shape: Callable[[int], tuple[int, ...]]
    constants: dict[int, NDArray[Any]]
    names: Mapping[int, str]
    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)

    def name(self, tensor: int) -> str:
        """Return what the TFLite tensor is called in ONNX."""
        return self.names.get(tensor, f"t{tensor}")

    def weight(self, values: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        name = f"w{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(values)
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> None:
        """Add a node."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}/{kind}", **attributes))

    def add_activated(
        self, activation: int, kind: str, inputs: Sequence[str], output: str, **attributes: object
    ) -> None:
        """Add a node and the activation that TFLite fused to it."""
        if activation == tflite.ActivationFunctionType.NONE:
            self.add(kind, inputs, output, **attributes)
            return
        before = f"{output}/before"
        self.add(kind, inputs, before, **attributes)
        if activation == tflite.ActivationFunctionType.RELU:
            self.add("Relu", [before], output)
        elif activation == tflite.ActivationFunctionType.RELU6:
            self.add("Clip", [before, *map(self.weight, (np.array(0, np.float32), np.array(6, np.float32)))], output)
        else:
            raise ModelError(f"the TFLite activation {activation} is not supported: RELU and RELU6 are")


def _dequantize(network: Network, layer: Layer) -> None:
    values = network.constants.get(layer.inputs[0])
    if values is None or values.dtype != np.float16:
        raise ModelError("this TFLite file is quantised; one with float16 or float32 weights is needed")
    network.constants[layer.output] = values.astype(np.float32)


def _convolution(network: Network, layer: Layer) -> None:
    depthwise = layer.kind == "DEPTHWISE_CONV_2D"
    options = layer.options(tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
    kernel = _kernel(network, layer)  # OHWI, or depthwise (1, h, w, o)
    kernel = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
    strides = (options.StrideH(), options.StrideW())
    dilations = (options.DilationHFactor(), options.DilationWFactor())
    network.add_activated(
        options.FusedActivationFunction(),
        "Conv",
        [network.name(layer.inputs[0]), network.weight(kernel), *_bias(network, layer)],
        network.name(layer.output),
        group=network.shape(layer.inputs[0])[3] if depthwise else 1,
        strides=strides,
        dilations=dilations,
        pads=_pads(network, layer, options.Padding(), kernel=kernel.shape[2:], strides=strides, dilations=dilations),
    )


def _transposed_convolution(network: Network, layer: Layer) -> None:
    """MediaPipe's own layer: its options are three int32: padding, horizontal and vertical stride."""
    _, stride_w, stride_h = struct.unpack_from("<3i", bytes(layer.operator.CustomOptionsAsNumpy()))
    kernel = _kernel(network, layer)  # OHWI; ONNX wants IOHW
    _, height, width, _ = network.shape(layer.inputs[0])
    _, out_height, out_width, _ = network.shape(layer.output)
    surplus_h = max((height - 1) * stride_h + kernel.shape[1] - out_height, 0)
    surplus_w = max((width - 1) * stride_w + kernel.shape[2] - out_width, 0)
    network.add(
        "ConvTranspose",
        [network.name(layer.inputs[0]), network.weight(kernel.transpose(3, 0, 1, 2)), *_bias(network, layer)],
        network.name(layer.output),
        strides=(stride_h, stride_w),
        pads=_halves(surplus_h, surplus_w),
    )


def _arithmetic(network: Network, layer: Layer) -> None:
    options = layer.options({"ADD": tflite.AddOptions, "MUL": tflite.MulOptions}[layer.kind])
    network.add_activated(
        options.FusedActivationFunction(),
        layer.kind.capitalize(),
        [_operand(network, tensor) for tensor in layer.inputs],
        network.name(layer.output),
    )


def _relu(network: Network, layer: Layer) -> None:
    network.add("Relu", [network.name(layer.inputs[0])], network.name(layer.output))


def _logistic(network: Network, layer: Layer) -> None:
    network.add("Sigmoid", [network.name(layer.inputs[0])], network.name(layer.output))


def _hard_swish(network: Network, layer: Layer) -> None:
    """x · clip(x / 6 + 1/2, 0, 1); ONNX has HardSwish only from opset 14."""
    x, y = network.name(layer.inputs[0]), network.name(layer.output)
    network.add("HardSigmoid", [x], f"{y}/gate", alpha=1 / 6, beta=0.5)
    network.add("Mul", [x, f"{y}/gate"], y)


def _average_pool(network: Network, layer: Layer) -> None:
    options = layer.options(tflite.Pool2DOptions)
    window = (options.FilterHeight(), options.FilterWidth())
    if window != network.shape(layer.inputs[0])[1:3] or network.shape(layer.output)[1:3] != (1, 1):
        raise ModelError("a TFLite AVERAGE_POOL_2D that is not over the whole picture is not supported")
    _mean_of_picture(network, layer, options.FusedActivationFunction())


def _mean(network: Network, layer: Layer) -> None:
    axes = sorted(network.constants[layer.inputs[1]].ravel().tolist())
    if axes != [1, 2] or not layer.options(tflite.ReducerOptions).KeepDims():
        raise ModelError(f"a TFLite MEAN over the axes {axes} is not supported: over height and width it is")
    _mean_of_picture(network, layer, tflite.ActivationFunctionType.NONE)


def _mean_of_picture(network: Network, layer: Layer, activation: int) -> None:
    inputs = [network.name(layer.inputs[0])]
    network.add_activated(activation, "GlobalAveragePool", inputs, network.name(layer.output))


def _resize(network: Network, layer: Layer) -> None:
    options = layer.options(tflite.ResizeBilinearOptions)
    mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
    size = np.array(network.shape(layer.output), np.int64)[list(_NHWC_TO_NCHW)]
    network.add(
        "Resize",
        [network.name(layer.inputs[0]), "", "", network.weight(size)],
        network.name(layer.output),
        mode="linear",
        coordinate_transformation_mode="align_corners" if options.AlignCorners() else mode,
    )


LAYERS: Mapping[str, Callable[[Network, Layer], None]] = {
    "ADD": _arithmetic,
    "AVERAGE_POOL_2D": _average_pool,
    "CONV_2D": _convolution,
    "Convolution2DTransposeBias": _transposed_convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": _dequantize,
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _logistic,
    "MEAN": _mean,
    "MUL": _arithmetic,
    "RELU": _relu,
    "RESIZE_BILINEAR": _resize,
}


def _kernel(network: Network, layer: Layer) -> NDArray[np.float32]:
    if layer.inputs[1] not in network.constants:
        raise ModelError(f"a TFLite {layer.kind} whose kernel is not a constant is not supported")
    return network.constants[layer.inputs[1]].astype(np.float32)


def _bias(network: Network, layer: Layer) -> list[str]:
    if len(layer.inputs) < 3 or layer.inputs[2] < 0:
        return []
    return [network.weight(network.constants[layer.inputs[2]].astype(np.float32))]


def _operand(network: Network, tensor: int) -> str:
    """The name of a tensor, or of a constant spread over the axes as TFLite does, from the last."""
    if tensor not in network.constants:
        return network.name(tensor)
    values = network.constants[tensor].astype(np.float32)
    nhwc = values.reshape((1,) * (4 - values.ndim) + values.shape)
    return network.weight(nhwc.transpose(_NHWC_TO_NCHW))


def _pads(
    network: Network,
    layer: Layer,
    padding: int,
    *,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    """What TFLite's SAME adds round the picture: the odd row or column at the end."""
    if padding == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    size, out = network.shape(layer.inputs[0])[1:3], network.shape(layer.output)[1:3]
    missing = [
        max((out[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - size[axis], 0)
        for axis in (0, 1)
    ]
    return _halves(*missing)


def _halves(height: int, width: int) -> list[int]:
    """ONNX's pads (top, left, bottom, right) that are ``height`` and ``width`` in all."""
    return [height // 2, width // 2, height - height // 2, width - width // 2]
