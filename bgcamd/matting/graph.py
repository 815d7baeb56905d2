"""An ONNX graph of fixed shapes that is being rewritten."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

Shape = tuple[int, ...]


class Graph:
    """What makes each tensor of a model.

    A rule says how a tensor is made now, or that another one takes its place; it removes nothing and keeps no order,
    since what leads to no output is left out of ``model()``.

    Parameters
    ----------
    model: of ONNX; it is taken over.

    Attributes
    ----------
    weights: the values of the constants, by name.
    complete: whether all shapes are known, and no graphs lie within nodes, as If and Loop have them. Else nothing but
        this attribute may be used.
    """

    def __init__(self, model: Any) -> None:
        self._model = shape_inference.infer_shapes(model)
        graph = self._model.graph
        self.weights: dict[str, NDArray[Any]] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._shapes: dict[str, Shape] = {name: array.shape for name, array in self.weights.items()}
        for value in (*graph.value_info, *graph.input, *graph.output):
            kind = value.type.tensor_type
            if kind.HasField("shape") and all(side.HasField("dim_value") for side in kind.shape.dim):
                self._shapes[value.name] = tuple(side.dim_value for side in kind.shape.dim)
        self._outputs = [value.name for value in graph.output]
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self.complete = self._makers.keys() <= self._shapes.keys() and not any(map(_holds_graph, graph.node))

    def shape(self, tensor: str) -> Shape:
        """Its sides."""
        return self._shapes[tensor]

    def maker(self, tensor: str) -> Any:
        """The node that makes it; None for an input or a constant."""
        return self._makers.get(tensor)

    def nodes(self, *kinds: str) -> list[Any]:
        """Those of some kinds that lead to an output now, each after those that it needs."""
        return [node for node in self._needed() if node.op_type in kinds]

    def uses(self, tensor: str) -> int:
        """How often it is needed."""
        return self._outputs.count(tensor) + sum(list(node.input).count(tensor) for node in self._needed())

    def weight(self, values: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = f"rewritten/{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(values)
        self._shapes[name] = values.shape
        return name

    def add(self, kind: str, inputs: list[str], shape: Shape, *, output: str = "", **attributes: object) -> str:
        """Add a node and return what it makes: a new tensor, or ``output``, which so far was made by another."""
        name = output or f"rewritten/{kind}/{len(self._makers)}"
        self._makers[name] = helper.make_node(kind, inputs, [name], name=f"{name}/{kind}", **attributes)
        self._shapes[name] = shape
        return name

    def replace(self, tensor: str, by: str) -> None:
        """Let all who use a tensor use another one of the same shape."""
        for node in self._makers.values():
            for index, name in enumerate(node.input):
                if name == tensor:
                    node.input[index] = by
        if tensor in self._outputs:
            self.add("Identity", [by], self.shape(by), output=tensor)

    def model(self) -> Any:
        """The ONNX model; the graph is of no more use then."""
        graph, nodes = self._model.graph, self._needed()
        taken = {name for node in nodes for name in node.input}
        weights = [numpy_helper.from_array(values, name) for name, values in self.weights.items() if name in taken]
        for field, values in ((graph.node, nodes), (graph.initializer, weights), (graph.value_info, [])):
            del field[:]
            field.extend(values)
        return self._model

    def _needed(self) -> list[Any]:
        """The nodes that lead to an output, each after those that it needs: depth first."""
        order: list[Any] = []
        done: set[str] = set()
        stack = [(name, False) for name in reversed(self._outputs)]
        while stack:
            name, follows = stack.pop()
            node = self._makers.get(name)
            if node is None or name in done:
                continue
            if follows:
                order.append(node)
                done.update(node.output)
            else:
                stack.append((name, True))
                stack.extend((source, False) for source in reversed(node.input))
        return order


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name; texts are bytes."""
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def on_channels(graph: Graph, node: Any) -> bool:
    """Tell whether a Split or a Concat is one of the channels, of NCHW."""
    return attributes(node).get("axis", 0) in {1, -3} and len(graph.shape(node.output[0])) == 4


def resize(graph: Graph, like: Any, source: str, shape: Shape, *, output: str = "") -> str:
    """Add a Resize to ``shape`` in the manner of the node ``like``, whose picture is as high and wide; return it."""
    inputs = [source, *like.input[1:]]
    if len(inputs) > 3:  # it names the size, channels included, not the factors
        inputs[3] = graph.weight(np.array(shape))
    return graph.add("Resize", inputs, shape, output=output, **attributes(like))


def _holds_graph(node: Any) -> bool:
    return any(one.type in {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS} for one in node.attribute)
