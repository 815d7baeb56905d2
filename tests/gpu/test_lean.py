"""The lean runtime runs a plan that another TensorRT built, and says what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from lean import lean_engine, plan_file

from bgcamd.cuda.fake import FakeDriver
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest, find_manifest
from bgcamd.matting.tensorrt.cache import PlanCache
from bgcamd.matting.tensorrt.fake import FakeTrt
from bgcamd.matting.tensorrt.plans import Plans
from bgcamd.matting.tensorrt.runtime import TensorRt

SIZE = Size(1280, 720)


class LeanFake(FakeTrt):
    """The same library without what builds."""

    class Logger:
        WARNING = 2

        def __init__(self, _: int) -> None: ...


@pytest.fixture
def manifest() -> Manifest:
    found = find_manifest("selfie")
    if not found.path().is_file():
        pytest.skip("needs bgcam models fetch selfie")
    return found


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lean.store", lambda: tmp_path)


def test_runs_a_plan_that_was_built_before(
    fake_gpu: Gpu, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(fake_gpu.driver, FakeDriver)
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTrt(fake_gpu.driver))
    monkeypatch.setitem(sys.modules, "tensorrt_lean", LeanFake(fake_gpu.driver))
    plans = Plans(manifest, fake_gpu.driver, TensorRt("tensorrt"), cache=PlanCache(tmp_path / "cache"))
    plan_file(manifest, SIZE).write_bytes(plans.plan(SIZE, build=True))
    with lean_engine(manifest, fake_gpu, SIZE) as engine:
        spec = engine.fit(SIZE)
        with fake_gpu.array((1, 3, spec.size.height, spec.size.width), np.float16) as tensor:
            alpha = engine.infer(tensor).alpha
            came = np.full(alpha.shape, 9, np.float32)
            fake_gpu.download(came, alpha)
    assert "tensorrt_lean 10.16.1.11, fp16" in engine.name
    assert 0 <= came.min() <= came.max() <= 1


def test_without_it_or_without_a_plan_it_says_so(
    fake_gpu: Gpu, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_lean", None)
    with pytest.raises(EngineError, match="tensorrt_lean is not installed"):
        lean_engine(manifest, fake_gpu, SIZE)
    assert isinstance(fake_gpu.driver, FakeDriver)
    monkeypatch.setitem(sys.modules, "tensorrt_lean", LeanFake(fake_gpu.driver))
    with pytest.raises(EngineError, match=r"there is no plan for tensorrt_lean 10\.16\.1\.11 to run"):
        lean_engine(manifest, fake_gpu, SIZE)
