"""Which engine a model gets, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bgcamd.cuda.driver import Card
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import DeviceError, EngineError, ModelError
from bgcamd.frame import Size
from bgcamd.matting import engines
from bgcamd.matting.engines import as_error, find_ways, in_words, open_engine, open_gpu_engine
from bgcamd.matting.manifest import Input, Manifest, find_manifest
from bgcamd.matting.tensorrt.fake import FakeTrt
from bgcamd.matting.tensorrt.plans import NotBuiltError, Plans

FRAME = Size(1280, 720)
RTX = Card("GeForce", (8, 9), integrated=False)
SERVER = Card("H100", (9, 0), integrated=False)
NO_GPU = "there is no NVIDIA GPU, or no driver for it"


@pytest.fixture
def manifest(plain: Manifest, mean_model: Path) -> Manifest:
    return replace(plain, file=str(mean_model), input=Input("x", size=(8, 4)))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plans are kept here; whatever TensorRT is installed is hidden."""
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
    return tmp_path / "gpu"


class Machine:
    """A machine with one GPU, or none, and with the TensorRTs that are installed on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run: Run, card: Card | None) -> None:
        self._monkeypatch = monkeypatch
        self.driver = FakeDriver(card, run)
        self.open = partial(open_engine, driver=self.driver, open_gpu=partial(Gpu, compiler=fake_compiler))

    def install(self, version: str = "10.16.1.11", *, rtx: bool = False) -> FakeTrt:
        trt = FakeTrt(self.driver, version, rtx=rtx)
        self._monkeypatch.setitem(sys.modules, trt.__name__, trt)  # type: ignore[arg-type]
        return trt

    def gpu(self) -> Gpu:
        return Gpu(self.driver, compiler=fake_compiler)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, kernels_on_cpu: Run) -> Callable[..., Machine]:
    return lambda card=RTX: Machine(monkeypatch, kernels_on_cpu, card)


class TestCpu:
    def test_is_taken_when_asked_for(self, manifest: Manifest) -> None:
        engine, why = open_engine(manifest, "cpu")
        with engine:
            assert "on cpu" in engine.name
            assert why == "cpu was asked for"

    def test_is_what_auto_takes_without_a_gpu_and_the_reason_is_said_once(
        self, manifest: Manifest, machine: Callable[..., Machine]
    ) -> None:
        engine, why = machine(None).open(manifest)
        with engine:
            assert engine.fit(FRAME).size == Size(8, 4)
            assert why == f"no TensorRT: {NO_GPU}"

    def test_is_what_auto_takes_where_no_tensorrt_is_installed(
        self, manifest: Manifest, machine: Callable[..., Machine]
    ) -> None:
        engine, why = machine().open(manifest)
        with engine:
            assert why == "no TensorRT: tensorrt is not installed; no TensorRT-RTX: tensorrt_rtx is not installed"

    def test_is_what_auto_takes_for_pictures_of_any_size_by_a_network_that_follows_them(
        self, manifest: Manifest, machine: Callable[..., Machine]
    ) -> None:
        here = machine()
        here.install()
        engine, why = here.open(replace(manifest, input=Input("x", long_side=64)), size=None)
        with engine:
            assert why == "TensorRT would be built for each picture's size anew"
        engine, why = here.open(manifest, size=None)
        with engine:
            assert why == "TensorRT works here"

    def test_is_what_auto_takes_on_this_very_machine(self, manifest: Manifest) -> None:
        """Whatever it has: TensorRT is hidden here. That nothing crashes without a driver is what counts."""
        engine, why = open_engine(manifest)
        with engine:
            assert why.startswith("no TensorRT: ")


class TestTensorRt:
    def test_is_taken_where_it_works(self, manifest: Manifest, machine: Callable[..., Machine]) -> None:
        here = machine()
        here.install()
        here.install("1.7.1.116", rtx=True)
        engine, why = here.open(manifest)
        with engine:
            assert why == "TensorRT works here"
            assert engine.name == "plain on GeForce (tensorrt 10.16.1, fp16)"
            engine.fit(FRAME)
            picture = np.random.default_rng(1).random((1, 3, 4, 8)).astype(np.float32)
            np.testing.assert_allclose(engine.infer(picture).alpha, picture.mean(axis=(0, 1)), atol=2e-3)
        here.driver.check_nothing_left()

    def test_rtx_is_taken_where_the_other_does_not_work(
        self, manifest: Manifest, machine: Callable[..., Machine]
    ) -> None:
        here = machine()
        here.install().breaks = "out of memory"
        here.install("1.7.1.116", rtx=True)
        engine, why = here.open(manifest)
        with engine:
            assert engine.name == "plain on GeForce (tensorrt-rtx 1.7.1, fp16)"
            assert why == (
                "TensorRT-RTX works here; no TensorRT: tensorrt 10.16.1 can't build the network: out of memory"
            )

    @pytest.mark.parametrize(
        ("choice", "message", "hint"),
        [
            ("tensorrt", "no TensorRT: tensorrt is not installed", "pip install 'bgcamd[tensorrt]'"),
            ("tensorrt-rtx", "no TensorRT-RTX: tensorrt_rtx is not installed", "pip install 'bgcamd[rtx]'"),
        ],
    )
    def test_that_is_asked_for_and_not_installed_says_what_to_do(
        self, manifest: Manifest, machine: Callable[..., Machine], choice: engines.Choice, message: str, hint: str
    ) -> None:
        with pytest.raises(EngineError) as caught:
            machine().open(manifest, choice)
        assert (caught.value.message, caught.value.hint) == (message, hint)

    @pytest.mark.parametrize("choice", ["tensorrt", "tensorrt-rtx"])
    def test_that_is_asked_for_without_a_gpu_says_so(
        self, manifest: Manifest, machine: Callable[..., Machine], choice: engines.Choice
    ) -> None:
        here = machine(None)
        here.install()
        here.install("1.7.1.116", rtx=True)
        with pytest.raises(EngineError, match=NO_GPU):
            here.open(manifest, choice)

    def test_rtx_is_not_tried_on_a_card_that_it_is_not_for(
        self, manifest: Manifest, machine: Callable[..., Machine]
    ) -> None:
        here = machine(SERVER)
        here.install("1.7.1.116", rtx=True)
        with pytest.raises(EngineError) as caught:
            here.open(manifest, "tensorrt-rtx")
        assert caught.value.message == "no TensorRT-RTX: tensorrt-rtx 1.7.1 is not for the H100 (sm_90)"

    @pytest.mark.parametrize(("version", "rtx"), [("10.9.0.34", False), ("8.6.1", False), ("1.1.1", True)])
    def test_that_is_too_old_says_so(
        self, manifest: Manifest, machine: Callable[..., Machine], version: str, rtx: bool
    ) -> None:
        here = machine()
        here.install(version, rtx=rtx)
        with pytest.raises(EngineError, match="is too old") as caught:
            here.open(manifest, "tensorrt-rtx" if rtx else "tensorrt")
        assert "--upgrade" in caught.value.hint

    def test_that_is_for_a_newer_cuda_than_the_drivers_is_not_even_loaded(
        self, manifest: Manifest, machine: Callable[..., Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wheel = tmp_path / "tensorrt_cu14_libs-11.9.dist-info"
        wheel.mkdir()
        (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorrt_cu14_libs\nVersion: 11.9\n")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(EngineError) as caught:
            machine().open(manifest, "tensorrt")
        assert caught.value.message == "no TensorRT: tensorrt is for CUDA 14, the driver runs 13.0"
        assert caught.value.hint == "update the GPU's driver"

    @pytest.mark.parametrize("built", [False, True])
    def test_that_does_not_start_is_let_alone(
        self, manifest: Manifest, machine: Callable[..., Machine], built: bool
    ) -> None:
        here = machine()
        trt = here.install()
        if built:
            here.open(manifest)[0].__exit__(None, None, None)
        trt.ghosts = True
        engine, why = here.open(manifest)
        with engine:
            assert "tensorrt 10.16.1 does not start: CUDA initialization failure with error: 35" in why
        here.driver.check_nothing_left()

    def test_that_lacks_a_library_says_which(
        self, manifest: Manifest, machine: Callable[..., Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
        monkeypatch.delitem(sys.modules, "tensorrt")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(EngineError, match=r"tensorrt can't be loaded: libnvinfer\.so\.10: cannot open"):
            machine().open(manifest, "tensorrt")

    def test_that_fails_when_it_runs_is_not_taken_and_all_is_freed(
        self, manifest: Manifest, machine: Callable[..., Machine]
    ) -> None:
        here = machine()
        here.install().dies = True
        engine, why = here.open(manifest)
        with engine:
            assert "on cpu" in engine.name
            assert why.startswith("no TensorRT: tensorrt 10.16.1 failed: an illegal memory access")
        here.driver.check_nothing_left()


def test_without_cuda_python_that_is_what_is_missing(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise DeviceError("cuda-python is not installed", "pip install 'bgcamd[rtx]'")

    monkeypatch.setattr(engines, "CudaDriver", missing)
    assert in_words(find_ways("auto")[1]) == "no TensorRT: cuda-python is not installed"
    assert as_error(find_ways("tensorrt")[1]).hint == "pip install 'bgcamd[tensorrt]'"
    with pytest.raises(EngineError, match="cuda-python is not installed"):
        open_engine(manifest, "tensorrt-rtx")


def test_for_the_live_loop_it_is_asked_for_built_and_opened(
    manifest: Manifest, machine: Callable[..., Machine]
) -> None:
    here = machine()
    trt = here.install()
    ((driver, runtime),) = find_ways("auto", here.driver)[0]
    assert driver is here.driver
    told = []
    with here.gpu() as gpu:
        assert not Plans(manifest, gpu.driver, runtime).is_built(FRAME)
        with pytest.raises(NotBuiltError, match="plain is not built for 8x4 on the GeForce") as caught:
            open_gpu_engine(manifest, gpu, runtime, FRAME, build=False)
        assert caught.value.hint == "bgcam models build plain"
        with open_gpu_engine(manifest, gpu, runtime, FRAME, build=True, progress=lambda *each: told.append(each)):
            assert told[0] == (None, "preparing")
            assert (1.0, "building") in told
            assert told[-1] == (None, "loading")
        assert Plans(manifest, gpu.driver, runtime).is_built(FRAME)
        open_gpu_engine(manifest, gpu, runtime, FRAME, build=False).__exit__(None, None, None)
    assert trt.calls["plan"] == 1
    here.driver.check_nothing_left()


def test_a_model_that_is_not_fetched_says_how_to_fetch_it() -> None:
    with pytest.raises(ModelError, match="not fetched") as caught:
        open_engine(find_manifest("selfie"))
    assert caught.value.hint == "bgcam models fetch selfie"
