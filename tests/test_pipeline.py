"""The six lines, with a network whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bgcamd.canvas.background import Plate, Still
from bgcamd.canvas.host import HostCanvas
from bgcamd.errors import EngineError, SourceError
from bgcamd.frame import BT601, Frame, Matte, PixelFormat, Plane, Size
from bgcamd.matting.fake import FakeEngine, Fault
from bgcamd.pipeline import Pipeline, fit_to
from bgcamd.scene import Blur, Colour, Keep, PreparedScene, Scene

SIZE = Size(64, 48)
GREEN = PreparedScene(Scene(Colour((0, 255, 0))), Still(Plate(SIZE, PixelFormat.RGBP, BT601).solid((0, 255, 0))))


def half_white() -> Plane:
    """White on the left (the fake network's person), black on the right."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, :32] = 255
    return rgb


def pipeline(engine: FakeEngine) -> Pipeline:
    return Pipeline(HostCanvas(SIZE, PixelFormat.RGBP), engine)


def test_the_person_stays_and_the_rest_is_replaced() -> None:
    done = pipeline(FakeEngine()).run(Frame((half_white(),), PixelFormat.RGB24, SIZE), GREEN)
    picture = np.stack(done.planes, axis=2)
    assert (picture[:, :28] == 255).all()
    assert (picture[:, 36:] == (0, 255, 0)).all()


def test_mirror_moves_the_person_and_starts_the_network_anew() -> None:
    engine = FakeEngine()
    work = pipeline(engine)
    for mirror in (False, False, True, True):
        scene = PreparedScene(Scene(GREEN.scene.background, mirror=mirror), GREEN.backdrop)
        done = work.run(Frame((half_white(),), PixelFormat.RGB24, SIZE), scene)
    assert (done.planes[0][:, 36:] == 255).all()
    assert engine.passes == 2


def test_keep_runs_no_network() -> None:
    engine = FakeEngine()
    done = pipeline(engine).run(Frame((half_white(),), PixelFormat.RGB24, SIZE), PreparedScene(Scene(Keep())))
    assert engine.total == 0
    assert (np.stack(done.planes, axis=2) == half_white()).all()


def test_after_frames_that_it_did_not_see_the_network_starts_anew() -> None:
    engine = FakeEngine()
    work = pipeline(engine)
    for scene in (GREEN, GREEN, PreparedScene(Scene(Keep())), GREEN):
        work.run(Frame((half_white(),), PixelFormat.RGB24, SIZE), scene)
    assert engine.passes == 1


def test_a_still_is_looked_at_as_often_as_asked() -> None:
    engine = FakeEngine()
    pipeline(engine).run(Frame((half_white(),), PixelFormat.RGB24, SIZE), GREEN, passes=5)
    assert engine.passes == 5


@pytest.mark.parametrize("fault", [Fault.RAISE, Fault.NAN])
def test_without_a_valid_matte_there_is_no_picture(fault: Fault) -> None:
    engine = FakeEngine()
    engine.fault = fault
    with pytest.raises(EngineError):
        pipeline(engine).run(Frame((half_white(),), PixelFormat.RGB24, SIZE), PreparedScene(Scene(Blur())))


def test_an_empty_answer_is_no_matte() -> None:
    engine = FakeEngine()
    engine.infer = lambda _: Matte(np.zeros((0, 0), np.float32))  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="no valid matte"):
        pipeline(engine).run(Frame((half_white(),), PixelFormat.RGB24, SIZE), GREEN)


@pytest.mark.parametrize(
    "alpha",
    [np.full((36, 64), -1), np.full((36, 64), 1.5), np.full((36, 64, 3), 0.5), np.zeros(9), np.float32(0.5)],
    ids=["negative", "above 1", "three channels", "a row", "a number"],
)
def test_an_answer_that_is_no_alpha_never_shows_the_room(alpha: Any) -> None:
    engine = FakeEngine()
    work = pipeline(engine)
    work.run(Frame((half_white(),), PixelFormat.RGB24, SIZE), GREEN)
    engine.infer = lambda _: Matte(np.asarray(alpha, np.float32))  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="no valid matte"):
        work.run(Frame((half_white(),), PixelFormat.RGB24, SIZE), GREEN)


@pytest.mark.parametrize("damaged", [False, True])
def test_the_camera_has_its_buffer_back_whatever_happens(damaged: bool) -> None:
    given_back = []
    data = np.zeros(10, np.uint8)
    planes = (data,) if damaged else (np.full((48, 64), 99, np.uint8),)
    format = PixelFormat.MJPG if damaged else PixelFormat.GREY  # noqa: A001
    raw = Frame(planes, format, SIZE, release=lambda: given_back.append(True))
    work = Pipeline(HostCanvas(SIZE), FakeEngine())
    if damaged:
        with pytest.raises(SourceError):
            work.run(raw, PreparedScene(Scene(Keep())))
    else:
        work.run(raw, PreparedScene(Scene(Keep())))
    assert given_back == [True]


def test_every_stage_is_timed() -> None:
    work = pipeline(FakeEngine())
    work.run(Frame((half_white(),), PixelFormat.RGB24, SIZE), GREEN)
    assert all(times["wall_p50"] > 0 for times in work.stats.stages().values())


@pytest.mark.parametrize(
    ("wanted", "natural", "size"),
    [(None, (641, 481), (640, 480)), (Size(320, 240), (640, 480), (320, 240)), (None, (1, 1), (2, 2))],
)
def test_the_size_of_a_live_picture_is_the_cameras_own_with_even_sides(
    wanted: Size | None, natural: tuple[int, int], size: tuple[int, int]
) -> None:
    assert fit_to(wanted, Size(*natural)) == size
