"""Which engine a model gets, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnxruntime as ort
import pytest

from bgcamd.errors import EngineError, ModelError
from bgcamd.frame import Size
from bgcamd.matting import engines
from bgcamd.matting.engines import open_engine
from bgcamd.matting.manifest import Input, Manifest, find_manifest


@pytest.fixture
def manifest(plain: Manifest, mean_model: Path) -> Manifest:
    return replace(plain, file=str(mean_model), input=Input("x", size=(8, 4)))


@pytest.fixture
def no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])


@pytest.fixture
def broken_tensorrt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An onnxruntime that has TensorRT by name, but whose sessions come up without it, as when a library is missing."""
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    open_session: Callable[..., object] = ort.InferenceSession

    def without(file: str, options: object, providers: list[tuple[str, object]]) -> object:
        return open_session(file, options, providers=[each for each in providers if each[0] != engines.TENSORRT])

    monkeypatch.setattr(ort, "get_available_providers", lambda: [engines.TENSORRT, "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", without)


def test_cpu_is_taken_when_asked_for(manifest: Manifest) -> None:
    engine, why = open_engine(manifest, "cpu")
    with engine:
        assert "on cpu" in engine.name
        assert why == "cpu was asked for"


@pytest.mark.usefixtures("no_tensorrt")
def test_auto_falls_to_the_cpu_and_says_why(manifest: Manifest) -> None:
    engine, why = open_engine(manifest)
    with engine:
        assert engine.fit(Size(1280, 720)).size == Size(8, 4)
        assert why == f"no TensorRT: onnxruntime {ort.__version__} was built without it"


@pytest.mark.usefixtures("no_tensorrt")
def test_tensorrt_that_is_not_there_says_what_to_install(manifest: Manifest) -> None:
    with pytest.raises(EngineError, match=r"no TensorRT: onnxruntime .* built without it") as caught:
        open_engine(manifest, "tensorrt")
    assert "onnxruntime-gpu" in caught.value.hint


@pytest.mark.usefixtures("broken_tensorrt")
def test_tensorrt_that_is_there_but_does_not_work_is_not_taken(manifest: Manifest) -> None:
    with pytest.raises(EngineError, match="can't use TensorrtExecutionProvider here"):
        open_engine(manifest, "tensorrt")
    engine, why = open_engine(manifest, "auto")
    with engine:
        assert "on cpu" in engine.name
        assert "can't use TensorrtExecutionProvider" in why


@pytest.mark.parametrize("choice", ["auto", "cpu", "tensorrt"])
def test_a_model_that_is_not_fetched_is_told_first(
    choice: engines.Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="selfie is not fetched") as caught:
        open_engine(find_manifest("selfie"), choice)
    assert caught.value.hint == "bgcam models fetch selfie"
