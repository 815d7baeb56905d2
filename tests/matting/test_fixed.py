"""Networks of a fixed size, whole and halved, for TensorRT: they answer as the ones that they were made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from bgcamd.errors import EngineError, ModelError
from bgcamd.frame import Size
from bgcamd.matting.fixed import fixed_network
from bgcamd.matting.manifest import Manifest, State, find_manifest

FRAME = Size(1280, 720)
Fetched = Callable[[Manifest], Manifest]
HALF, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


def shapes(values: Any) -> dict[str, tuple[int, ...]]:
    """A size that is not fixed would be 0 here."""
    return {value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim) for value in values}


def run(model: bytes, **feed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def test_only_what_the_manifest_names_is_left_and_all_of_it_is_fixed(counting: Manifest, counting_model: Path) -> None:
    model = onnx.load_from_string(fixed_network(counting, counting_model, Size(128, 72), half=False))
    assert shapes(model.graph.input) == {"x": (1, 3, 72, 128), "before": (1, 1, 72, 128)}
    assert shapes(model.graph.output) == {"alpha": (1, 1, 72, 128), "after": (1, 1, 72, 128)}
    onnx.checker.check_model(model, full_check=True)


def test_constants_are_folded_into_it(counting: Manifest, counting_model: Path) -> None:
    steep = replace(counting, input=replace(counting.input, constants={"step": 0.25}))
    model = fixed_network(steep, counting_model, Size(8, 4), half=False)
    before = np.full((1, 1, 4, 8), 0.5, np.float32)
    got = run(model, x=np.zeros((1, 3, 4, 8), np.float32), before=before)
    np.testing.assert_array_equal(got["alpha"], before + 0.25)
    np.testing.assert_array_equal(got["after"], before + 0.25)


def test_halves_go_in_and_come_out_states_included(counting: Manifest, counting_model: Path) -> None:
    model = fixed_network(counting, counting_model, Size(8, 4), half=True)
    graph = onnx.load_from_string(model).graph
    assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {HALF}
    assert {weight.data_type for weight in graph.initializer} <= {HALF}
    state = np.full((1, 1, 4, 8), 0.5, np.float16)
    got = run(model, x=np.zeros((1, 3, 4, 8), np.float16), before=state)
    np.testing.assert_array_equal(got["after"], state + np.float16(0.125))


def test_a_file_that_is_not_the_manifests_is_refused(plain: Manifest, counting_model: Path) -> None:
    with pytest.raises(ModelError, match=r"the network also wants 'before'"):
        fixed_network(plain, counting_model, Size(8, 4), half=False)


def test_a_network_that_takes_only_its_first_state_is_an_error(
    plain: Manifest, make_model: Callable[..., Path]
) -> None:
    """One of 1x1 fits every picture, one of 5x3 does not."""
    nodes = [("Add", ["r", "w"], "more"), ("Add", ["x", "r"], "alpha")]
    inputs, outputs = {"x": (1, 3, 4, 8), "r": (1, 1, "a", "b")}, {"alpha": (1, 3, 4, 8), "more": (1, 1, 3, 5)}
    file = make_model(nodes, inputs, outputs, {"w": np.ones((1, 1, 3, 5), np.float32)})
    recurrent = replace(plain, states=(State("r", "more"),))
    with pytest.raises(EngineError, match="model plain has no form of a fixed size"):
        fixed_network(recurrent, file, Size(8, 4), half=False)


@pytest.mark.model
@pytest.mark.parametrize("name", ["selfie", "selfie-landscape", "rvm", "u2netp", "u2net"])
class TestRealNetwork:
    def test_answers_as_before(self, fetched: Fetched, name: str) -> None:
        manifest = fetched(find_manifest(name))
        size = manifest.input.spec(FRAME).size
        x = np.random.default_rng(1).random((1, 3, size.height, size.width)).astype(np.float32)
        constants = {key: np.full(1, value, np.float32) for key, value in manifest.input.constants.items()}
        first = {state.input: np.zeros(state.shape, np.float32) for state in manifest.states}
        wanted = run(manifest.path().read_bytes(), **{manifest.input.name: x}, **constants, **first)
        zeros = {state.input: np.zeros_like(wanted[state.output]) for state in manifest.states}
        model = fixed_network(manifest, manifest.path(), size, half=False)
        for key, value in run(model, **{manifest.input.name: x}, **zeros).items():
            np.testing.assert_allclose(value, wanted[key], atol=1e-5)
        halves = {key: value.astype(np.float16) for key, value in ({manifest.input.name: x} | zeros).items()}
        model = fixed_network(manifest, manifest.path(), size, half=True)
        for key, value in run(model, **halves).items():
            assert np.abs(value.astype(np.float32) - wanted[key]).mean() < 2e-3
