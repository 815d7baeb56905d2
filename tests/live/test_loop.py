"""The live loop: what viewers see, whatever happens."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from bgcamd.canvas.background import Plate, Still
from bgcamd.frame import BT601, PixelFormat
from bgcamd.matting.fake import Fault
from bgcamd.scene import Colour, PreparedScene, Scene


def test_the_person_is_shown_and_every_frame_given_back(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.camera.silent = True
    live.screen.wait_for(live.is_card, after=len(live.screen.seen))
    assert live.camera.out == 0


def test_where_nobody_is_the_background_is_shown(live: Any) -> None:
    live.camera.luma = 16
    live.screen.wait_for(live.is_background)


@pytest.mark.parametrize("fault", [Fault.RAISE, Fault.NAN, Fault.CRASH])
def test_without_a_matte_a_card_hides_the_room_until_there_is_one_again(live: Any, fault: Fault) -> None:
    live.camera.luma = 180  # a bright room: half person by the fake network, so that it would show through
    live.engine.fault = fault
    live.screen.wait_for(live.is_card)
    start = len(live.screen.seen)
    live.screen.wait_for(live.is_card, after=start + 1)
    assert live.loop.state == "hidden"
    assert all(live.is_card(luma) for luma in live.screen.seen[start:])
    live.engine.fault = None
    live.camera.luma = 235
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert live.loop.state == "live"


def test_an_unplugged_camera_gives_way_to_a_card_and_comes_back(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.camera.missing = True
    live.screen.wait_for(live.is_card, after=len(live.screen.seen))
    assert live.loop.state == "waiting"
    assert "unplugged" in live.capture.state.why or "no camera" in live.capture.state.why
    live.camera.missing = False
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert live.camera.opened == 2


def test_a_silent_camera_is_opened_again(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.camera.silent = True
    live.screen.wait_for(live.is_card, after=len(live.screen.seen))
    live.camera.silent = False
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))


def test_a_pause_closes_the_camera_and_shows_a_card(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.loop.submit(lambda: setattr(live.loop, "paused", True), once_shown=True).result(10)
    assert live.is_card(live.screen.seen[-1])
    while live.capture.state.state != "off":
        threading.Event().wait(0.01)
    assert live.camera.closed == live.camera.opened


def test_a_change_is_answered_when_it_has_been_shown(live: Any) -> None:
    live.camera.luma = 16
    live.screen.wait_for(live.is_background)
    white = Still(Plate(live.canvas.size, PixelFormat.I420, BT601).solid((255, 255, 255)))
    scene = PreparedScene(Scene(Colour((255, 255, 255))), white)
    live.loop.submit(lambda: setattr(live.loop, "scene", scene), once_shown=True).result(10)
    assert live.screen.seen[-1] >= 230


def test_a_job_that_fails_fails_for_its_caller_alone(live: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        live.loop.submit(lambda: 1 // 0).result(10)
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))


def test_what_no_camera_should_raise_ends_the_loop_with_its_traceback(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.camera.read = lambda timeout_s: np.zeros(3)[7]
    while live.raised is None:
        threading.Event().wait(0.01)
    assert isinstance(live.raised, IndexError)


def test_stopping_answers_whoever_waits(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    answer = live.loop.submit(live.loop.stop, once_shown=True)
    assert answer.result(10) is None


def test_a_recurrent_network_starts_anew_after_a_card(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    resets = live.engine.resets
    live.camera.missing = True
    live.screen.wait_for(live.is_card, after=len(live.screen.seen))
    live.camera.missing = False
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert live.engine.resets == resets + 1


def test_what_is_wrong_with_a_camera_is_said_until_it_is_live(live: Any) -> None:
    live.camera.missing = True
    seen = set()
    for _ in range(100):
        threading.Event().wait(0.01)
        seen.add(live.capture.state.why)
    assert seen - {""}
    live.screen.wait_for(live.is_card, after=len(live.screen.seen))
    assert live.capture.state.why
    live.camera.missing = False
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert live.capture.state.why == ""


def test_a_network_that_hangs_gives_way_to_a_card_until_it_answers(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.engine.fault = Fault.STALL
    live.screen.wait_for(live.is_card)
    assert live.loop.state == "hidden"
    assert "does not answer" in str(live.loop.fault)
    live.engine.fault = None
    live.engine.unstall.set()
    live.screen.wait_for(live.is_person, after=len(live.screen.seen))
    assert live.loop.fault is None


def test_a_card_is_on_air_at_once_though_the_network_hangs_and_its_late_answer_is_not_shown(live: Any) -> None:
    live.screen.wait_for(live.is_person)
    live.engine.fault = Fault.STALL
    live.loop.pause()
    seen = len(live.screen.seen)
    assert live.is_card(live.screen.seen[-1])
    live.engine.unstall.set()
    live.screen.wait_for(live.is_card, after=seen + 3)
    assert all(map(live.is_card, live.screen.seen[seen:]))
