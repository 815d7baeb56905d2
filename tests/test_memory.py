"""Frame after frame and scene after scene, the pipeline holds no more than it did."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bgcamd.canvas.background import Plate
from bgcamd.canvas.host import HostCanvas
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.matting.engines import open_engine
from bgcamd.matting.fake import FakeEngine
from bgcamd.matting.manifest import find_manifest
from bgcamd.pipeline import Pipeline
from bgcamd.prepare import prepare
from bgcamd.protocols import Engine
from bgcamd.scene import Background, Blur, Clip, Colour, Keep, Picture, Remove, Scene
from bgcamd.video.files.media_writer import MediaWriter

SIZE = Size(320, 180)
PLANES = SIZE.width * SIZE.height * 3 // 2  # bytes of one I420 frame
MIB = 1 << 20


def every_background(folder: Path) -> list[Background]:
    """One of each kind, two of them files that are written into ``folder``."""
    picture, clip = folder / "picture.png", folder / "clip.mp4"
    Image.effect_noise((640, 480), 90).convert("RGB").save(picture)
    grey = np.zeros((90, 160), np.uint8)
    with MediaWriter(clip, size=Size(160, 90), rate=Fraction(30)) as sink:
        for number in range(60):
            grey[:] = number * 4
            sink.write(Frame((grey,), PixelFormat.GREY, Size(160, 90), captured_ns=number * 33_333_333))
    return [Picture(picture), Blur(), Clip(clip), Colour(), Keep(), Remove()]


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The collector of cycles comes when it likes; what only it frees has grown until then."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Work:
    """A pipeline that works on YUYV noise."""

    def __init__(self, engine: Engine) -> None:
        self._pipeline = Pipeline(HostCanvas(SIZE), engine)
        self._plate = Plate(SIZE, PixelFormat.I420, BT601)
        self._packed = np.random.default_rng(1).integers(0, 256, (SIZE.height, SIZE.width, 2), np.uint8)
        self._now_ns = 0

    def show(self, background: Background, frames: int, *, mirror: bool = False) -> None:
        """Prepare a scene, run it, and close it, as the daemon does."""
        scene = prepare(Scene(background, mirror=mirror), self._plate)
        try:
            for _ in range(frames):
                self._now_ns += 33_333_333
                raw = Frame((self._packed,), PixelFormat.YUYV, SIZE, captured_ns=self._now_ns)
                self._pipeline.run(raw, scene)
        finally:
            scene.close()

    def round(self, backgrounds: list[Background]) -> None:
        """Every scene once, every second one mirrored."""
        for background, mirror in zip(backgrounds, itertools.cycle((False, True)), strict=False):
            self.show(background, 25, mirror=mirror)


def grown(measure: Callable[[], int], work: Callable[[], None], *, rounds: int) -> int:
    """By how much ``measure`` has grown over so many rounds of work, once two have filled what is kept."""
    work()
    work()
    before = measure()
    for _ in range(rounds):
        work()
    return measure() - before


def test_no_array_and_no_object_is_kept(tmp_path: Path) -> None:
    backgrounds = every_background(tmp_path)
    work = Work(FakeEngine())
    work.show(Colour(), 300)  # the statistics hold as many samples
    tracemalloc.start()
    try:
        kept = grown(lambda: tracemalloc.get_traced_memory()[0], lambda: work.round(backgrounds), rounds=5)
    finally:
        tracemalloc.stop()
    assert kept < PLANES  # not one frame of 750, not one background of 30


def test_threads_files_and_pictures_of_a_scene_end_with_it(tmp_path: Path, no_collector: None) -> None:
    backgrounds = every_background(tmp_path)
    work = Work(FakeEngine())
    assert grown(held, lambda: work.round(backgrounds), rounds=3) == 0


@pytest.mark.model
def test_what_libraries_hold_does_not_grow(tmp_path: Path, models: Path) -> None:
    """What onnxruntime, OpenCV and libav allocate is seen only in the whole process: one that has done nothing else."""
    done = subprocess.run([sys.executable, __file__, tmp_path], capture_output=True, text=True, check=True, timeout=100)
    assert int(done.stdout) < 8 * MIB  # one plane kept of each of 1200 frames shows as 26; the allocator drifts by 1


def held() -> int:
    """File descriptors and threads of the process, and libav's pictures."""
    of_the_process = sum(1 for kind in ("fd", "task") for _ in Path(f"/proc/self/{kind}").iterdir())
    return of_the_process + sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())


def resident() -> int:
    """Bytes of the process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    scenes = every_background(Path(sys.argv[1]))
    with open_engine(find_manifest("selfie"), "cpu", 1)[0] as network:
        whole = Work(network)
        print(grown(resident, lambda: whole.round(scenes), rounds=8))  # noqa: T201
