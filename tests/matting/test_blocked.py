"""Networks rewritten: every rule on a network of its own, and what it leaves alone; the answers stay the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from bgcamd.matting.blocked import blocked

Array = NDArray[Any]
Node = tuple[Any, ...]
Rewrite = Callable[..., Counter[str]]
RNG = np.random.default_rng(7)
DOUBLE = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}


def values(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def network(nodes: list[Node], inputs: dict[str, Any], outputs: dict[str, Any], weights: dict[str, Array]) -> bytes:
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(kind, into, out, **(rest[0] if rest else {})) for kind, into, out, *rest in nodes],
        "test",
        [helper.make_tensor_value_info(name, floats, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, floats, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def answer(model: bytes) -> list[Array]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    return list(session.run(None, {one.name: rng.random(one.shape, np.float32) for one in session.get_inputs()}))


def layers(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def rewrite(*what: Any) -> Counter[str]:
    """Rewrite a network, see that it is one and answers as before, and return the layers that it has now."""
    before = network(*what)
    after = blocked(before)
    assert after is not None
    onnx.checker.check_model(onnx.load_from_string(after), full_check=True)
    for one, other in zip(answer(before), answer(after), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    return layers(after)


class TestNothing:
    def test_a_slice_of_all_is_dropped(self) -> None:
        bounds = {"low": np.array([0, 0]), "high": np.array([4, 6]), "axes": np.array([2, 3])}
        nodes = [("Slice", ["x", "low", "high", "axes"], ["y"]), ("Relu", ["y"], ["alpha"])]
        assert rewrite(nodes, {"x": (1, 2, 4, 6)}, {"alpha": (1, 2, 4, 6)}, bounds) == {"Relu": 1}

    def test_a_slice_of_a_part_stays(self) -> None:
        bounds = {"low": np.array([0, 1]), "high": np.array([4, 6]), "axes": np.array([2, 3])}
        nodes = [("Slice", ["x", "low", "high", "axes"], ["y"]), ("Relu", ["y"], ["alpha"])]
        assert rewrite(nodes, {"x": (1, 2, 4, 6)}, {"alpha": (1, 2, 4, 5)}, bounds)["Slice"] == 1

    def test_a_slice_that_turns_round_stays(self) -> None:
        bounds = {"low": np.array([3]), "high": np.array([-9]), "axes": np.array([2]), "steps": np.array([-1])}
        nodes = [("Slice", ["x", "low", "high", "axes", "steps"], ["y"]), ("Relu", ["y"], ["alpha"])]
        assert rewrite(nodes, {"x": (1, 2, 4, 6)}, {"alpha": (1, 2, 4, 6)}, bounds)["Slice"] == 1

    def test_an_expansion_that_spreads_nothing_is_dropped(self) -> None:
        nodes = [("Expand", ["x", "shape"], ["y"]), ("Relu", ["y"], ["alpha"])]
        whole = {"shape": np.array([1, 1, 4, 6])}
        assert rewrite(nodes, {"x": (1, 2, 4, 6)}, {"alpha": (1, 2, 4, 6)}, whole) == {"Relu": 1}
        assert rewrite(nodes, {"x": (1, 2, 1, 1)}, {"alpha": (1, 2, 4, 6)}, whole)["Expand"] == 1

    def test_what_is_dropped_may_have_been_an_output(self) -> None:
        nodes = [("Relu", ["x"], ["y"]), ("Expand", ["y", "shape"], ["alpha"])]
        shape = {"shape": np.array([1, 2, 4, 6])}
        assert rewrite(nodes, {"x": (1, 2, 4, 6)}, {"alpha": (1, 2, 4, 6)}, shape) == {"Relu": 1, "Identity": 1}

    def test_what_leads_nowhere_is_dropped(self) -> None:
        nodes = [("Relu", ["x"], ["alpha"]), ("Exp", ["x"], ["unused"])]
        assert rewrite(nodes, {"x": (1, 2, 4, 6)}, {"alpha": (1, 2, 4, 6)}, {}) == {"Relu": 1}


class TestPixels:
    @staticmethod
    def modes(model: bytes | None) -> list[bytes]:
        assert model is not None
        nodes = onnx.load_from_string(model).graph.node
        return [one.s for node in nodes for one in node.attribute if one.name == "coordinate_transformation_mode"]

    @pytest.mark.parametrize(("height", "mode"), [(2, b"half_pixel"), (1, b"pytorch_half_pixel")])
    def test_of_pytorch_are_halves_unless_there_is_only_one(self, height: int, mode: bytes) -> None:
        size = {"size": np.array([1, 2, height, 9])}
        nodes = [
            (
                "Resize",
                ["x", "", "", "size"],
                ["alpha"],
                DOUBLE | {"coordinate_transformation_mode": "pytorch_half_pixel"},
            )
        ]
        what = (nodes, {"x": (1, 2, 5, 6)}, {"alpha": (1, 2, height, 9)}, size)
        rewrite(*what)
        assert self.modes(blocked(network(*what))) == [mode]


class TestMean:
    def test_of_the_channels_is_a_product(self) -> None:
        nodes = [("ReduceMean", ["x"], ["alpha"], {"axes": [1]})]
        assert rewrite(nodes, {"x": (1, 3, 4, 6)}, {"alpha": (1, 1, 4, 6)}, {}) == {"Reshape": 2, "MatMul": 1}

    @pytest.mark.parametrize(
        ("how", "shape"),
        [({"axes": [2]}, (1, 3, 1, 6)), ({"axes": [1], "keepdims": 0}, (1, 4, 6)), ({}, (1, 1, 1, 1))],
    )
    def test_of_anything_else_stays(self, how: dict[str, Any], shape: tuple[int, ...]) -> None:
        nodes = [("ReduceMean", ["x"], ["alpha"], how)]
        assert rewrite(nodes, {"x": (1, 3, 4, 6)}, {"alpha": shape}, {}) == {"ReduceMean": 1}


class TestConvolutionOfParts:
    INPUTS = {"a": (1, 5, 4, 6), "b": (1, 3, 4, 6)}  # noqa: RUF012 - never changed

    def nodes(self, *parts: str, axis: int = 1) -> list[Node]:
        how = {"pads": [1, 1, 1, 1], "strides": [2, 1]}
        return [("Concat", list(parts), ["joint"], {"axis": axis}), ("Conv", ["joint", "w", "bias"], ["alpha"], how)]

    @pytest.mark.parametrize("axis", [1, -3])
    def test_is_the_sum_of_one_of_each(self, axis: int) -> None:
        weights = {"w": values(7, 8, 3, 3), "bias": values(7)}
        found = rewrite(self.nodes("a", "b", axis=axis), self.INPUTS, {"alpha": (1, 7, 2, 6)}, weights)
        assert found == {"Conv": 2, "Add": 1}

    def test_may_be_of_the_same_part_twice(self) -> None:
        weights = {"w": values(7, 13, 3, 3), "bias": values(7)}
        found = rewrite(self.nodes("a", "b", "a"), self.INPUTS, {"alpha": (1, 7, 2, 6)}, weights)
        assert found == {"Conv": 3, "Add": 2}

    def test_what_was_put_together_stays_where_others_want_it(self) -> None:
        weights = {"w": values(7, 8, 3, 3), "bias": values(7)}
        nodes = [*self.nodes("a", "b"), ("Relu", ["joint"], ["other"])]
        found = rewrite(nodes, self.INPUTS, {"alpha": (1, 7, 2, 6), "other": (1, 8, 4, 6)}, weights)
        assert found == {"Conv": 2, "Add": 1, "Concat": 1, "Relu": 1}

    def test_by_groups_stays(self) -> None:
        nodes = [("Concat", ["a", "b"], ["joint"], {"axis": 1}), ("Conv", ["joint", "w"], ["alpha"], {"group": 2})]
        found = rewrite(nodes, self.INPUTS, {"alpha": (1, 4, 4, 6)}, {"w": values(4, 4, 1, 1)})
        assert found == {"Concat": 1, "Conv": 1}

    def test_of_rows_put_together_stays(self) -> None:
        nodes = [("Concat", ["a", "a"], ["joint"], {"axis": 2}), ("Conv", ["joint", "w"], ["alpha"])]
        found = rewrite(nodes, {"a": (1, 5, 4, 6)}, {"alpha": (1, 2, 8, 6)}, {"w": values(2, 5, 1, 1)})
        assert found == {"Concat": 1, "Conv": 1}

    def test_by_a_kernel_that_is_computed_stays(self) -> None:
        nodes = [("Concat", ["a", "b"], ["joint"], {"axis": 1}), ("Conv", ["joint", "w"], ["alpha"])]
        found = rewrite(nodes, self.INPUTS | {"w": (2, 8, 1, 1)}, {"alpha": (1, 2, 4, 6)}, {})
        assert found == {"Concat": 1, "Conv": 1}


class TestConvolutionOfTheEnlarged:
    @staticmethod
    def run(kernel: tuple[int, ...], size: tuple[int, int] = (8, 12), **how: Any) -> list[str]:
        pads = {"pads": [kernel[2] // 2] * 4}
        nodes = [("Resize", ["x", "", "", "size"], ["y"], DOUBLE | how), ("Conv", ["y", "w", "bias"], ["alpha"], pads)]
        weights = {"w": values(*kernel), "bias": values(kernel[0]), "size": np.array([1, 5, *size])}
        what = (nodes, {"x": (1, 5, 4, 6)}, {"alpha": (1, kernel[0], *size)}, weights)
        rewrite(*what)
        after = blocked(network(*what))
        assert after is not None
        return [node.op_type for node in onnx.load_from_string(after).graph.node]

    @pytest.mark.parametrize("mode", ["half_pixel", "align_corners", "asymmetric"])
    def test_comes_before(self, mode: str) -> None:
        assert self.run((3, 5, 1, 1), coordinate_transformation_mode=mode) == ["Conv", "Resize"]

    def test_stays_where_it_would_be_more_work(self) -> None:
        assert self.run((7, 5, 1, 1)) == ["Resize", "Conv"]  # more channels to enlarge
        assert self.run((3, 5, 1, 1), size=(2, 12)) == ["Resize", "Conv"]  # not enlarged

    def test_stays_where_it_sees_neighbours(self) -> None:
        assert self.run((3, 5, 3, 3)) == ["Resize", "Conv"]

    def test_stays_where_the_weights_of_pixels_are_not_a_mean(self) -> None:
        assert self.run((3, 5, 1, 1), mode="cubic") == ["Resize", "Conv"]


class TestGate:
    @pytest.mark.parametrize("order", [["x", "gate"], ["gate", "x"]])
    def test_is_spread_over_the_picture(self, order: list[str]) -> None:
        found = rewrite(
            [("Mul", order, ["alpha"])], {"x": (1, 5, 4, 6), "gate": (1, 5, 1, 1)}, {"alpha": (1, 5, 4, 6)}, {}
        )
        assert found == {"Resize": 1, "Mul": 1}

    @pytest.mark.parametrize("other", [(1, 5, 4, 6), (1, 1, 4, 6), (1, 1, 1, 1), (5, 1, 1)])
    def test_of_another_shape_stays(self, other: tuple[int, ...]) -> None:
        found = rewrite([("Mul", ["x", "y"], ["alpha"])], {"x": (1, 5, 4, 6), "y": other}, {"alpha": (1, 5, 4, 6)}, {})
        assert found == {"Mul": 1}


class TestEnlargingWhatWasPutTogether:
    @pytest.mark.parametrize(("channels", "convolutions"), [(64, 1), (65, 0)])
    def test_follows_a_convolution_that_changes_nothing_unless_there_are_many(
        self, channels: int, convolutions: int
    ) -> None:
        shape = (1, channels, 2, 3)
        nodes = [("Concat", ["a", "b"], ["y"], {"axis": 1}), ("Resize", ["y", "", "factors"], ["alpha"], DOUBLE)]
        factors = {"factors": np.array([1, 1, 2, 2], np.float32)}
        found = rewrite(nodes, {"a": shape, "b": shape}, {"alpha": (1, 2 * channels, 4, 6)}, factors)
        assert found["Conv"] == convolutions


class TestUnneededChannels:
    """Colours and alpha as RVM makes them: by kernels, enlarged, times the picture, cut apart, and one is left."""

    WEIGHTS = {  # noqa: RUF012 - never changed
        "w": values(4, 6, 1, 1),
        "bias": values(4),
        "size": np.array([1, 4, 8, 12]),
        "parts": np.array([3, 1]),
        "low": np.array(0, np.float32),
        "high": np.array(1, np.float32),
    }
    NODES = (
        ("Conv", ["x", "w", "bias"], ["four"]),
        ("Resize", ["four", "", "", "size"], ["large"], DOUBLE),
        ("Concat", ["picture", "grey"], ["seen"], {"axis": 1}),
        ("Mul", ["large", "seen"], ["product"]),
        ("Clip", ["product", "low", "high"], ["cut"]),
        ("Split", ["cut", "parts"], ["colours", "last"], {"axis": 1}),
        ("Sigmoid", ["last"], ["alpha"]),
    )
    INPUTS = {"x": (1, 6, 4, 6), "picture": (1, 3, 8, 12), "grey": (1, 1, 8, 12)}  # noqa: RUF012 - never changed

    def test_are_never_made(self) -> None:
        what = (list(self.NODES), self.INPUTS, {"alpha": (1, 1, 8, 12)}, self.WEIGHTS)
        assert rewrite(*what) == {"Conv": 1, "Resize": 1, "Mul": 1, "Clip": 1, "Sigmoid": 1}
        after = blocked(network(*what))
        assert after is not None
        kernels = [one.dims for one in onnx.load_from_string(after).graph.initializer if len(one.dims) == 4]
        assert [list(dims) for dims in kernels] == [[1, 6, 1, 1]]

    def test_are_made_where_somebody_needs_them(self) -> None:
        outputs = {"alpha": (1, 1, 8, 12), "colours": (1, 3, 8, 12)}
        assert rewrite(list(self.NODES), self.INPUTS, outputs, self.WEIGHTS)["Split"] == 1

    def test_of_a_layer_that_mixes_them_are_cut_off(self) -> None:
        nodes = [("Softmax", ["x"], ["y"], {"axis": 1}), ("Split", ["y", "parts"], ["a", "alpha"], {"axis": 1})]
        found = rewrite(nodes, {"x": (1, 4, 4, 6)}, {"alpha": (1, 1, 4, 6)}, {"parts": np.array([3, 1])})
        assert found == {"Softmax": 1, "Slice": 1, "Identity": 1}

    def test_across_the_parts_of_a_concat_are_cut_out_of_it(self) -> None:
        nodes = [
            ("Concat", ["a", "b"], ["y"], {"axis": 1}),
            ("Split", ["y", "parts"], ["c", "alpha", "d"], {"axis": 1}),
        ]
        parts = {"parts": np.array([2, 3, 1])}
        found = rewrite(nodes, {"a": (1, 3, 4, 6), "b": (1, 3, 4, 6)}, {"alpha": (1, 3, 4, 6)}, parts)
        assert found == {"Concat": 1, "Slice": 1, "Identity": 1}

    def test_of_one_part_of_several_parts_that_are_needed_stay(self) -> None:
        nodes = [
            ("Split", ["x", "parts"], ["a", "b", "c"], {"axis": 1}),
            ("Concat", ["a", "c"], ["alpha"], {"axis": 1}),
        ]
        parts = {"parts": np.array([1, 2, 1])}
        assert rewrite(nodes, {"x": (1, 4, 4, 6)}, {"alpha": (1, 2, 4, 6)}, parts)["Split"] == 1


class TestLeftAlone:
    def test_is_a_network_of_unknown_shapes(self) -> None:
        nodes: list[Node] = [("Relu", ["x"], ["y"]), ("Relu", ["y"], ["alpha"])]
        assert blocked(network(nodes, {"x": (1, 3, "h", "w")}, {"alpha": (1, 3, "h", "w")}, {})) is None

    def test_is_one_with_graphs_within(self) -> None:
        floats = onnx.TensorProto.FLOAT
        inner = helper.make_graph(
            [helper.make_node("Relu", ["x"], ["z"])], "inner", [], [helper.make_tensor_value_info("z", floats, (1, 3))]
        )
        nodes: list[Node] = [("If", ["yes"], ["alpha"], {"then_branch": inner, "else_branch": inner})]
        model = network(nodes, {"x": (1, 3)}, {"alpha": (1, 3)}, {"yes": np.array(True)})
        assert blocked(model) is None


STEPS = ("conv", "wide", "relu", "double", "join", "gate", "halve", "mean")


@settings(max_examples=60)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=9), st.integers(1, 5))
def test_whatever_layers_follow_each_other_the_answer_is_the_same(steps: list[str], channels: int) -> None:
    nodes: list[Node] = []
    weights: dict[str, Array] = {"factors": np.array([1, 1, 2, 2], np.float32)}
    now, shape = "x", (1, channels, 4, 3)
    inputs = {"x": shape}
    for number, step in enumerate(steps):
        name, width = f"t{number}", shape[1]
        if step in {"conv", "wide"}:
            side = 1 if step == "conv" else 3
            weights[f"w{number}"] = values(channels + 1, width, side, side) / (width * side)
            nodes.append(("Conv", [now, f"w{number}"], [name], {"pads": [side // 2] * 4}))
            shape = (1, channels + 1, *shape[2:])
        elif step == "double" and shape[2] < 32:
            nodes.append(("Resize", [now, "", "factors"], [name], DOUBLE))
            shape = (*shape[:2], shape[2] * 2, shape[3] * 2)
        elif step == "join" and width < 40:
            nodes += [("Relu", [now], [f"r{number}"]), ("Concat", [now, f"r{number}"], [name], {"axis": 1})]
            shape = (1, 2 * width, *shape[2:])
        elif step == "gate":
            nodes += [("GlobalAveragePool", [now], [f"g{number}"]), ("Mul", [now, f"g{number}"], [name])]
        elif step == "halve" and width % 2 == 0:
            weights[f"s{number}"] = np.array([width // 2] * 2)
            nodes.append(("Split", [now, f"s{number}"], [f"u{number}", name], {"axis": 1}))
            shape = (1, width // 2, *shape[2:])
        elif step == "mean":
            nodes.append(("ReduceMean", [now], [name], {"axes": [1]}))
            shape = (1, 1, *shape[2:])
        else:
            nodes.append(("Relu", [now], [name]))
        now = name
    rewrite(nodes, inputs, {now: shape}, weights)


def test_a_file_of_the_rewritten_network_is_no_larger(tmp_path: Path) -> None:
    """Nothing of what was replaced stays in it."""
    nodes: list[Node] = [("Concat", ["a", "b"], ["y"], {"axis": 1}), ("Conv", ["y", "w"], ["alpha"])]
    what = (nodes, {"a": (1, 32, 4, 6), "b": (1, 32, 4, 6)}, {"alpha": (1, 64, 4, 6)}, {"w": values(64, 64, 1, 1)})
    before = network(*what)
    after = blocked(before)
    assert after is not None
    assert len(after) < len(before) + 1000
