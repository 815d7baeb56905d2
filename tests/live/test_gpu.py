"""The daemon on a GPU that is none: built beside, replayed, dressed anew, failed, rebuilt, failed again; all is freed.

Everything but the silicon is the real thing: the GPU's canvas and its kernels (run on the CPU), the TensorRT engine (on
a TensorRT that asks ONNX Runtime), the graph, the loop, the upkeep. The network's answer is known: white is person.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from bgcamd.canvas.background import Plate, Still
from bgcamd.cuda.driver import Card
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError
from bgcamd.frame import BT601, PixelFormat, Size
from bgcamd.graphs import GraphPipeline
from bgcamd.matting.engines import find_ways
from bgcamd.matting.tensorrt.fake import FakeTrt
from bgcamd.networks import Networks
from bgcamd.scene import Blur, Colour, PreparedScene, Scene
from bgcamd.service.daemon import Daemon

SIZE = Size(64, 48)
PLATE = Plate(SIZE, PixelFormat.I420, BT601)
GREEN, BLUE = Scene(Colour((0, 177, 64))), Scene(Colour((0, 0, 255)))
BLUE_Y = 41

MANIFEST = """
name = "mean"
title = "The mean of the channels"
licence = "none"
file = "mean.onnx"
[input]
name = "x"
size = [64, 48]
[output]
alpha = "alpha"
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The path of a manifest: alpha is the mean of the channels."""
    shapes = (("x", (1, 3, 48, 64)), ("alpha", (1, 1, 48, 64)))
    x, alpha = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes)
    node = helper.make_node("ReduceMean", ["x"], ["alpha"], axes=[1], keepdims=1)
    graph = helper.make_graph([node], "mean", [x], [alpha])
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "mean.onnx").write_bytes(network.SerializeToString())
    (tmp_path / "mean.toml").write_text(MANIFEST)
    return str(tmp_path / "mean.toml")


class Machine:
    """A machine with a GPU and a TensorRT, and networks on it."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.driver = FakeDriver(Card("GeForce", (8, 9), integrated=False), run)
        self.trt = FakeTrt(self.driver)
        monkeypatch.setitem(sys.modules, "tensorrt", self.trt)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)  # type: ignore[arg-type]

    def networks(self, choice: Any = "auto") -> Networks:
        look = partial(find_ways, driver=self.driver)
        return Networks(choice, 1, SIZE, look=look, open_gpu=partial(Gpu, compiler=fake_compiler))

    def build(self, model: str) -> None:
        self.networks().best(model, lambda _: None).close()


@pytest.fixture
def machine(kernels_on_cpu: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    machine = Machine(kernels_on_cpu, monkeypatch)
    yield machine
    machine.driver.check_nothing_left()


class House:
    """A daemon on the live loop whose models come from ``networks``."""

    def __init__(self, live: Any, networks: Networks, model: str) -> None:
        self.live = live
        self.daemon = Daemon(
            loop=live.loop,
            capture=live.capture,
            outputs=live.outputs,
            model=networks.open(model),
            prepare=self._prepare,
            open_model=networks.open,
            rescue=networks.rescue,
        )
        live.loop.submit(self._begin).result(10)

    def _begin(self) -> None:
        self.live.loop.pipeline = self.daemon.model.pipeline
        self.live.loop.scene = self._prepare(GREEN)

    @staticmethod
    def _prepare(scene: Scene) -> PreparedScene:
        rgb = scene.background.rgb if isinstance(scene.background, Colour) else (0, 0, 0)
        return PreparedScene(scene, None if isinstance(scene.background, Blur) else Still(PLATE.solid(rgb)))

    @property
    def on_gpu(self) -> bool:
        return isinstance(self.daemon.model.pipeline, GraphPipeline)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline, self.daemon.status()
            time.sleep(0.005)

    def sees(self, luma: int) -> None:
        """Wait for a new frame of this luma."""
        self.live.screen.wait_for(lambda seen: abs(seen - luma) < 4, after=len(self.live.screen.seen))


@pytest.fixture
def house(live: Any, machine: Machine, model: str) -> Iterator[Callable[[], House]]:
    made: list[House] = []
    usual = live.loop.pipeline

    def make() -> House:
        house = House(live, machine.networks(), model)
        house.daemon._upkeep.__enter__()
        made.append(house)
        return house

    yield make
    for each in made:
        each.daemon._upkeep.__exit__(None, None, None)
        live.loop.submit(partial(setattr, live.loop, "pipeline", usual)).result(10)
        each.daemon.close()


def test_a_network_that_is_built_runs_on_the_gpu_from_the_first_frame(
    house: Callable[[], House], machine: Machine, model: str
) -> None:
    machine.build(model)
    here = house()
    assert here.on_gpu
    here.sees(235)
    launched = machine.driver.calls["launch_graph"]
    here.until(lambda: machine.driver.calls["launch_graph"] > launched)
    here.sees(235)
    status = here.daemon.status()
    assert status["engine"] == "mean on GeForce (tensorrt 10.16.1, fp16)"
    assert status["why"] == "TensorRT works here"
    assert status["quality"] == "high, a GPU has time for it"


def test_nothing_is_allocated_or_recorded_for_a_frame_or_a_scene(
    house: Callable[[], House], machine: Machine, model: str
) -> None:
    machine.build(model)
    here = house()
    here.sees(235)
    here.live.camera.luma = 16
    before = {call: machine.driver.calls[call] for call in ("allocate", "begin_capture", "register", "create_event")}
    here.sees(112)
    here.daemon.apply(BLUE, None)
    here.sees(BLUE_Y)
    here.daemon.apply(Scene(Blur(30)), None)
    here.sees(16)
    here.daemon.apply(GREEN, None)
    here.sees(112)
    assert {call: machine.driver.calls[call] for call in before} == before


def test_the_cpu_serves_until_the_network_is_built_and_viewers_see_no_card(house: Callable[[], House]) -> None:
    here = house()
    assert not here.on_gpu
    here.sees(235)
    begun = len(here.live.screen.seen)
    here.until(lambda: here.on_gpu)
    here.sees(235)
    assert not any(map(here.live.is_card, here.live.screen.seen[begun:]))


def test_a_gpu_that_fails_once_is_opened_again_and_twice_is_left_alone(
    house: Callable[[], House], machine: Machine, model: str
) -> None:
    machine.build(model)
    here = house()
    here.sees(235)
    machine.driver.fail("launch_graph", 3, lasting=False)
    first = here.daemon.model
    here.until(lambda: here.on_gpu and here.daemon.model is not first)
    here.sees(235)
    machine.driver.fail("launch_graph", 3, lasting=False)
    here.until(lambda: not here.on_gpu and bool(here.daemon.status()["problems"]))
    here.sees(235)
    (problem,) = here.daemon.status()["problems"]  # type: ignore[misc]
    assert "again: the CPU does its work" in problem
    assert "launch_graph" in problem
    threading.Event().wait(0.2)
    assert not here.on_gpu


def test_a_gpu_that_stays_broken_as_long_as_the_process_lives_leaves_the_cpu_at_work_and_says_what_helps(
    house: Callable[[], House], machine: Machine, model: str
) -> None:
    machine.build(model)
    here = house()
    here.sees(235)
    machine.driver.fail("launch_graph")
    here.until(lambda: "illegal memory access" in str(here.daemon.status()["progress"]))
    assert "restart bgcamd" in str(here.daemon.status()["progress"])
    assert not here.on_gpu
    here.sees(235)


def test_what_can_not_be_recorded_is_queued_call_by_call(
    house: Callable[[], House], machine: Machine, model: str
) -> None:
    machine.build(model)
    machine.driver.fail("end_capture", lasting=False)
    here = house()
    here.sees(235)
    assert here.on_gpu
    assert machine.trt.calls["run"] > 3
    launched, recorded = (machine.driver.calls[call] for call in ("launch_graph", "begin_capture"))
    here.sees(235)
    assert machine.driver.calls["launch_graph"] == launched
    assert machine.driver.calls["begin_capture"] == recorded


@pytest.mark.parametrize("call", ["upload", "launch", "download", "wait", "record"])
def test_whatever_call_fails_the_room_is_never_seen(
    house: Callable[[], House], machine: Machine, model: str, call: str
) -> None:
    machine.build(model)
    here = house()
    here.sees(235)
    here.live.camera.luma = 170  # of the room; composed before green it is darker
    here.sees(153)
    first = here.daemon.model
    machine.driver.fail(call, 2)
    here.until(lambda: here.daemon.model is not first)
    here.sees(153)
    assert not any(abs(luma - 170) < 4 for luma in here.live.screen.seen)


def test_a_pause_right_after_the_gpu_has_taken_over_and_one_after_it_has_failed(
    house: Callable[[], House], machine: Machine, model: str
) -> None:
    here = house()
    here.until(lambda: here.on_gpu)
    here.daemon.pause()
    here.daemon.resume()
    here.sees(235)
    machine.driver.fail("fill")
    machine.driver.fail("launch_graph")
    here.daemon.pause()
    here.daemon.resume()
    here.sees(235)


def test_a_network_that_tensorrt_can_not_build_stays_on_the_cpu_and_says_so(
    house: Callable[[], House], machine: Machine
) -> None:
    machine.trt.breaks = "an operator that it does not know"
    here = house()
    here.until(lambda: "an operator that it does not know" in str(here.daemon.status()["progress"]))
    here.sees(235)
    assert not here.on_gpu


def test_who_asks_for_tensorrt_and_nothing_else_is_told_what_is_missing(machine: Machine, model: str) -> None:
    with pytest.raises(EngineError, match="no TensorRT-RTX: tensorrt_rtx is not installed") as raised:
        machine.networks("tensorrt-rtx").open(model)
    assert raised.value.hint == "pip install 'bgcamd[rtx]'"


def test_cameras_memory_is_the_gpus_to_read_while_one_is_in_use(machine: Machine, model: str) -> None:
    machine.build(model)
    networks = machine.networks()
    assert networks.gpu is None
    opened = networks.open(model)
    assert networks.gpu is not None
    other = networks.open(model)
    latest = networks.gpu
    other.close()
    assert networks.gpu is not None
    assert networks.gpu is not latest
    opened.close()
    assert networks.gpu is None
