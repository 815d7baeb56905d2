"""The CUDA canvas against the host canvas: where the network looks, what becomes of its mattes, and what is remembered.

Alphas are off by 1 at most, and by more only behind a shift, whose table has a slope: it makes an edge sharp again.
OpenCV 4 moves a map by whole 1/32 of a pixel, which is another place than ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from camera_frames import Camera, fetched, matte_of, uploaded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.canvas.host import HostCanvas
from bgcamd.canvas.outline import moved, shifted, spread
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError
from bgcamd.frame import UNKNOWN_CHANGE, Frame, InputSpec, Matte, PixelFormat, Region, Size
from bgcamd.scene import USUAL_EDGE, Alpha, Edge, PreparedScene, Scene

FINE = int(cv2.__version__.split(".")[0]) >= 5
sides = st.integers(1, 40).map(lambda n: 2 * n)
sizes = st.builds(Size, sides, sides)
inputs = st.builds(Size, st.integers(1, 48), st.integers(1, 48)).map(InputSpec)
seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0, 1, exclude_max=True)
edges = st.builds(
    Edge,
    feather=st.sampled_from([0, 0, 10, 100]),
    shift=st.sampled_from([0, 0, -30, 80]),
    threshold=st.sampled_from([50, 50, 20, 90]),
    smooth=st.sampled_from([0, 70, 100]),
)
few = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Glimpse:
    """A region, as shares of the frame, so that there is one in every size; or None."""

    shares: tuple[float, float, float, float] | None

    def of(self, frame: Size) -> Region | None:
        if self.shares is None:
            return None
        left, width = self._part(frame.width, self.shares[0], self.shares[2])
        top, height = self._part(frame.height, self.shares[1], self.shares[3])
        return Region(left, top, width, height)

    @staticmethod
    def _part(length: int, start: float, share: float) -> tuple[int, int]:
        first = int(start * (length // 2))
        return 2 * first, 2 * (1 + int(share * (length // 2 - first)))


glimpses = st.builds(Glimpse, st.none() | st.tuples(shares, shares, shares, shares))


@dataclass(frozen=True)
class Shot:
    """A frame, what the network looks at and says, and how its answer is drawn."""

    picture: int
    matte: int
    in_a_mirror: int | None
    glimpse: Glimpse
    edge: Edge
    forget: bool


pictures = st.sampled_from([101, 101, 101, 202])  # a camera's picture that often stands still
shots = st.builds(
    Shot, pictures, seeds, st.none() | seeds, glimpses, edges, st.sampled_from([False, False, False, True])
)


class Both:
    """The same work on both canvases."""

    def __init__(self, gpu: Gpu, ours: CudaCanvas, spec: InputSpec) -> None:
        self.gpu, self.ours, self.spec = gpu, ours, spec
        self.hosts = HostCanvas(ours.size)

    def take(self, seed: int) -> tuple[Frame, Frame]:
        camera = Camera(seed, self.ours.size, PixelFormat.I420)
        return self.ours.take(camera.frame()), self.hosts.take(camera.frame())

    def look(self, region: Region | None) -> None:
        self.ours.look(region)
        self.hosts.look(region)

    def shrink(self, frames: tuple[Frame, Frame], *, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
        ours = self.ours.shrink(frames[0], self.spec, mirrored=mirrored)
        return fetched(self.gpu, ours), self.hosts.shrink(frames[1], self.spec, mirrored=mirrored)

    def keep(self, matte: np.ndarray) -> None:
        with uploaded(self.gpu, matte) as there:
            self.ours.keep(Matte(there))
        self.hosts.keep(Matte(matte))

    def glance(self, matte: np.ndarray) -> None:
        with uploaded(self.gpu, matte) as there:
            self.ours.glance(Matte(there))
        self.hosts.glance(Matte(matte))

    def refine(
        self, matte: np.ndarray, frames: tuple[Frame, Frame], edge: Edge = USUAL_EDGE, softness: float = 1.9
    ) -> tuple[np.ndarray, np.ndarray]:
        with uploaded(self.gpu, matte) as there:
            ours = fetched(self.gpu, self.ours.refine(Matte(there, softness), frames[0], edge))
        return ours, self.hosts.refine(Matte(matte, softness), frames[1], edge).copy()

    def forget(self) -> None:
        self.ours.forget()
        self.hosts.forget()

    def shoot(self, shot: Shot, softness: float) -> tuple[np.ndarray, np.ndarray]:
        if shot.forget:
            self.forget()
        frames = self.take(shot.picture)
        self.look(shot.glimpse.of(self.ours.size))
        if shot.in_a_mirror is not None:
            self.keep(matte_of(shot.in_a_mirror, self.spec.size))
        self.shrink(frames)
        return self.refine(matte_of(shot.matte, self.spec.size), frames, shot.edge, softness)


def apart(pair: tuple[np.ndarray, np.ndarray]) -> int:
    assert pair[0].shape == pair[1].shape
    return int(np.abs(pair[0].astype(int) - pair[1].astype(int)).max())


def allowed(edge: Edge, spec: InputSpec, region: Region | None, frame: Size) -> int:
    """1, and behind a shift what its table makes of that."""
    if not edge.shift:
        return 1
    where = spec.size, region or Region(0, 0, *frame), frame
    table = moved(shifted(edge.shift, *where), spread(edge.shift, *where, at_least=1)[1])
    return 1 + int(np.abs(np.diff(table.astype(int))).max())


@few
@given(sizes, inputs, seeds, glimpses)
def test_what_the_network_is_shown(gpu: Gpu, size: Size, spec: InputSpec, seed: int, glimpse: Glimpse) -> None:
    with CudaCanvas(gpu, size) as canvas:
        both = Both(gpu, canvas, spec)
        frames = both.take(seed)
        both.look(glimpse.of(size))
        for mirrored in (False, True):
            ours, hosts = both.shrink(frames, mirrored=mirrored)
            assert np.abs(ours - hosts).max() <= 3.5 / 255


@few
@given(sizes, inputs, st.lists(st.tuples(glimpses, seeds), min_size=1, max_size=3))
def test_who_was_seen_is_the_most_of_all_glances(
    gpu: Gpu, size: Size, spec: InputSpec, glances: list[tuple[Glimpse, int]]
) -> None:
    with CudaCanvas(gpu, size) as canvas:
        both = Both(gpu, canvas, spec)
        for seed in (1, 2):  # of each frame for itself
            frames = both.take(seed)
            for glimpse, matte in glances[seed - 1 :]:
                both.look(glimpse.of(size))
                both.glance(matte_of(matte, spec.size))
            ours, _ = both.refine(matte_of(3, spec.size), frames)
            with uploaded(gpu, ours) as alpha:
                canvas.give(canvas.compose(frames[0], alpha, PreparedScene(Scene(Alpha()))))
            assert apart((canvas.glanced(), both.hosts.glanced())) <= (1 if FINE else 8)


@few
@given(sizes, inputs, shots, st.sampled_from([1.0, 1.9]))
def test_how_an_outline_is_drawn(gpu: Gpu, size: Size, spec: InputSpec, shot: Shot, softness: float) -> None:
    with CudaCanvas(gpu, size) as canvas:
        both = Both(gpu, canvas, spec)
        assert apart(both.shoot(shot, softness)) <= allowed(shot.edge, spec, shot.glimpse.of(size), size)


@few
@given(sizes, inputs, st.lists(shots, min_size=2, max_size=6), st.sampled_from([1.0, 1.9]))
def test_frame_after_frame(gpu: Gpu, size: Size, spec: InputSpec, sequence: list[Shot], softness: float) -> None:
    with CudaCanvas(gpu, size) as canvas:
        both = Both(gpu, canvas, spec)
        for shot in sequence if FINE else [replace(shot, glimpse=sequence[0].glimpse) for shot in sequence]:
            assert apart(both.shoot(shot, softness)) <= allowed(shot.edge, spec, shot.glimpse.of(size), size)


SIZE, SPEC = Size(64, 48), InputSpec(Size(40, 24))
HALF = Region(32, 0, 32, 48)
SOMEBODY, ANOTHER = matte_of(2, SPEC.size), matte_of(12, SPEC.size)


def test_where_the_picture_stands_still_the_last_matte_counts_until_it_is_forgotten(gpu: Gpu) -> None:
    with CudaCanvas(gpu, SIZE) as canvas:
        both = Both(gpu, canvas, SPEC)

        def drawn(matte: np.ndarray) -> np.ndarray:
            frames = both.take(1)
            both.shrink(frames)
            ours, hosts = both.refine(matte, frames, Edge(smooth=100), softness=1)
            assert apart((ours, hosts)) <= 1
            return ours

        first = drawn(SOMEBODY)
        assert apart((drawn(ANOTHER), first)) < 20
        both.forget()
        assert apart((drawn(ANOTHER), first)) > 100


def test_what_is_remembered_moves_with_the_region(gpu: Gpu) -> None:
    with CudaCanvas(gpu, SIZE) as canvas:
        both = Both(gpu, canvas, SPEC)
        for region in (None, HALF, HALF, Region(16, 8, 40, 40), None):
            frames = both.take(1)
            both.look(region)
            both.shrink(frames)
            assert apart(both.refine(SOMEBODY, frames, Edge(smooth=90))) <= (1 if FINE else 8)


def test_beyond_the_region_is_nobody(gpu: Gpu) -> None:
    with CudaCanvas(gpu, SIZE) as canvas:
        both = Both(gpu, canvas, SPEC)
        frames = both.take(1)
        both.look(HALF)
        both.shrink(frames)
        ours, _ = both.refine(np.ones((24, 40), np.float32), frames)
        assert (ours[:, 32:] == 255).all()
        assert not ours[:, :32].any()


def test_a_look_that_was_kept_is_joined_once(gpu: Gpu) -> None:
    with CudaCanvas(gpu, SIZE) as canvas:
        both, sharp = Both(gpu, canvas, SPEC), Edge(smooth=0)
        frames = both.take(1)
        both.shrink(frames)
        both.keep(np.zeros((24, 40), np.float32))
        for wanted in (32, 255):  # an eighth of what only one look says, and all of it
            ours, hosts = both.refine(np.ones((24, 40), np.float32), frames, sharp, softness=1)
            assert (ours == wanted).all()
            assert (hosts == wanted).all()


def test_a_matte_that_is_none_is_not_remembered(gpu: Gpu) -> None:
    scene = PreparedScene(Scene(Alpha(), edge=Edge(smooth=100)))
    bad = ANOTHER.copy()
    bad[3, 5] = np.nan
    with CudaCanvas(gpu, SIZE) as canvas:
        shown = []
        for matte in (SOMEBODY, bad, ANOTHER):
            frame = canvas.take(Camera(1, SIZE, PixelFormat.I420).frame())
            canvas.shrink(frame, SPEC)
            with uploaded(gpu, matte) as there:
                done = canvas.compose(frame, canvas.refine(Matte(there), frame, scene.scene.edge), scene)
            if matte is bad:
                with pytest.raises(EngineError, match="no valid matte"):
                    canvas.give(done)
            else:
                shown.append(canvas.give(done).planes[0].astype(int))
        assert np.abs(shown[1] - shown[0]).max() < 20


@pytest.mark.parametrize("verb", ["keep", "glance"])
@pytest.mark.parametrize("place", [(0, 0), (23, 39)])
def test_another_look_that_is_no_matte_hides_the_frame(gpu: Gpu, verb: str, place: tuple[int, int]) -> None:
    bad = SOMEBODY.copy()
    bad[place] = 1.5
    with CudaCanvas(gpu, SIZE) as canvas, uploaded(gpu, bad) as wrong, uploaded(gpu, SOMEBODY) as good:
        frame = canvas.take(Camera(1, SIZE, PixelFormat.I420).frame())
        getattr(canvas, verb)(Matte(wrong))
        canvas.shrink(frame, SPEC)
        done = canvas.compose(frame, canvas.refine(Matte(good), frame), PreparedScene(Scene(Alpha())))
        with pytest.raises(EngineError, match="no valid matte"):
            canvas.give(done)
        with gpu.array((4,), np.float32) as line, pytest.raises(EngineError, match="no valid matte"):
            getattr(canvas, verb)(Matte(line))


def test_whether_anything_has_moved_is_not_known(gpu: Gpu) -> None:
    with CudaCanvas(gpu, SIZE) as canvas:
        canvas.take(Camera(1, SIZE).frame())
        assert canvas.moved() == UNKNOWN_CHANGE
