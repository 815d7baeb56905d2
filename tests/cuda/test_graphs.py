"""A pipeline that is recorded against one that is queued call by call, and against the CPU's: the same film for each.

Somebody bright walks through a dark room; the network sees who is bright. What it is shown follows them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack

import cv2
import numpy as np
import pytest

from bgcamd.canvas.background import Still
from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.canvas.host import HostCanvas
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.effort import Effort, Governor, Quality
from bgcamd.errors import EngineError
from bgcamd.frame import Frame, InputSpec, Matte, PixelFormat, Size
from bgcamd.graphs import GraphPipeline
from bgcamd.pipeline import Pipeline
from bgcamd.scene import Blur, Colour, Edge, PreparedScene, Scene

SIZE, SEEN = Size(160, 90), Size(40, 24)


def answer(tensor: np.ndarray) -> np.ndarray:
    return np.clip(tensor.reshape(3, SEEN.height, SEEN.width).mean(0) * 6 - 2.5, 0, 1).astype(np.float32)


class Eye:
    """An engine on the CPU."""

    name, follows = "eye", True

    def fit(self, size: Size) -> InputSpec:
        return InputSpec(SEEN)

    def infer(self, tensor: np.ndarray) -> Matte:
        return Matte(answer(tensor), 1.9)

    def reset(self) -> None: ...


class GpusEye(Eye):
    """The same on a GPU, which does it when it comes to it."""

    def __init__(self, gpu: Gpu, driver: FakeDriver) -> None:
        self.gpu, self.driver = gpu, driver
        self.alpha = gpu.array((SEEN.height, SEEN.width), np.float32)
        self.broken = False

    def infer(self, tensor: DeviceArray) -> Matte:
        def work() -> None:
            on_device(self.alpha)[:] = np.nan if self.broken else answer(on_device(tensor)).reshape(-1)

        self.driver.enqueue(self.gpu.stream, work)
        return Matte(self.alpha, 1.9)


class Plain(GraphPipeline):
    """Queued call by call."""

    def _record(self, frame: Frame, scene: PreparedScene) -> None: ...


def on_device(array: DeviceArray) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint8 * array.nbytes).from_address(array.address), np.float32)


@pytest.fixture
def driver(kernels_on_cpu: Run) -> FakeDriver:
    return FakeDriver(run=kernels_on_cpu)


@pytest.fixture
def stack(driver: FakeDriver) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack
    driver.check_nothing_left()


def film(length: int) -> Iterator[Frame]:
    rng = np.random.default_rng(3)
    room = cv2.resize(rng.integers(10, 70, (9, 16), np.uint8), SIZE)
    for number in range(length):
        luma = room.copy()
        step = number // 3  # now and then they stand still
        cv2.ellipse(luma, (40 + 2 * step, 60), (9 + step // 8, 22 + step // 4), 0, 0, 360, 225, -1, cv2.LINE_AA)
        luma += rng.integers(0, 2, luma.shape, np.uint8)
        chroma = np.full((45, 80), 120, np.uint8)
        yield Frame((luma, chroma, chroma), PixelFormat.I420, SIZE, captured_ns=number, sequence=number)


def scenes(plate: HostCanvas) -> list[PreparedScene]:
    """Each for some frames."""
    green, blur = Still(plate.plate.solid((0, 177, 64))), Blur(40)
    return [
        PreparedScene(Scene(Colour()), green),
        PreparedScene(Scene(blur)),
        PreparedScene(Scene(blur, edge=Edge(smooth=95, feather=20))),
        PreparedScene(Scene(Colour(), mirror=True, edge=Edge(threshold=60, light_wrap=50)), green),
        PreparedScene(Scene(Colour(), edge=Edge(smooth=0)), green),
    ]


class Three:
    """Three pipelines: recorded, queued, the CPU's."""

    def __init__(self, stack: ExitStack, driver: FakeDriver, quality: Quality | None) -> None:
        def governor() -> Governor | None:
            return None if quality is None else Governor(quality)

        self.gpu = stack.enter_context(Gpu(driver, compiler=fake_compiler))
        self.eyes, self.all = [], []
        for kind in (GraphPipeline, Plain):
            eye = GpusEye(self.gpu, driver)
            stack.enter_context(eye.alpha)
            canvas = stack.enter_context(CudaCanvas(self.gpu, SIZE))
            self.eyes.append(eye)
            self.all.append(stack.enter_context(kind(canvas, eye, governor=governor())))
        self.all.append(Pipeline(HostCanvas(SIZE), Eye(), governor=governor()))

    @property
    def recorded(self) -> GraphPipeline:
        return self.all[0]

    def run(self, frame: Frame, scene: PreparedScene) -> list[list[np.ndarray]]:
        return [[plane.astype(int) for plane in each.run(frame, scene).planes] for each in self.all]


def apart(some: list[np.ndarray], others: list[np.ndarray]) -> int:
    return max(int(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("quality", [None, "high"])
def test_a_film_is_the_same_recorded_queued_and_on_the_cpu(
    stack: ExitStack, driver: FakeDriver, quality: Quality | None
) -> None:
    three, regions = Three(stack, driver, quality), set()
    dressed = scenes(HostCanvas(SIZE))
    for number, frame in enumerate(film(50)):
        if number == 45:
            for each in three.all:
                each.forget()
        recorded, queued, hosts = three.run(frame, dressed[number // 10])
        assert apart(recorded, queued) == 0
        assert apart(recorded, hosts) <= 2  # an alpha that is off by 1, in a product that is
        glances = [each.canvas.glanced().astype(int) for each in three.all]
        assert (glances[0] == glances[1]).all()
        assert np.abs(glances[0] - glances[2]).max() <= 8
        assert len({each._gaze.region for each in three.all}) == 1
        regions.add(three.recorded._gaze.region)
    assert len(regions) > 3
    assert driver.calls["launch_graph"] == 49
    assert driver.calls["begin_capture"] == 1


def test_a_frame_without_a_matte_is_no_frame_and_the_next_ones_are_as_if_it_had_not_been(
    stack: ExitStack, driver: FakeDriver
) -> None:
    three, (scene, *_) = Three(stack, driver, None), scenes(HostCanvas(SIZE))
    for number, frame in enumerate(film(20)):
        if number == 10:
            for each, eye in zip(three.all, three.eyes, strict=False):
                eye.broken = True
                with pytest.raises(EngineError, match="no valid matte"):
                    each.run(frame, scene)
                eye.broken = False
            continue
        recorded, queued, hosts = three.run(frame, scene)
        assert apart(recorded, queued) == 0
        assert apart(recorded, hosts) <= 2


def test_another_number_of_looks_is_recorded_anew(stack: ExitStack, driver: FakeDriver) -> None:
    three, (scene, *_) = Three(stack, driver, "medium"), scenes(HostCanvas(SIZE))
    captures = []
    for number, frame in enumerate(film(12)):
        for each in three.all:
            each._governor.effort = Effort("trial", looks=1 + number // 4 % 2)
        recorded, queued, hosts = three.run(frame, scene)
        assert apart(recorded, queued) == 0
        assert apart(recorded, hosts) <= 2
        captures.append(driver.calls["begin_capture"])
    assert captures == [1] * 4 + [2] * 4 + [3] * 4


def test_who_sees_the_camera_s_picture_before_changes_nothing_of_what_comes_after(
    stack: ExitStack, driver: FakeDriver
) -> None:
    three, dressed = Three(stack, driver, None), scenes(HostCanvas(SIZE))
    for number, frame in enumerate(film(30)):
        seen: list[list[np.ndarray]] = []

        def see(before: Frame, seen: list[list[np.ndarray]] = seen) -> None:
            seen.append([plane.astype(int) for plane in before.planes])

        scene = dressed[number // 10 * 2]
        looked_at, _, hosts = three.all
        done = [plane.astype(int) for plane in looked_at.run(frame, scene, before=see).planes]
        others = [plane.astype(int) for plane in hosts.run(frame, scene, before=see).planes]
        assert apart(seen[0], seen[1]) == 0
        assert apart(done, others) <= 2
    assert driver.calls["launch_graph"] == 29
