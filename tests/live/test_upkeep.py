"""What a GPU's network does to the camera when it is built, and when it fails: nothing that viewers would see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bgcamd.errors import DeviceError, EngineError
from bgcamd.matting.fake import FakeEngine
from bgcamd.pipeline import Pipeline
from bgcamd.scene import PreparedScene
from bgcamd.service.daemon import Daemon
from bgcamd.service.model import Model, Progress

ROOM = 170
"""Y of a frame that the fake network takes for seven tenths of a person: composed it is 153, and 170 is the room."""


def is_composed(luma: int) -> bool:
    return abs(luma - 153) < 4


class Gpu(FakeEngine):
    """An engine that fails as a GPU does, when told to: from then on every frame."""

    broken = False

    def infer(self, tensor: Any) -> Any:
        if self.broken:
            raise DeviceError("the GPU failed: it fell off the bus")
        return super().infer(tensor)


class House:
    """A daemon whose models are opened by ``open``; every engine that was ever made."""

    def __init__(self, live: Any) -> None:
        self.live, self.engines = live, [live.engine]
        self.rescues: list[Model] = []
        self.better: Callable[[Progress], Model] | None = None
        self.daemon = Daemon(
            loop=live.loop,
            capture=live.capture,
            outputs=live.outputs,
            model=Model("net", live.loop.pipeline, "a test", close=lambda: live.engine.__exit__(None, None, None)),
            prepare=lambda scene: PreparedScene(scene, live.loop.scene.backdrop),
            open_model=lambda name: self.open(FakeEngine()),
            rescue=self._rescue,
        )

    def open(self, engine: FakeEngine, better: Callable[[Progress], Model] | None = None) -> Model:
        self.engines.append(engine)
        pipeline = Pipeline(self.live.canvas, engine)
        return Model("net", pipeline, "a test", close=lambda: engine.__exit__(None, None, None), better=better)

    def _rescue(self, model: Model, error: DeviceError) -> Model:
        self.rescues.append(model)
        return self.open(FakeEngine())

    def use(self, model: Model) -> Model:
        assert self.daemon.exchange(self.daemon.model, model)
        return model

    def wait_until(self, true: Callable[[], bool]) -> None:
        for _ in range(2000):
            if true():
                return
            threading.Event().wait(0.005)
        raise AssertionError("it did not come to it")


@pytest.fixture
def house(live: Any) -> Iterator[House]:
    house = House(live)
    with house.daemon._upkeep:
        yield house


def test_what_is_built_beside_takes_over_and_the_cpu_serves_meanwhile(house: House) -> None:
    going = threading.Event()

    def build(tell: Progress) -> Model:
        tell("building net: 40 %")
        going.wait(10)
        return house.open(FakeEngine())

    slow = house.use(house.open(FakeEngine(), better=build))
    house.wait_until(lambda: house.daemon.status()["progress"] == "building net: 40 %")
    seen = len(house.live.screen.seen)
    house.live.screen.wait_for(house.live.is_person, after=seen)
    going.set()
    house.wait_until(lambda: house.daemon.model is not slow)
    house.wait_until(lambda: house.engines[1].closed)
    house.live.screen.wait_for(house.live.is_person, after=len(house.live.screen.seen))
    assert house.daemon.status()["progress"] is None
    assert [engine.closed for engine in house.engines] == [True, True, False]


def test_what_can_not_be_built_leaves_the_cpu_at_work_and_says_why(house: House) -> None:
    def build(tell: Progress) -> Model:
        raise EngineError("the network has an operator that TensorRT does not know")

    model = house.use(house.open(FakeEngine(), better=build))
    house.wait_until(lambda: "operator" in str(house.daemon.status()["progress"]))
    assert house.daemon.model is model
    assert not house.engines[1].closed


def test_a_gpu_that_fails_gives_way_and_no_raw_frame_is_seen(house: House) -> None:
    gpu = Gpu()
    model = house.use(house.open(gpu))
    house.live.screen.wait_for(house.live.is_person, after=len(house.live.screen.seen))
    house.live.camera.luma = ROOM
    gpu.broken = True
    house.wait_until(lambda: house.daemon.model is not model)
    house.live.screen.wait_for(is_composed, after=len(house.live.screen.seen))
    assert not any(abs(luma - ROOM) < 4 for luma in house.live.screen.seen)
    house.wait_until(lambda: gpu.closed)
    assert house.rescues == [model]
    assert house.daemon.status()["state"] == "live"


def test_a_better_network_for_a_model_that_is_gone_is_closed(house: House) -> None:
    going = threading.Event()

    def build(tell: Progress) -> Model:
        going.wait(10)
        return house.open(FakeEngine())

    house.use(house.open(FakeEngine(), better=build))
    house.daemon.apply(house.daemon.scene, "other")
    now = house.daemon.model
    going.set()
    house.wait_until(lambda: len(house.engines) == 4 and house.engines[3].closed)
    assert house.daemon.model is now


def test_another_model_ends_the_build_of_the_one_before(house: House) -> None:
    ended = threading.Event()

    def build(tell: Progress) -> Model:
        try:
            while True:
                tell("building")
                threading.Event().wait(0.005)
        finally:
            ended.set()

    house.use(house.open(FakeEngine(), better=build))
    house.wait_until(lambda: house.daemon.status()["progress"] == "building")
    house.daemon.apply(house.daemon.scene, "other")
    assert ended.wait(10)
    house.wait_until(lambda: house.daemon.status()["progress"] is None)


def test_the_end_of_the_daemon_ends_a_build(live: Any) -> None:
    house, ended = House(live), threading.Event()

    def build(tell: Progress) -> Model:
        try:
            while True:
                tell("building")
                threading.Event().wait(0.005)
        finally:
            ended.set()

    house.use(house.open(FakeEngine(), better=build))
    with house.daemon._upkeep:
        house.wait_until(lambda: house.daemon.status()["progress"] == "building")
    assert ended.is_set()
    assert house.daemon.status()["progress"] is None
