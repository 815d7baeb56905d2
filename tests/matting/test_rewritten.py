"""Which networks the engine on ONNX Runtime rewrites, and that it takes what was made of them only if it is as good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from bgcamd.frame import Size
from bgcamd.matting import blocked, rewritten
from bgcamd.matting.engines import open_engine
from bgcamd.matting.manifest import Manifest, State, find_manifest
from bgcamd.matting.onnx_engine import OnnxEngine

FRAME = Size(1280, 720)
Fetched = Callable[[Manifest], Manifest]


@pytest.fixture(autouse=True)
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever this is run: what is made for x86 works elsewhere, too."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The networks that were rewritten, in the order in which they were."""
    networks: list[bytes] = []
    rewrite = blocked.blocked

    def note(network: bytes) -> bytes | None:
        if (result := rewrite(network)) is not None:
            networks.append(result)
        return result

    monkeypatch.setattr(blocked, "blocked", note)
    return networks


def answers(manifest: Manifest, file: Path, *, rewrite: bool) -> list[np.ndarray]:
    """The alphas of three frames of one size, the foreground of the last, and an alpha of another size."""
    rng = np.random.default_rng(2)
    with OnnxEngine(manifest, file, rewrite=rewrite) as engine:
        size = engine.fit(FRAME).size
        mattes = []
        for _ in range(3):
            matte = engine.infer(rng.random((1, 3, size.height, size.width), np.float32))
            mattes.append(matte.alpha.copy())
        if matte.foreground is not None:
            mattes.append(matte.foreground.copy())
        size = engine.fit(Size(640, 480)).size
        return [*mattes, engine.infer(rng.random((1, 3, size.height, size.width), np.float32)).alpha.copy()]


def check_same(manifest: Manifest, file: Path) -> None:
    for one, other in zip(answers(manifest, file, rewrite=True), answers(manifest, file, rewrite=False), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_network_of_any_size_is_rewritten_for_each_that_it_is_fitted_to(
    counting: Manifest, counting_model: Path, made: list[bytes]
) -> None:
    """With its states, its constants and its foreground."""
    check_same(counting, counting_model)
    pictures = [onnx.load_from_string(network).graph.input[0] for network in made]
    sizes = [[side.dim_value for side in picture.type.tensor_type.shape.dim] for picture in pictures]
    assert sizes == [[1, 3, 72, 128], [1, 3, 96, 128]]


def test_one_of_one_size_is_rewritten_once(plain: Manifest, mean_model: Path, made: list[bytes]) -> None:
    check_same(plain, mean_model)
    assert len(made) == 1


def test_none_is_rewritten_where_each_picture_has_another_size(
    plain: Manifest, mean_model: Path, made: list[bytes]
) -> None:
    manifest = replace(plain, file=str(mean_model))
    for size, count in ((None, 0), (FRAME, 1)):
        with open_engine(manifest, "cpu", size=size)[0] as engine:
            engine.fit(FRAME)
        assert len(made) == count


def test_none_is_rewritten_where_nobody_measured_it(
    plain: Manifest, mean_model: Path, made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    check_same(plain, mean_model)
    assert made == []


def test_none_is_rewritten_that_is_very_large(
    plain: Manifest, mean_model: Path, made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewritten, "_LARGEST", mean_model.stat().st_size - 1)
    check_same(plain, mean_model)
    assert made == []


def test_one_without_a_form_of_a_fixed_size_runs_as_it_is(
    plain: Manifest, make_model: Callable[..., Path], made: list[bytes]
) -> None:
    """It takes its first state only, 1x1, and never the one that it gives."""
    nodes = [("Add", ["r", "w"], "more"), ("Add", ["x", "r"], "alpha")]
    inputs, outputs = {"x": (1, 3, 4, 8), "r": (1, 1, "a", "b")}, {"alpha": (1, 3, 4, 8), "more": (1, 1, 3, 5)}
    file = make_model(nodes, inputs, outputs, {"w": np.ones((1, 1, 3, 5), np.float32)})
    with OnnxEngine(replace(plain, states=(State("r", "more"),)), file) as engine:
        engine.fit(FRAME)
        picture = np.random.default_rng(1).random((1, 3, 4, 8), np.float32)
        np.testing.assert_array_equal(engine.infer(picture).alpha, picture[0, 0])
    assert made == []


def test_none_is_rewritten_where_no_temporary_file_can_be_made(
    counting: Manifest, counting_model: Path, made: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    check_same(counting, counting_model)
    assert made == []


class TestWhatIsNotAsGood:
    """Rewriting that went wrong: the network runs as it is."""

    @pytest.fixture
    def instead(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[bytes], bytes | None]], None]:
        return lambda rewrite: monkeypatch.setattr(blocked, "blocked", rewrite)

    def test_answers_otherwise(self, counting: Manifest, counting_model: Path, instead: Callable[..., None]) -> None:
        def broken(network: bytes) -> bytes:
            model = onnx.load_from_string(network)
            for node in model.graph.node:
                if node.op_type == "Add":
                    node.op_type = "Sub"
            return bytes(model.SerializeToString())

        instead(broken)
        check_same(counting, counting_model)

    def test_is_no_network(self, counting: Manifest, counting_model: Path, instead: Callable[..., None]) -> None:
        instead(lambda network: network[: len(network) // 2])
        check_same(counting, counting_model)

    def test_fails_on_pictures(
        self, plain: Manifest, make_model: Callable[..., Path], mean_model: Path, instead: Callable[..., None]
    ) -> None:
        original = mean_model.read_bytes()
        weights = {"shape": np.array([7])}
        file = make_model([("Reshape", ["x", "shape"], "alpha")], {"x": (1, 3, 4, 8)}, {"alpha": ("n",)}, weights)
        wrong = file.read_bytes()
        mean_model.write_bytes(original)
        instead(lambda network: wrong)
        check_same(plain, mean_model)

    def test_can_not_be_made(self, counting: Manifest, counting_model: Path, instead: Callable[..., None]) -> None:
        instead(lambda network: None)
        check_same(counting, counting_model)


@pytest.mark.model
@pytest.mark.parametrize("name", ["selfie", "selfie-landscape", "rvm", "u2netp"])
def test_a_real_one_is_rewritten_and_answers_as_before(fetched: Fetched, name: str, made: list[bytes]) -> None:
    manifest = fetched(find_manifest(name))
    check_same(manifest, manifest.path())
    assert made
