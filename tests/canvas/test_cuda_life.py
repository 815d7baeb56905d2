"""The CUDA canvas from frame to frame: whose memory is read and given back when, what is freed, what is replayed."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from camera_frames import Camera

from bgcamd.canvas.background import Still
from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.canvas.host import HostCanvas
from bgcamd.cuda.driver import Card
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import DeviceError, EngineError, SourceError
from bgcamd.frame import BT709, Frame, InputSpec, Matte, PixelFormat, Plane, Region, Size
from bgcamd.scene import USUAL_EDGE, Alpha, Background, Blur, Clip, Colour, Edge, Keep, PreparedScene, Remove, Scene

SIZE, SPEC = Size(96, 64), InputSpec(Size(40, 24))
ORIN = Card("Fake Orin", (8, 7), integrated=True)
CAMERAS = [Camera(1, SIZE), Camera(2, SIZE, PixelFormat.NV12, padding=32), Camera(3, SIZE, PixelFormat.I420, BT709)]


@pytest.fixture
def driver(kernels_on_cpu: Run) -> FakeDriver:
    return FakeDriver(run=kernels_on_cpu)


@pytest.fixture
def fake_gpu(driver: FakeDriver) -> Iterator[Gpu]:
    with Gpu(driver, compiler=fake_compiler) as made:
        yield made
    driver.check_nothing_left()


@pytest.fixture
def orin(kernels_on_cpu: Run) -> Iterator[Gpu]:
    """A GPU that shares the host's memory."""
    driver = FakeDriver(ORIN, kernels_on_cpu)
    with Gpu(driver, compiler=fake_compiler) as made:
        yield made
    driver.check_nothing_left()


class Network:
    """Queues an answer that depends on what it sees, as TensorRT does."""

    def __init__(self, gpu: Gpu, driver: FakeDriver) -> None:
        self.gpu, self.driver, self.looked = gpu, driver, 0
        self.alpha = gpu.array((SPEC.size.height, SPEC.size.width), np.float32)

    def infer(self, tensor: DeviceArray) -> Matte:
        def answer() -> None:
            self.looked += 1
            seen = on_device(tensor, np.float32).reshape(3, *self.alpha.shape)
            on_device(self.alpha, np.float32)[:] = np.clip(seen.mean(0) * 3 - 1, 0, 1).reshape(-1)

        self.driver.enqueue(self.gpu.stream, answer)
        return Matte(self.alpha, 2.0)


def on_device(array: DeviceArray, dtype: type[np.generic]) -> np.ndarray:
    """The fake device's memory itself."""
    return np.frombuffer((ctypes.c_uint8 * array.nbytes).from_address(array.address), dtype)


class Releases(list[int]):
    """Counts how often frames are released; ``frame`` makes one."""

    def frame(self, camera: Camera, memory: Plane | None = None) -> Frame:
        return camera.frame(memory, lambda: self.append(camera.seed))


def pages() -> Plane:
    """As a camera's buffer: whole pages."""
    return np.frombuffer(mmap.mmap(-1, 8 * mmap.PAGESIZE), np.uint8)


def copied(frame: Frame) -> list[Plane]:
    return [plane.copy() for plane in frame.planes]


def same(ours: list[Plane], hosts: Frame | list[Plane]) -> bool:
    planes = hosts.planes if isinstance(hosts, Frame) else hosts
    return all(int(np.abs(a.astype(int) - b.astype(int)).max()) <= 1 for a, b in zip(ours, planes, strict=True))


class Slides:
    """A clip: another picture for every millisecond."""

    problem = ""

    def __init__(self) -> None:
        host = HostCanvas(SIZE)
        self.pictures = [tuple(copied(host.take(Camera(n, SIZE).frame()))) for n in range(50, 53)]

    def planes_at(self, time_ns: int) -> tuple[Plane, ...]:
        return self.pictures[time_ns // 1_000_000 % 3]

    def close(self) -> None: ...


def scene_of(background: Background) -> PreparedScene:
    plate = HostCanvas(SIZE).plate
    match background:
        case Clip():
            return PreparedScene(Scene(background), Slides())
        case Colour(rgb):
            return PreparedScene(Scene(background), Still(plate.solid(rgb)))
        case Remove():
            return PreparedScene(Scene(background), Still(plate.solid((0, 0, 0))))
        case _:
            return PreparedScene(Scene(background))


CLIP = Clip(Path("slides.gif"))
BACKGROUNDS = (Colour(), Blur(1), Blur(70), CLIP, Alpha(), Remove(), CLIP, Blur(100), Colour((9, 9, 99)), Blur(30))


class Work:
    """A canvas and a network, and what is to be done of every frame."""

    def __init__(self, gpu: Gpu, driver: FakeDriver, looks: int = 1) -> None:
        self.canvas, self.network, self.looks = CudaCanvas(gpu, SIZE), Network(gpu, driver), looks

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        self.network.alpha.close()
        self.canvas.close()

    def queue(self, frame: Frame, scene: PreparedScene) -> Frame:
        """What can be recorded."""
        canvas, network = self.canvas, self.network
        if self.looks > 1:
            canvas.keep(network.infer(canvas.shrink(frame, SPEC, mirrored=True)))
        matte = network.infer(canvas.shrink(frame, SPEC))
        canvas.glance(matte)
        return canvas.compose(frame, canvas.refine(matte, frame, scene.scene.edge), scene)

    def run(self, raw: Frame, scene: PreparedScene, *, mirror: bool = False) -> list[Plane]:
        frame = self.canvas.take(raw, mirror=mirror)
        return copied(self.canvas.give(self.queue(frame, scene)))


@pytest.fixture
def work(fake_gpu: Gpu, driver: FakeDriver) -> Iterator[Work]:
    with Work(fake_gpu, driver) as work:
        yield work


def test_what_was_recorded_once_does_every_scene(fake_gpu: Gpu, work: Work) -> None:
    scenes = [scene_of(background) for background in BACKGROUNDS]
    frames = [Camera(n * 1_000_000, SIZE) for n in range(2 * len(scenes))]
    canvas = work.canvas
    plain = [work.run(frame.frame(), scenes[n // 2], mirror=n % 3 == 0) for n, frame in enumerate(frames)]
    first = canvas.take(frames[0].frame())
    done = work.queue(first, scenes[0])
    canvas.forget()
    with fake_gpu.record(lambda: work.queue(first, scenes[0])) as graph:
        looked = work.network.looked
        for n, camera in enumerate(frames):
            frame = canvas.take(camera.frame(), mirror=n % 3 == 0)
            canvas.dress(scenes[n // 2], frame.captured_ns)
            graph.launch()
            for again, before in zip(canvas.give(done).planes, plain[n], strict=True):
                assert (again == before).all(), scenes[n // 2]
    assert work.network.looked == looked + len(frames)
    assert all(any((a != b).any() for a, b in zip(x, y, strict=True)) for x, y in pairwise(plain))


EDGES = (USUAL_EDGE, Edge(smooth=100), Edge(shift=40, threshold=70), Edge(feather=60, smooth=0), Edge(light_wrap=80))
REGIONS = (None, Region(16, 8, 60, 40), Region(16, 8, 60, 40), Region(20, 8, 60, 48))


@pytest.mark.parametrize("looks", [1, 2])
def test_what_was_recorded_once_follows_regions_and_edges_and_forgets(
    fake_gpu: Gpu, driver: FakeDriver, looks: int
) -> None:
    shots = [
        (
            Camera(5 + n // 4, SIZE),
            REGIONS[n % 4],
            PreparedScene(Scene(Blur(40), edge=EDGES[n // 3 % len(EDGES)])),
            n % 7 == 0,
        )
        for n in range(24)
    ]
    pictures: list[list[list[Plane]]] = [[], []]
    with Work(fake_gpu, driver, looks) as work:
        canvas = work.canvas
        for camera, region, scene, forget in shots:
            frame = canvas.take(camera.frame())
            if forget:
                canvas.forget()
            canvas.look(region)
            pictures[0].append([*copied(canvas.give(work.queue(frame, scene))), canvas.glanced().copy()])
        first, scene = canvas.take(CAMERAS[0].frame()), shots[-1][2]
        done = work.queue(first, scene)
        with fake_gpu.record(lambda: work.queue(first, scene)) as graph:
            for camera, region, scene, forget in shots:
                frame = canvas.take(camera.frame())
                if forget:
                    canvas.forget()
                canvas.look(region)
                canvas.dress(scene, frame.captured_ns)
                graph.launch()
                pictures[1].append([*copied(canvas.give(done)), canvas.glanced().copy()])
    for plain, replayed in zip(*pictures, strict=True):
        assert all((a == b).all() for a, b in zip(plain, replayed, strict=True))


def test_a_region_is_uploaded_when_it_moves_and_never_otherwise(work: Work, driver: FakeDriver) -> None:
    scene, spent = scene_of(Colour()), []
    for region in (None, None, REGIONS[1], REGIONS[1], REGIONS[3]):
        before = driver.calls["upload"]
        work.canvas.look(region)
        work.run(Camera(1, SIZE).frame(), scene)
        spent.append(driver.calls["upload"] - before)
    assert spent[1:] == [1, 2, 1, 2]  # the frame, and the parameters


def test_nothing_is_allocated_and_nothing_more_is_queued_for_a_second_frame(work: Work, driver: FakeDriver) -> None:
    scenes = [scene_of(background) for background in BACKGROUNDS]
    for scene in scenes:
        work.run(CAMERAS[0].frame(), scene)
    before = driver.calls.copy()
    for scene in scenes * 3:
        work.run(CAMERAS[0].frame(), scene)
    spent = driver.calls - before
    made = {"allocate", "free", "register", "unregister", "create_event", "create_stream", "load", "function"}
    assert not made & set(spent)
    assert spent["launch"] == 30 * (before["launch"] // 10)
    assert spent["download"] == 30


def test_an_unchanged_scene_costs_one_upload_and_one_download_a_frame(work: Work, driver: FakeDriver) -> None:
    scene = scene_of(Colour())
    work.run(Camera(1, SIZE).frame(), scene)
    before = driver.calls.copy()
    work.run(Camera(2, SIZE).frame(), scene)
    spent = driver.calls - before
    assert (spent["upload"], spent["download"]) == (1, 1)
    assert spent["wait"] == 2  # before our memory is written again, and for the picture


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.kind.name)
def test_memory_that_the_gpu_knows_is_read_where_it_lies(fake_gpu: Gpu, work: Work, camera: Camera) -> None:
    buffer, releases = pages(), Releases()
    with fake_gpu.register(buffer):
        frame = work.canvas.take(releases.frame(camera, buffer))
        assert releases == []
        assert same(copied(work.canvas.give(frame)), HostCanvas(SIZE).take(camera.frame()))
        assert releases == [camera.seed]


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.kind.name)
def test_any_other_memory_is_copied_and_given_back_at_once(work: Work, camera: Camera) -> None:
    buffer, releases = pages(), Releases()
    frame = work.canvas.take(releases.frame(camera, buffer))
    assert releases == [camera.seed]
    buffer[:] = 0
    assert same(copied(work.canvas.give(frame)), HostCanvas(SIZE).take(camera.frame()))


def test_lines_that_the_kernels_cannot_read_are_copied(fake_gpu: Gpu, work: Work) -> None:
    buffer, releases, camera = pages(), Releases(), Camera(4, SIZE, padding=3)
    with fake_gpu.register(buffer):
        frame = work.canvas.take(releases.frame(camera, buffer))
        assert releases == [4]
        assert same(copied(work.canvas.give(frame)), HostCanvas(SIZE).take(camera.frame()))


def test_lines_longer_than_there_is_room_for_are_copied(fake_gpu: Gpu, work: Work) -> None:
    buffer = np.frombuffer(mmap.mmap(-1, 64 * mmap.PAGESIZE), np.uint8)
    camera, releases = Camera(4, SIZE, padding=1024), Releases()
    with fake_gpu.register(buffer):
        frame = work.canvas.take(releases.frame(camera, buffer))
        assert releases == [4]
        assert same(copied(work.canvas.give(frame)), HostCanvas(SIZE).take(camera.frame()))


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.kind.name)
@pytest.mark.parametrize("known", [True, False])
def test_where_the_memory_is_shared_nothing_is_uploaded_or_downloaded(orin: Gpu, camera: Camera, known: bool) -> None:
    driver, buffer, releases, scene = orin.driver, pages(), Releases(), scene_of(Blur(40))
    assert isinstance(driver, FakeDriver)
    with Work(orin, driver) as work:
        wanted = work.run(camera.frame(), scene)
        before = driver.calls.copy()
        registered = orin.register(buffer) if known else None
        marks = driver.calls["record"]
        frame = work.canvas.take(releases.frame(camera, buffer))
        assert releases == ([] if known else [camera.seed])
        assert driver.calls["record"] == marks + 1  # behind the kernel, which reads the host's memory
        got = copied(work.canvas.give(work.queue(frame, scene)))
        assert releases == [camera.seed]
        spent = driver.calls - before
        if registered:
            registered.close()
    assert all((a == b).all() for a, b in zip(got, wanted, strict=True))
    assert (spent["upload"], spent["download"]) == (0, 0)


def test_the_picture_as_it_is_can_be_given_where_the_memory_is_shared(orin: Gpu) -> None:
    with CudaCanvas(orin, SIZE) as canvas:
        assert same(copied(canvas.give(canvas.take(CAMERAS[0].frame()))), HostCanvas(SIZE).take(CAMERAS[0].frame()))


def test_a_matte_that_is_none_is_forgiven_where_the_memory_is_shared(orin: Gpu) -> None:
    driver = orin.driver
    assert isinstance(driver, FakeDriver)
    with Work(orin, driver) as work:
        frame = work.canvas.take(CAMERAS[0].frame())
        work.canvas.shrink(frame, SPEC)
        on_device(work.network.alpha, np.float32)[5] = np.nan
        bad = work.canvas.compose(frame, work.canvas.refine(Matte(work.network.alpha), frame), scene_of(Alpha()))
        with pytest.raises(EngineError, match="no valid matte"):
            work.canvas.give(bad)
        assert work.run(CAMERAS[0].frame(), scene_of(Alpha()))[0].any()


def test_a_frame_that_was_never_finished_is_given_back_when_the_next_is_taken(fake_gpu: Gpu, work: Work) -> None:
    buffers, releases = (pages(), pages()), Releases()
    with fake_gpu.register(buffers[0]), fake_gpu.register(buffers[1]):
        work.canvas.take(releases.frame(Camera(1, SIZE), buffers[0]))
        frame = work.canvas.take(releases.frame(Camera(2, SIZE), buffers[1]))
        assert releases == [1]
        work.canvas.give(frame)
        assert releases == [1, 2]


def test_closing_gives_back_what_is_lent_and_twice_does_nothing(fake_gpu: Gpu) -> None:
    buffer, releases = pages(), Releases()
    with fake_gpu.register(buffer):
        canvas = CudaCanvas(fake_gpu, SIZE)
        canvas.take(releases.frame(Camera(1, SIZE), buffer))
        canvas.close()
        canvas.close()
    assert releases == [1]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("call", ["upload", "launch", "record", "wait", "download"])
def test_a_gpu_that_fails_loses_no_frame(fake_gpu: Gpu, driver: FakeDriver, call: str, known: bool) -> None:
    buffer, releases = pages(), Releases()
    registered = fake_gpu.register(buffer) if known else None
    with CudaCanvas(fake_gpu, SIZE) as canvas:
        canvas.give(canvas.take(Camera(5, SIZE).frame()))
        driver.fail(call)
        with pytest.raises(DeviceError):
            canvas.give(canvas.take(releases.frame(Camera(1, SIZE), buffer)))
        with pytest.raises(DeviceError):
            canvas.give(canvas.take(releases.frame(Camera(2, SIZE), buffer)))
    assert sorted(releases) == [1, 2]
    if registered:
        registered.close()


def test_a_damaged_frame_is_given_back(work: Work) -> None:
    releases = Releases()
    data = np.zeros(10, np.uint8)
    damaged = Frame((data,), PixelFormat.MJPG, SIZE, release=lambda: releases.append(1))
    with pytest.raises(SourceError):
        work.canvas.take(damaged)
    assert releases == [1]


@pytest.mark.parametrize("call", ["allocate", "register", "device_address", "create_event", "load", "fill"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_canvas_that_cannot_be_made_leaves_nothing(kernels_on_cpu: Run, call: str, number: int) -> None:
    driver = FakeDriver(run=kernels_on_cpu)
    with Gpu(driver, compiler=fake_compiler) as gpu:
        driver.fail(call, number)
        try:
            CudaCanvas(gpu, SIZE).close()
        except DeviceError:
            pass
        else:
            assert driver.calls[call] < number, "it should have failed"
    driver.check_nothing_left()


def test_a_scene_that_was_not_prepared_is_a_mistake(work: Work) -> None:
    with pytest.raises(TypeError, match="was not prepared"):
        work.canvas.dress(PreparedScene(Scene(Colour())), 0)


def test_a_frame_of_another_canvas_is_a_mistake(work: Work) -> None:
    with pytest.raises(TypeError, match="lies on the GPU"):
        work.canvas.give(HostCanvas(SIZE).take(CAMERAS[0].frame()))


def test_keep_needs_no_network(work: Work, driver: FakeDriver) -> None:
    frame = work.canvas.take(CAMERAS[0].frame())
    work.canvas.dress(scene_of(Keep()), 0)
    assert work.canvas.compose(frame, work.network.alpha, scene_of(Keep())) is frame
