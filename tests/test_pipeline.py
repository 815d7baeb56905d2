"""The six lines, with a network whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bgcamd.canvas.background import Plate, Still
from bgcamd.canvas.host import HostCanvas
from bgcamd.effort import Governor, Quality
from bgcamd.errors import EngineError, SourceError
from bgcamd.frame import BT601, Frame, Matte, PixelFormat, Plane, Size
from bgcamd.matting.fake import FakeEngine, Fault
from bgcamd.pipeline import Pipeline, fit_to
from bgcamd.scene import Blur, Colour, Edge, Keep, PreparedScene, Scene
from bgcamd.stats import STAGES

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
    timed = {stage for stage, times in work.stats.stages().items() if times["wall_p50"] > 0}
    assert timed == set(STAGES) - {"look"}


@pytest.mark.parametrize(
    ("wanted", "natural", "size"),
    [(None, (641, 481), (640, 480)), (Size(320, 240), (640, 480), (320, 240)), (None, (1, 1), (2, 2))],
)
def test_the_size_of_a_live_picture_is_the_cameras_own_with_even_sides(
    wanted: Size | None, natural: tuple[int, int], size: tuple[int, int]
) -> None:
    assert fit_to(wanted, Size(*natural)) == size


class Onlooker(FakeEngine):
    """Remembers the mean of every tensor that it was shown."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.shown: list[float] = []

    def infer(self, tensor: Any) -> Matte:
        self.shown.append(float(tensor.mean()))
        return super().infer(tensor)


BIG = Size(320, 240)
BLUE = PreparedScene(Scene(Colour((0, 0, 255))), Still(Plate(BIG, PixelFormat.I420, BT601).solid((0, 0, 255))))


def white_at(left: int) -> Frame:
    """Black with a white person, as the fake network knows it, below on the left."""
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[180:, left : left + 50] = 255
    return Frame((picture,), PixelFormat.RGB24, BIG)


class TestWhereTheNetworkLooks:
    def shown(self, engine: Onlooker, frames: int, *, passes: int = 1, looks: int = 1) -> list[float]:
        work = Pipeline(HostCanvas(BIG), engine, governor=Governor("high") if looks == 2 else None)
        for _ in range(frames):
            work.run(white_at(20), BLUE, passes=passes)
        return engine.shown

    def test_is_where_the_person_was_for_one_that_follows(self) -> None:
        first, second = self.shown(Onlooker(follows=True), 2)
        assert second > 2 * first

    def test_is_everywhere_for_one_that_does_not(self) -> None:
        first, second = self.shown(Onlooker(), 2)
        assert second == first

    def test_is_the_whole_too_every_fifteenth_frame(self) -> None:
        shown = self.shown(Onlooker(follows=True), 16)
        assert len(shown) == 17
        assert shown[14] == shown[0]

    def test_is_found_out_within_one_still_that_is_passed_again(self) -> None:
        first, *_, last = self.shown(Onlooker(follows=True), 1, passes=3)
        assert last > 2 * first

    def test_is_looked_at_twice_where_asked(self) -> None:
        assert len(self.shown(Onlooker(follows=True), 3, looks=2)) == 6
        assert len(self.shown(Onlooker(), 3, looks=2)) == 3  # its state would see a mirror

    def test_is_forgotten_when_the_picture_is_mirrored(self) -> None:
        engine = Onlooker(follows=True)
        work = Pipeline(HostCanvas(BIG), engine)
        for mirror in (False, False, True):
            work.run(white_at(20), PreparedScene(Scene(BLUE.scene.background, mirror=mirror), BLUE.backdrop))
        assert engine.shown[2] == pytest.approx(engine.shown[0], rel=0.02)


def test_the_person_stays_whole_while_the_crop_moves() -> None:
    work = Pipeline(HostCanvas(BIG), FakeEngine(follows=True))
    for left in range(20, 260, 8):
        done = work.run(white_at(left), BLUE)
        assert done.planes[0][190:, left + 8 : left + 42].min() > 200
        assert done.planes[0][:150].max() < 60


class TestACut:
    def test_starts_everything_anew(self) -> None:
        engine = Onlooker(follows=True)
        work = Pipeline(HostCanvas(BIG), engine)
        for _ in range(3):
            work.run(white_at(20), BLUE)
        other = np.full((240, 320, 3), 90, np.uint8)
        other[20:60, 250:] = 255
        done = work.run(Frame((other,), PixelFormat.RGB24, BIG), BLUE)
        assert engine.passes == 1
        assert done.planes[0][25:55, 260:].min() > 200  # where nobody would have been looked for

    def test_is_not_somebody_who_walks(self) -> None:
        engine = FakeEngine()
        work = Pipeline(HostCanvas(BIG), engine)
        for left in range(0, 260, 40):
            work.run(white_at(left), BLUE)
        assert engine.passes == 7


def test_after_an_error_no_alpha_is_used_again() -> None:
    engine = FakeEngine()
    work = Pipeline(HostCanvas(BIG), engine, governor=Governor("medium"))
    work.run(white_at(20), BLUE)
    engine.fault = Fault.CRASH
    with pytest.raises(RuntimeError):
        work.run(white_at(200), BLUE)
    with pytest.raises(RuntimeError):
        work.run(white_at(20), BLUE)  # as it was when the network looked last


class TestAStillPicture:
    def frames(self, *, quality: Quality, frames: int) -> int:
        """How often the network looks at so many frames that are all the same but for a camera's noise."""
        engine, noise = FakeEngine(), np.random.default_rng(1)
        work = Pipeline(HostCanvas(BIG), engine, governor=Governor(quality))
        for _ in range(frames):
            noisy = np.clip(noise.normal(90, 3, (240, 320, 3)), 0, 255).astype(np.uint8)
            work.run(Frame((noisy,), PixelFormat.RGB24, BIG), BLUE)
        return engine.total

    def test_is_seldom_looked_at(self) -> None:
        assert self.frames(quality="medium", frames=33) == 3

    def test_is_looked_at_every_time_where_quality_counts(self) -> None:
        assert self.frames(quality="high", frames=33) == 33

    def test_that_moves_again_is_looked_at_at_once(self) -> None:
        engine = FakeEngine()
        work = Pipeline(HostCanvas(BIG), engine, governor=Governor("medium"))
        for left in (20, 20, 20, 26):
            work.run(white_at(left), BLUE)
        assert engine.total == 2

    def test_gets_a_new_background_and_a_new_edge_at_once(self) -> None:
        engine = FakeEngine()
        work = Pipeline(HostCanvas(BIG), engine, governor=Governor("medium"))
        green = PreparedScene(Scene(Colour()), Still(Plate(BIG, PixelFormat.I420, BT601).solid((0, 177, 64))))
        seen = [work.run(white_at(20), scene).planes[0][0, 0] for scene in (BLUE, green)]
        assert (seen, engine.total) == ([41, 111], 1)
        work.run(white_at(20), PreparedScene(Scene(Colour(), edge=Edge(feather=50)), green.backdrop))
        assert engine.total == 2

    def test_is_looked_at_anew_when_it_was_forgotten(self) -> None:
        engine = FakeEngine()
        work = Pipeline(HostCanvas(BIG), engine, governor=Governor("medium"))
        work.run(white_at(20), BLUE)
        work.forget()
        work.run(white_at(20), BLUE)
        assert engine.total == 2
