"""The same room before a GPU that is none: whatever call of it fails, and whoever looks on, the room is not seen."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Begin
from fault_house import House
from fault_room import SIZE, trace
from onnx import helper, numpy_helper

from bgcamd.cuda.driver import Card
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.graphs import GraphPipeline
from bgcamd.matting.engines import find_ways
from bgcamd.matting.tensorrt.fake import FakeTrt
from bgcamd.networks import Networks

MANIFEST = """
name = "white"
title = "What is white"
licence = "none"
file = "white.onnx"
[input]
name = "x"
size = [64, 48]
[output]
alpha = "alpha"
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The path of a manifest: who is white is a person."""
    shapes = (("x", (1, 3, 48, 64)), ("alpha", (1, 1, 48, 64)))
    x, alpha = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes)
    nodes = [
        helper.make_node("ReduceMin", ["x"], ["least"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["least", "four"], ["steep"]),
        helper.make_node("Add", ["steep", "less"], ["shifted"]),
        helper.make_node("Clip", ["shifted", "zero", "one"], ["alpha"]),
    ]
    numbers = {"four": 4, "less": -2, "zero": 0, "one": 1}
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "white", [x], [alpha], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "white.onnx").write_bytes(network.SerializeToString())
    (tmp_path / "white.toml").write_text(MANIFEST)
    return str(tmp_path / "white.toml")


@pytest.fixture
def driver(kernels_on_cpu: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeDriver]:
    """A machine with a GPU and a TensorRT."""
    driver = FakeDriver(Card("GeForce", (8, 9), integrated=False), kernels_on_cpu)
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTrt(driver))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    yield driver
    driver.check_nothing_left()


@pytest.fixture
def given(driver: FakeDriver, model: str) -> dict[str, Any]:
    """What makes a house whose network runs on that GPU."""

    def networks() -> Networks:
        look, opened = partial(find_ways, driver=driver), partial(Gpu, compiler=fake_compiler)
        return Networks("auto", 1, SIZE, look=look, open_gpu=opened)

    networks().best(model, lambda _: None).close()  # it is built
    return {"networks": networks(), "settings": {"model.name": model}}


def on_gpu(house: House) -> bool:
    return isinstance(house.daemon.model.pipeline, GraphPipeline)


@pytest.mark.parametrize("call", ["upload", "launch", "launch_graph", "download", "wait", "record"])
def test_whatever_call_fails_it_goes_on_without_the_room(
    given: dict[str, Any], begin: Begin, driver: FakeDriver, call: str
) -> None:
    house = begin(**given)
    house.live()
    assert on_gpu(house)
    first = house.daemon.model
    driver.fail(call, 2)
    house.card()
    house.live()
    deadline = time.monotonic() + 20
    while house.daemon.model is first:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    house.live()


def test_who_freezes_while_the_page_looks_at_the_room_does_not_freeze_the_room(
    given: dict[str, Any], begin: Begin
) -> None:
    """What was before and what comes of it lie in the same memory, one after the other."""
    house = begin(**given)
    for _ in range(15):
        house.live()
        begun = len(house.written)
        house.ask("Pause", freeze=True)
        house.see(lambda _: True)
        assert house.written[-1].live or house.written[-1].card
        assert house.traces(begun) == []
        house.ask("Resume")


def test_a_room_that_was_shown_is_hidden_from_the_answer_on(tmp_path: Path, given: dict[str, Any]) -> None:
    with House(tmp_path, **given) as house:
        for _ in range(4):
            house.ask("Set", keep=True)
            house.see(lambda seen: trace(seen.planes) != "")
            house.ask("Set", color="#595959")
            start = len(house.written)
            house.live()
            house.live()
            assert house.traces(start) == []
