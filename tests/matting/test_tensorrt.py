"""The engine on TensorRT: the real networks, run by a fake TensorRT on a fake GPU, against ONNX Runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bgcamd.assets import demo_path
from bgcamd.cuda.fake import FakeDriver, fake_compiler
from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import DeviceError, EngineError
from bgcamd.frame import Matte, Size
from bgcamd.matting.manifest import Manifest, find_manifest
from bgcamd.matting.onnx_engine import OnnxEngine
from bgcamd.matting.tensorrt.cache import PlanCache
from bgcamd.matting.tensorrt.engine import TensorRtEngine
from bgcamd.matting.tensorrt.fake import FakeTrt
from bgcamd.matting.tensorrt.plans import NotBuiltError, Plans
from bgcamd.matting.tensorrt.runtime import TensorRt
from bgcamd.matting.tensorrt.staged import Staged

FRAME = Size(1280, 720)
Fetched = Callable[[Manifest], Manifest]
MakePlans = Callable[..., Plans]
MakeBench = Callable[..., Any]


@pytest.fixture
def gpu(fake_gpu: Gpu) -> Gpu:
    """The fake one also on a machine that has one: so is TensorRT."""
    return fake_gpu


def driver_of(gpu: Gpu) -> FakeDriver:
    assert isinstance(gpu.driver, FakeDriver)
    return gpu.driver


@pytest.fixture(params=["tensorrt", "tensorrt-rtx"])
def trt(gpu: Gpu, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeTrt:
    """Each TensorRT in turn."""
    rtx = request.param == "tensorrt-rtx"
    fake = FakeTrt(driver_of(gpu), "1.7.1.116" if rtx else "10.16.1.11", rtx=rtx)
    monkeypatch.setitem(sys.modules, fake.__name__, fake)  # type: ignore[arg-type]
    return fake


@pytest.fixture
def make_plans(trt: FakeTrt, tmp_path: Path) -> MakePlans:
    def make(manifest: Manifest, *, half: bool = False) -> Plans:
        runtime = TensorRt("tensorrt-rtx" if "rtx" in trt.__name__ else "tensorrt")
        return Plans(manifest, trt.driver, runtime, half=half, cache=PlanCache(tmp_path / "gpu"))

    return make


@pytest.fixture
def growing(counting: Manifest, counting_model: Path) -> Manifest:
    """A recurrent network whose alpha grows by 1/8 with every frame."""
    return replace(counting, file=str(counting_model))


class Bench:
    """An engine, fitted, with the one tensor that a canvas would hand it. Called with a picture, it gives the alpha."""

    def __init__(self, gpu: Gpu, plans: Plans, size: Size = FRAME) -> None:
        self.gpu, self.engine = gpu, TensorRtEngine(gpu, plans, build=True)
        spec = self.engine.fit(size)
        self._shape = (1, 3, spec.size.height, spec.size.width)
        self.tensor: DeviceArray = gpu.array(self._shape, np.float16 if spec.half else np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.__exit__(None, None, None)
        self.tensor.close()

    def infer(self) -> Matte:
        return self.engine.infer(self.tensor)

    def result(self, matte: Matte) -> NDArray[np.float32]:
        alpha = np.empty(matte.alpha.shape, np.float32)
        self.gpu.download(alpha, matte.alpha)
        self.gpu.synchronize()
        return alpha

    def __call__(self, picture: NDArray[np.float32] | float = 0) -> NDArray[np.float32]:
        whole = np.broadcast_to(picture, self._shape)
        self.gpu.upload(self.tensor, np.ascontiguousarray(whole, self.tensor.dtype))
        return self.result(self.infer())


@pytest.fixture
def bench(gpu: Gpu) -> Callable[..., Bench]:
    return partial(Bench, gpu)


@pytest.fixture
def people() -> Callable[[Size], list[NDArray[np.float32]]]:
    """Four frames of somebody who moves sideways."""
    if not demo_path().is_file():
        pytest.skip("needs bgcam models fetch --demo")

    def make(size: Size) -> list[NDArray[np.float32]]:
        whole = cv2.resize(cv2.imread(str(demo_path()))[..., ::-1], size).astype(np.float32) / 255
        return [np.roll(whole, 6 * number, axis=1).transpose(2, 0, 1)[None] for number in range(4)]

    return make


@pytest.mark.model
@pytest.mark.parametrize("name", ["selfie", "rvm", "u2netp"])
@pytest.mark.parametrize("half", [False, True])
def test_agrees_with_onnx_runtime_over_several_frames(
    *, make_plans: MakePlans, bench: MakeBench, fetched: Fetched, people: Any, name: str, half: bool
) -> None:
    manifest = fetched(find_manifest(name))
    with OnnxEngine(manifest, manifest.path()) as host, bench(make_plans(manifest, half=half)) as run:
        for frame in people(host.fit(FRAME).size):
            wanted = host.infer(np.ascontiguousarray(frame)).alpha
            difference = np.abs(run(frame) - wanted)
            assert difference.mean() < (4e-3 if half else 1e-6)
            assert half or difference.max() < 2e-4  # halves move an edge here and there
        assert wanted.mean() > 0.05  # somebody is there


class TestStates:
    def test_go_from_frame_to_frame_until_they_are_forgotten(
        self, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        with bench(make_plans(growing)) as run:
            assert [run().mean() for _ in range(3)] == pytest.approx([0.125, 0.25, 0.375])
            run.engine.reset()
            assert run().mean() == pytest.approx(0.125)
            run.engine.fit(FRAME)
            assert run().mean() == pytest.approx(0.125)

    def test_are_part_of_what_is_recorded(
        self, gpu: Gpu, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        with bench(make_plans(growing, half=True)) as run:
            matte = run.infer()
            before = driver_of(gpu).calls.copy()
            with gpu.record(lambda: ignored(run.infer())) as graph:
                assert run.result(matte).mean() == pytest.approx(0.125)  # recording does nothing
                for frame in range(2, 5):
                    graph.launch()
                    assert run.result(matte).mean() == pytest.approx(0.125 * frame)
                run.engine.reset()
                graph.launch()
                assert run.result(matte).mean() == pytest.approx(0.125)
            assert driver_of(gpu).calls["allocate"] == before["allocate"]


def ignored(_: object) -> None:
    """What is recorded returns nothing."""


class TestSizes:
    def test_of_frames_each_have_a_plan_of_their_own(
        self, trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        with bench(make_plans(growing), Size(1280, 720)) as run:
            assert run().shape == (72, 128)
            assert run.engine.fit(Size(720, 1280)).size == Size(72, 128)
            assert run.engine.fit(Size(1280, 720)).size == Size(128, 72)
            assert run().mean() == pytest.approx(0.125)
        assert trt.calls["plan"] == 2

    def test_that_come_to_the_same_input_share_it_and_its_memory(
        self, trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        with bench(make_plans(growing), Size(1280, 720)) as run:
            allocated = trt.driver.calls["allocate"]
            run.engine.fit(Size(1920, 1080))
            assert trt.driver.calls["allocate"] == allocated
        assert trt.calls["engine"] == 1

    def test_that_were_not_built_for_are_an_error_where_nothing_may_be_built(
        self, gpu: Gpu, make_plans: MakePlans, growing: Manifest
    ) -> None:
        with (
            TensorRtEngine(gpu, make_plans(growing)) as engine,
            pytest.raises(NotBuiltError, match="counting is not built for 128x72 on the Fake GPU"),
        ):
            engine.fit(FRAME)


class TestPlan:
    def test_is_built_once_and_found_then(
        self, gpu: Gpu, trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        for _ in range(2):
            with bench(make_plans(growing)) as run:
                assert run().mean() == pytest.approx(0.125)
        assert make_plans(growing).is_built(FRAME)
        assert not make_plans(growing, half=True).is_built(FRAME)
        assert trt.calls["plan"] == 1
        assert trt.calls["jit"] == (1 if "rtx" in trt.__name__ else 0)

    def test_that_is_not_taken_any_more_is_built_again(
        self, gpu: Gpu, trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        with bench(make_plans(growing)):
            pass
        trt.refuse = 1
        with bench(make_plans(growing)) as run:
            assert run().mean() == pytest.approx(0.125)
        assert trt.calls["plan"] == 2

    def test_that_is_never_taken_is_an_error_and_not_built_for_ever(
        self, trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
    ) -> None:
        trt.refuse = 1000
        with pytest.raises(EngineError, match=r"does not take what it built of counting: .* of another version"):
            bench(make_plans(growing))
        assert trt.calls["plan"] == 2

    def test_of_other_constants_is_another(self, make_plans: MakePlans, bench: MakeBench, growing: Manifest) -> None:
        steeper = replace(growing, input=replace(growing.input, constants={"step": 0.25}))
        with bench(make_plans(growing)):
            pass
        with bench(make_plans(steeper)) as run:
            assert run().mean() == pytest.approx(0.25)

    def test_is_made_beside_a_loop_that_records(self, gpu: Gpu, make_plans: MakePlans, growing: Manifest) -> None:
        """What takes long does nothing to the stream, and allocates none of our memory."""
        engine = TensorRtEngine(gpu, make_plans(growing), build=True)
        gpu.record(lambda: engine.prepare(FRAME)).close()
        engine.__exit__(None, None, None)


def test_an_answer_that_is_no_number_stays_one(
    make_plans: MakePlans, bench: MakeBench, plain: Manifest, mean_model: Path
) -> None:
    with bench(make_plans(replace(plain, file=str(mean_model)))) as run:
        picture = np.zeros((1, 3, 4, 8), np.float32)
        picture[0, 1, 2, 3] = np.inf
        alpha = run(picture)
        assert np.isnan(alpha[2, 3])
        assert np.isnan(alpha).sum() == 1


def test_a_gpu_that_fails_is_a_device_error_and_the_rest_is_freed_all_the_same(
    gpu: Gpu, trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
) -> None:
    with bench(make_plans(growing)) as run:
        run()
        trt.dies = True
        with pytest.raises(DeviceError, match=r"tensorrt.* failed: an illegal memory access"):
            run.infer()
        trt.driver.fail("copy")
        trt.dies = False
        with pytest.raises(DeviceError, match="illegal memory access"):
            run.infer()


def test_everything_is_freed_in_the_order_that_is_safe(
    trt: FakeTrt, make_plans: MakePlans, bench: MakeBench, growing: Manifest
) -> None:
    with bench(make_plans(growing)) as run:
        run()
    assert trt.freed == ["context", "engine", "runtime"]
    run.engine.__exit__(None, None, None)  # a second time does nothing


def test_name_says_model_card_and_runtime(gpu: Gpu, trt: FakeTrt, make_plans: MakePlans, growing: Manifest) -> None:
    runtime = {"tensorrt": "tensorrt 10.16.1", "tensorrt_rtx": "tensorrt-rtx 1.7.1"}[trt.__name__]
    with TensorRtEngine(gpu, make_plans(growing, half=True)) as engine:
        assert engine.name == f"counting on Fake GPU ({runtime}, fp16)"


class TestStaged:
    """For a canvas on the CPU."""

    @pytest.fixture
    def staged(self, trt: FakeTrt, make_plans: MakePlans, growing: Manifest) -> Iterator[Callable[..., Staged]]:
        def make(*, half: bool) -> Staged:
            gpu = Gpu(trt.driver, compiler=fake_compiler)
            return Staged(gpu, TensorRtEngine(gpu, make_plans(growing, half=half), build=True))

        return make

    @pytest.mark.parametrize("half", [False, True])
    def test_takes_and_gives_arrays_of_numpy(self, staged: Callable[..., Staged], half: bool) -> None:
        with staged(half=half) as engine:
            spec = engine.fit(FRAME)
            assert not spec.half
            picture = np.ones((1, 3, spec.size.height, spec.size.width), np.float32)
            assert [engine.infer(picture).alpha.mean() for _ in range(2)] == pytest.approx([0.125, 0.25])
            engine.reset()
            matte = engine.infer(picture)
            assert matte.alpha.dtype == np.float32
            assert matte.alpha.mean() == pytest.approx(0.125)
            assert engine.fit(Size(720, 1280)).size == Size(72, 128)
            assert engine.infer(np.ones((1, 3, 128, 72), np.float32)).alpha.shape == (128, 72)

    def test_refuses_an_answer_that_is_no_number(self, staged: Callable[..., Staged]) -> None:
        with staged(half=False) as engine:
            engine.fit(FRAME)
            picture = np.ones((1, 3, 72, 128), np.float32)
            picture[0, 0, 5, 5] = np.nan
            with pytest.raises(EngineError, match="not finite"):
                engine.infer(picture)
