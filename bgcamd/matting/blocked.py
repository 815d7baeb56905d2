"""Networks rewritten so that ONNX Runtime on x86 runs them sooner; they answer the same, but for rounding.

Its convolutions are fast on a blocked layout (NCHWc: channels in groups of 8 or 16), which only some layers have;
around each of the others everything is laid out anew. A convolution of a number of channels that is no multiple of 4
has no blocked form at all and takes three times as long. (Which layers have one, and when: ``nchwc_transformer.cc``
of ONNX Runtime.) The rules here put layers that are blocked in the place of others, or less work in the place of
more. Each says how much longer a network takes without it, on one thread with AVX-512.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from bgcamd.matting.graph import Graph, Shape, attributes, on_channels, resize
from bgcamd.matting.narrow import keep_needed_channels

_WIDEST = 128  # channels: to convolve more of them takes longer than is saved


def blocked(network: bytes) -> bytes | None:
    """Return an ONNX network rewritten; None where it is not ``Graph.complete``."""
    graph = Graph(onnx.load_from_string(network))
    if not graph.complete:
        return None
    for rule in _RULES:
        rule(graph)
    result: bytes = graph.model().SerializeToString()
    return result


def _drop_what_changes_nothing(graph: Graph) -> None:
    """A Slice or an Expand to the shape that is there already. RVM: 4 %."""
    for node in graph.nodes("Slice", "Expand"):
        source, result = node.input[0], node.output[0]
        steps = graph.weights.get(node.input[4]) if len(node.input) > 4 else np.ones(1)
        if graph.shape(source) == graph.shape(result) and steps is not None and (steps == 1).all():
            graph.replace(result, source)


def _call_pixels_alike(graph: Graph) -> None:
    """PyTorch's half pixels are others only where a side of one pixel is made, but never blocked. RVM: 13 %."""
    for node in graph.nodes("Resize"):
        for attribute in node.attribute:
            if attribute.s == b"pytorch_half_pixel" and 1 not in graph.shape(node.output[0])[2:]:
                attribute.s = b"half_pixel"


def _average_by_product(graph: Graph) -> None:
    """The mean of the channels is a matrix product; ReduceMean takes five times as long. RVM: 5 %."""
    for node in graph.nodes("ReduceMean"):
        given, shape = attributes(node), graph.shape(node.input[0])
        if given.get("axes") != [1] or not given.get("keepdims", 1) or len(shape) != 4 or shape[0] != 1:
            continue
        flat, result = (shape[1], shape[2] * shape[3]), (1, 1, *shape[2:])
        rows = graph.add("Reshape", [node.input[0], graph.weight(np.array(flat))], flat)
        factors = graph.weight(np.full((1, shape[1]), 1 / shape[1], np.float32))
        mean = graph.add("MatMul", [factors, rows], (1, flat[1]))
        graph.add("Reshape", [mean, graph.weight(np.array(result))], result, output=node.output[0])


def _convolve_parts(graph: Graph) -> None:
    """The convolution of a Concat is the sum of one of each part: nothing is put together. RVM: 18 %."""
    for node in graph.nodes("Conv"):
        joint, kernel, given = graph.maker(node.input[0]), graph.weights.get(node.input[1]), attributes(node)
        if joint is None or joint.op_type != "Concat" or kernel is None or given.get("group", 1) != 1:
            continue
        if on_channels(graph, joint):
            ends = np.cumsum([graph.shape(part)[1] for part in joint.input])
            inputs = [
                [part, graph.weight(own)]
                for part, own in zip(joint.input, np.split(kernel, ends[:-1], axis=1), strict=True)
            ]
            inputs[0] += node.input[2:]  # the bias
            shape = graph.shape(node.output[0])
            total, *others = [graph.add("Conv", own, shape, **given) for own in inputs]
            for other in others:
                result = node.output[0] if other is others[-1] else ""
                total = graph.add("Add", [total, other], shape, output=result)


def _convolve_before_enlarging(graph: Graph) -> None:
    """A 1x1 convolution of a picture that was enlarged does the same before, to fewer pixels. selfie: 9 %."""
    for node in graph.nodes("Conv"):
        larger, kernel = graph.maker(node.input[0]), graph.weights.get(node.input[1])
        if larger is None or larger.op_type != "Resize" or kernel is None or not _is_pointwise(kernel.shape, node):
            continue
        (_, many, *small), (_, few, *large) = graph.shape(larger.input[0]), graph.shape(node.output[0])
        if few <= many and small <= large and small[1] <= large[1] and _is_weighted_mean(larger):
            before = graph.add("Conv", [larger.input[0], *node.input[1:]], (1, few, *small), **attributes(node))
            resize(graph, larger, before, (1, few, *large), output=node.output[0])


def _is_pointwise(kernel: Shape, node: Any) -> bool:
    plain = {"strides": [1, 1], "pads": [0, 0, 0, 0], "group": 1, "auto_pad": b"NOTSET"}
    given = attributes(node)
    return kernel[2:] == (1, 1) and all(given.get(key, value) == value for key, value in plain.items())


def _is_weighted_mean(node: Any) -> bool:
    """Whether all that a Resize makes is the mean, somehow weighted, of pixels: so that it keeps what a bias adds."""
    given = attributes(node)
    modes = {b"half_pixel", b"pytorch_half_pixel", b"asymmetric", b"align_corners"}
    return given.get("mode") == b"linear" and given.get("coordinate_transformation_mode", b"half_pixel") in modes


def _spread_gates(graph: Graph) -> None:
    """A product is blocked where both sides have one shape, so a channel's one factor is spread. selfie: 11 %."""
    for node in graph.nodes("Mul"):
        shape = graph.shape(node.output[0])
        for index, source in enumerate(node.input):
            if len(shape) == 4 and graph.shape(source) == (*shape[:2], 1, 1) != shape:
                nowhere, factors = (graph.weight(np.array(of, np.float32)) for of in ([], [1, 1, *shape[2:]]))
                how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
                node.input[index] = graph.add("Resize", [source, nowhere, factors], shape, **how)


def _block_before_enlarging(graph: Graph) -> None:
    """Enlarging is four times faster where it is blocked, and what a convolution made is blocked. RVM: 11 %."""
    for node in graph.nodes("Resize"):
        joint, shape = graph.maker(node.input[0]), graph.shape(node.input[0])
        if joint is not None and joint.op_type == "Concat" and len(shape) == 4 and shape[1] <= _WIDEST:
            same = graph.weight(np.eye(shape[1], dtype=np.float32)[:, :, None, None])
            node.input[0] = graph.add("Conv", [node.input[0], same], shape)


_RULES = (
    _drop_what_changes_nothing,
    _call_pixels_alike,
    keep_needed_channels,
    _average_by_product,
    _convolve_parts,
    _convolve_before_enlarging,
    _spread_gates,
    _block_before_enlarging,
)
