"""The engine on ONNX Runtime, on networks whose answers are known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from bgcamd.errors import EngineError, ModelError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Input, Manifest, Output, State
from bgcamd.matting.onnx_engine import OnnxEngine

MakeModel = Callable[..., Path]
FRAME = Size(1280, 720)
RNG = np.random.default_rng(3)


def picture(width: int = 8, height: int = 4) -> NDArray[np.float32]:
    return RNG.random((1, 3, height, width)).astype(np.float32)


@pytest.fixture
def through(make_model: MakeModel, plain: Manifest) -> Any:
    """Run a network that returns its input's channels, with the given output, and return the alpha."""

    def run(x: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
        file = make_model([("Identity", ["x"], "alpha")], {"x": (1, 3, "h", "w")}, {"alpha": (1, 3, "h", "w")})
        height, width = x.shape[2:]
        with OnnxEngine(replace(plain, input=Input("x", size=(width, height)), output=output), file) as engine:
            engine.fit(FRAME)
            return engine.infer(x).alpha.copy()

    return run


class TestAnswer:
    def test_is_the_networks(self, plain: Manifest, mean_model: Path) -> None:
        x = picture()
        with OnnxEngine(plain, mean_model) as engine:
            assert engine.fit(FRAME).size == Size(8, 4)
            matte = engine.infer(x)
        np.testing.assert_allclose(matte.alpha, x.mean(axis=(0, 1)), atol=1e-6)
        assert matte.alpha.dtype == np.float32
        assert matte.foreground is None

    def test_lies_in_the_same_memory_every_time(self, plain: Manifest, mean_model: Path) -> None:
        with OnnxEngine(plain, mean_model) as engine:
            engine.fit(FRAME)
            first, second = engine.infer(picture()).alpha, engine.infer(picture()).alpha
            assert np.shares_memory(first, second)

    def test_is_cut_to_0_to_1(self, through: Any) -> None:
        x = picture() * 4 - 2
        np.testing.assert_array_equal(through(x, Output("alpha", channel=2)), np.clip(x[0, 2], 0, 1))

    def test_is_what_sigmoid_makes_of_it_however_large(self, through: Any) -> None:
        x = picture() * 20 - 10
        x[0, 0, 0, :2] = (-1e30, 1e30)
        got = through(x, Output("alpha", activation="sigmoid"))
        assert got[0, :2] == pytest.approx([0, 1])
        np.testing.assert_allclose(got[1:], 1 / (1 + np.exp(-x[0, 0, 1:])), atol=1e-6)

    @pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
    def test_is_none_where_a_sigmoid_would_make_a_person_of_infinity(self, through: Any, value: float) -> None:
        x = picture()
        x[0, 0, 1, 1] = value
        with pytest.raises(EngineError, match="not finite"):
            through(x, Output("alpha", activation="sigmoid"))

    def test_is_what_softmax_over_the_channels_makes_of_it(self, through: Any) -> None:
        x = picture() * 1000
        wanted = np.exp(x[0] - x[0].max(axis=0))
        got = through(x, Output("alpha", channel=1, activation="softmax"))
        np.testing.assert_allclose(got, (wanted / wanted.sum(axis=0))[1], atol=1e-6)

    def test_is_stretched_where_the_manifest_says_so(self, through: Any) -> None:
        x = picture() * 5 + 3
        wanted = (x[0, 0] - x[0, 0].min()) / (x[0, 0].max() - x[0, 0].min())
        np.testing.assert_allclose(through(x, Output("alpha", minmax=True)), wanted, atol=1e-6)

    def test_that_is_flat_and_stretched_shows_nothing(self, through: Any) -> None:
        assert through(np.full((1, 3, 4, 8), 0.7, np.float32), Output("alpha", minmax=True)).max() == 0

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("output", [Output("alpha"), Output("alpha", minmax=True)])
    def test_with_one_value_that_is_no_number_is_an_error(self, through: Any, value: float, output: Output) -> None:
        x = picture()
        x[0, 0, 2, 3] = value
        with pytest.raises(EngineError, match="not finite"):
            through(x, output)

    def test_says_how_soft_it_is(self, plain: Manifest, mean_model: Path) -> None:
        with OnnxEngine(replace(plain, output=Output("alpha", softness=2.5)), mean_model) as engine:
            engine.fit(FRAME)
            assert engine.infer(picture()).softness == 2.5

    def test_may_come_without_batch_and_channel(self, plain: Manifest, make_model: MakeModel) -> None:
        nodes = [("ReduceMean", ["x"], "alpha", {"axes": [0, 1], "keepdims": 0})]
        file = make_model(nodes, {"x": (1, 3, 4, 8)}, {"alpha": (4, 8)})
        x = picture()
        with OnnxEngine(plain, file) as engine:
            engine.fit(FRAME)
            np.testing.assert_allclose(engine.infer(x).alpha, x.mean(axis=(0, 1)), atol=1e-6)


class TestState:
    def run(self, engine: OnnxEngine, frames: int, width: int = 128, height: int = 72) -> list[float]:
        return [float(engine.infer(picture(width, height)).alpha.mean()) for _ in range(frames)]

    def test_goes_from_frame_to_frame(self, counting: Manifest, counting_model: Path) -> None:
        with OnnxEngine(counting, counting_model) as engine:
            engine.fit(FRAME)
            assert self.run(engine, 5) == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.625])

    def test_is_forgotten_at_reset(self, counting: Manifest, counting_model: Path) -> None:
        with OnnxEngine(counting, counting_model) as engine:
            engine.fit(FRAME)
            for frames in (1, 2, 3):  # whichever of the two sets of arrays held it
                self.run(engine, frames)
                engine.reset()
                assert self.run(engine, 2) == pytest.approx([0.125, 0.25])
                engine.reset()

    def test_is_forgotten_when_the_frame_has_another_size(self, counting: Manifest, counting_model: Path) -> None:
        with OnnxEngine(counting, counting_model) as engine:
            engine.fit(FRAME)
            self.run(engine, 3)
            assert engine.fit(Size(720, 1280)).size == Size(72, 128)
            assert self.run(engine, 2, 72, 128) == pytest.approx([0.125, 0.25])

    def test_of_one_engine_is_not_anothers(self, counting: Manifest, counting_model: Path) -> None:
        with OnnxEngine(counting, counting_model) as one, OnnxEngine(counting, counting_model) as other:
            one.fit(FRAME)
            other.fit(FRAME)
            self.run(one, 3)
            assert self.run(other, 1) == pytest.approx([0.125])

    def test_survives_a_frame_that_failed(self, counting: Manifest, counting_model: Path) -> None:
        with OnnxEngine(counting, counting_model) as engine:
            engine.fit(FRAME)
            self.run(engine, 2)
            with pytest.raises(EngineError, match=r"counting on cpu .* failed"):
                engine.infer(picture(16, 16))
            assert self.run(engine, 1) == pytest.approx([0.375])

    def test_comes_with_the_foreground(self, counting: Manifest, counting_model: Path) -> None:
        x = picture(128, 72) * 2
        with OnnxEngine(counting, counting_model) as engine:
            engine.fit(FRAME)
            foreground = engine.infer(x).foreground
            assert foreground is not None
            np.testing.assert_array_equal(foreground, np.clip(x[0], 0, 1))


class TestMisfit:
    """The file is not what the manifest says: one line that names both, and the key."""

    def check(self, manifest: Manifest, file: Path, message: str) -> None:
        with pytest.raises(ModelError, match=message) as caught, OnnxEngine(manifest, file) as engine:
            engine.fit(FRAME)
        assert str(file) in caught.value.message
        assert "\n" not in caught.value.message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"input": Input("y", size=(8, 4))}, "input.name: the network has no input 'y', it has x"),
            ({"output": Output("beta")}, "output.alpha: the network has no output 'beta', it has alpha"),
            ({"output": Output("alpha", foreground="f")}, "output.foreground: the network has no output 'f'"),
            ({"output": Output("alpha", channel=1)}, "output.channel: the output has 1 channels"),
            ({"output": Output("alpha", activation="softmax")}, "output.activation: softmax over one channel"),
            ({"states": (State("r", "alpha"),)}, r"states\[0\]\.input: the network has no input 'r'"),
            ({"input": Input("x", size=(8, 4), constants={"k": 1.0})}, "input.constants: the network has no input 'k'"),
        ],
    )
    def test_of_names(self, plain: Manifest, mean_model: Path, change: dict[str, Any], message: str) -> None:
        self.check(replace(plain, **change), mean_model, message)

    def test_of_an_input_that_nobody_feeds(self, counting: Manifest, counting_model: Path) -> None:
        self.check(replace(counting, states=()), counting_model, "the network also wants 'before'")

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((1, 3, 9, 9), "input.size: is 8x4, but the network takes 9x9"),
            ((1, 4, 8, 3), "input.name: 'x' has the shape"),
            ((3, 4, 8), "input.name: 'x' has the shape"),
        ],
    )
    def test_of_the_pictures_shape(
        self, plain: Manifest, make_model: MakeModel, shape: tuple[int, ...], message: str
    ) -> None:
        self.check(plain, make_model([("Relu", ["x"], "alpha")], {"x": shape}, {"alpha": shape}), message)

    def test_of_a_network_of_one_size_said_to_take_any(self, plain: Manifest, make_model: MakeModel) -> None:
        file = make_model([("Relu", ["x"], "alpha")], {"x": (1, 3, 4, 8)}, {"alpha": (1, 3, 4, 8)})
        any_size = replace(plain, input=Input("x", long_side=640))
        self.check(any_size, file, r"input.long_side: the network takes only 8x4; input.size = \[8, 4\]")

    def test_of_the_alphas_shape(self, plain: Manifest, make_model: MakeModel) -> None:
        nodes = [("ReduceMean", ["x"], "alpha", {"axes": [1, 2, 3], "keepdims": 0})]
        file = make_model(nodes, {"x": (1, 3, 4, 8)}, {"alpha": (1,)})
        self.check(plain, file, r"output.alpha: has the shape \(1,\), not")

    def test_of_the_foregrounds_shape(self, plain: Manifest, make_model: MakeModel) -> None:
        nodes = [("Relu", ["x"], "alpha"), ("ReduceMean", ["x"], "colour", {"axes": [2, 3], "keepdims": 1})]
        file = make_model(nodes, {"x": (1, 3, 4, 8)}, {"alpha": (1, 3, 4, 8), "colour": (1, 3, 1, 1)})
        self.check(
            replace(plain, output=Output("alpha", foreground="colour")), file, "output.foreground: has the shape"
        )

    def test_of_types(self, plain: Manifest, make_model: MakeModel) -> None:
        half = onnx.TensorProto.FLOAT16
        file = make_model([("Relu", ["x"], "alpha")], {"x": (1, 3, 4, 8)}, {"alpha": (1, 3, 4, 8)}, kind=half)
        self.check(plain, file, r"input.name: 'x' is tensor\(float16\)")

    def test_of_a_first_state_that_the_network_can_not_take(self, counting: Manifest, counting_model: Path) -> None:
        states = (State("before", "after", shape=(1, 1, 7, 7)),)
        self.check(replace(counting, states=states), counting_model, "the network fails on a picture of 128x72")

    @pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x08\x08" + b"\xff" * 99])
    def test_of_a_file_that_is_no_network(self, plain: Manifest, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "broken.onnx").write_bytes(content)
        self.check(plain, tmp_path / "broken.onnx", "is not an ONNX network that onnxruntime .* can load")

    def test_of_a_truncated_network(self, plain: Manifest, mean_model: Path) -> None:
        mean_model.write_bytes(mean_model.read_bytes()[:-30])
        self.check(plain, mean_model, "is not an ONNX network")


def test_name_says_model_and_runtime(plain: Manifest, mean_model: Path) -> None:
    with OnnxEngine(plain, mean_model) as engine:
        assert engine.name.startswith("plain on cpu (onnxruntime ")


def test_nothing_is_kept_about_who_uses_it(mean_model: Path, tmp_path: Path) -> None:
    """Without our setting onnxruntime 1.32 numbers the machine in a file of its own, as soon as it opens a network."""
    code = f"from bgcamd.matting import onnx_engine; onnx_engine.ort.InferenceSession({str(mean_model)!r})"
    home = tmp_path / "home"
    home.mkdir()
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    subprocess.run([sys.executable, "-c", code], env=ours | {"HOME": str(home)}, check=True)
    assert list(home.iterdir()) == []
