"""What clients change of a running loop: whole or not at all, and nothing stays open."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from bgcamd.canvas.background import Plate
from bgcamd.canvas.planes import Planes
from bgcamd.errors import ControlError, ModelError
from bgcamd.frame import BT601, PixelFormat, Size
from bgcamd.matting.fake import FakeEngine, Fault
from bgcamd.pipeline import Pipeline
from bgcamd.scene import Colour, PreparedScene, Scene
from bgcamd.service import daemon as daemon_module
from bgcamd.service.daemon import Daemon
from bgcamd.service.model import Model

PERSON = 235  # the luma of a frame that is all person
WHITE = Scene(Colour((255, 255, 255)))


class Backdrop:
    """White; counts how often it was closed."""

    problem = ""

    def __init__(self, size: Size) -> None:
        self.planes: Planes = Plate(size, PixelFormat.I420, BT601).solid((255, 255, 255))
        self.closed = 0

    def planes_at(self, time_ns: int) -> Planes:
        return self.planes

    def close(self) -> None:
        self.closed += 1


class Desk:
    """A daemon on a live loop, and what it opened last."""

    def __init__(self, live: Any) -> None:
        self.backdrops: list[Backdrop] = []
        self.engines: dict[str, FakeEngine] = {"first": live.engine, "second": FakeEngine(), "rescue": FakeEngine()}
        self.canvas = live.canvas
        self.daemon = Daemon(
            loop=live.loop,
            capture=live.capture,
            outputs=live.outputs,
            model=self._model("first", live.loop.pipeline),
            prepare=self._prepare,
            open_model=lambda name: self._model(name, Pipeline(self.canvas, self.engines[name])),
            rescue=lambda model, error: self._model("rescue", Pipeline(self.canvas, self.engines["rescue"])),
        )

    def _model(self, name: str, pipeline: Pipeline) -> Model:
        engine = self.engines[name]
        return Model(name, pipeline, "a test", close=lambda: engine.__exit__(None, None, None))

    def _prepare(self, scene: Scene) -> PreparedScene:
        self.backdrops.append(Backdrop(self.canvas.size))
        return PreparedScene(scene, self.backdrops[-1])


def test_what_gives_way_is_closed_once_and_what_is_live_is_open(live: Any) -> None:
    desk = Desk(live)
    desk.daemon.apply(WHITE, "second")
    desk.daemon.apply(Scene(Colour()), None)
    assert [each.closed for each in desk.backdrops] == [1, 0]
    assert (desk.engines["first"].closed, desk.engines["second"].closed) == (True, False)
    assert desk.daemon.status()["model"] == "second"


def test_a_mirror_alone_keeps_the_background_that_is_live(live: Any) -> None:
    desk = Desk(live)
    desk.daemon.apply(WHITE, None)
    desk.daemon.apply(Scene(WHITE.background, mirror=True), None)
    assert [each.closed for each in desk.backdrops] == [0]


def test_a_model_that_does_not_open_changes_nothing(live: Any) -> None:
    desk = Desk(live)
    before = desk.daemon.scene

    def refuse(name: str) -> Model:
        raise ModelError("it takes no such size")

    desk.daemon._open_model = refuse
    with pytest.raises(ModelError, match="no such size"):
        desk.daemon.apply(WHITE, "misfit")
    assert not live.engine.closed
    assert desk.daemon.scene is before
    assert desk.backdrops == []


def test_where_the_loop_stands_still_the_change_is_taken_back_for_good(
    live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(live)
    before = desk.daemon.scene
    live.engine.fault = Fault.STALL
    total = live.engine.total
    while live.engine.total == total:
        threading.Event().wait(0.001)
    monkeypatch.setattr(daemon_module, "_SWAP_S", 0.05)
    with pytest.raises(ControlError, match="stood still"):
        desk.daemon.apply(WHITE, "second")
    assert [each.closed for each in desk.backdrops] == [1]
    assert desk.engines["second"].closed
    live.engine.fault = None
    live.engine.unstall.set()
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert desk.daemon.scene is before


def test_a_pause_is_on_air_when_it_returns_though_the_network_hangs(live: Any) -> None:
    desk = Desk(live)
    live.screen.wait_for(live.is_person)
    live.engine.fault = Fault.STALL
    desk.daemon.pause("Back at ten\nor so")
    seen = len(live.screen.seen)
    assert live.is_card(live.screen.seen[-1])
    assert desk.daemon.status()["state"] == "paused"
    live.engine.fault = None
    live.engine.unstall.set()
    live.screen.wait_for(live.is_card, after=seen + 2)
    assert not any(map(live.is_person, live.screen.seen[seen:]))
    desk.daemon.resume()
    live.screen.wait_for(live.is_person, after=seen)


def test_a_pause_with_a_picture_shows_it(live: Any) -> None:
    desk = Desk(live)
    desk.daemon.pause(picture=Path("any"))  # this desk prepares white for whatever is asked
    live.screen.wait_for(live.is_person)
    live.capture_off()


def test_a_frozen_picture_stays_while_the_camera_is_off(live: Any) -> None:
    desk = Desk(live)
    live.camera.luma = 16  # nobody there: the background's green
    live.screen.wait_for(live.is_background)
    desk.daemon.pause(freeze=True)
    live.capture_off()
    live.camera.luma = PERSON
    seen = len(live.screen.seen)
    live.screen.wait_for(live.is_background, after=seen + 2)
    assert all(map(live.is_background, live.screen.seen[seen:]))


def test_there_is_nothing_to_freeze_on_a_card(live: Any) -> None:
    desk = Desk(live)
    live.camera.missing = True
    live.screen.wait_for(live.is_card)
    desk.daemon.pause(freeze=True)
    assert live.is_card(live.screen.seen[-1])
