"""A frame replayed is the frame computed: whatever the scene, and when it changes; and ten thousand leave nothing.

In `make test` on the fake GPU with few frames; `make gpu-test` on a real one.
"""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from device import in_use
from pictures import sent
from pipelines import Plain, scene_of
from stand_in import StandIn

from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.cuda.gpu import Gpu
from bgcamd.frame import Frame, Size
from bgcamd.graphs import GraphPipeline
from bgcamd.matting.manifest import find_manifest
from bgcamd.scene import PreparedScene

ON_GPU = os.environ.get("BGCAMD_TEST_GPU") == "1"
SIZE = Size(1280, 720) if ON_GPU else Size(64, 48)
FRAMES = 10_000 if ON_GPU else 30
KINDS = ("picture", "colour", "blur")
MB = 1 << 20


class Both:
    """The same frames through both pipelines."""

    def __init__(self, gpu: Gpu, stack: ExitStack) -> None:
        self.raws = sent(gpu, stack, None, SIZE, 3)
        self.pipelines = []
        for way in (GraphPipeline, Plain):
            canvas = stack.enter_context(CudaCanvas(gpu, SIZE))
            engine = stack.enter_context(StandIn(gpu, find_manifest("selfie")))
            self.pipelines.append(stack.enter_context(way(canvas, engine)))

    def scene(self, kind: str) -> PreparedScene:
        """A scene for either."""
        return scene_of(kind, self.pipelines[0].canvas)

    def forget(self) -> None:
        """The next frame has nothing to do with the last."""
        for each in self.pipelines:
            each.forget()

    def run(self, raw: Frame, scene: PreparedScene) -> list[list[np.ndarray]]:
        """What each makes of a frame."""
        return [[plane.copy() for plane in each.run(raw, scene).planes] for each in self.pipelines]


def same(replayed: list[np.ndarray], plain: list[np.ndarray]) -> bool:
    return all((one == other).all() for one, other in zip(replayed, plain, strict=True))


@pytest.fixture
def both(gpu: Gpu) -> Both:
    with ExitStack() as stack:
        yield Both(gpu, stack)


def test_a_replayed_frame_is_the_computed_one_in_every_scene_and_after_each_change(gpu: Gpu, both: Both) -> None:
    seen = []
    for kind in (*KINDS, "picture"):
        scene = both.scene(kind)
        both.forget()
        for raw in both.raws:
            replayed, plain = both.run(raw, scene)
            assert same(replayed, plain)
            seen.append(replayed)
    assert not same(seen[0], seen[1])  # the frames differ
    assert not same(seen[0], seen[3])  # the scenes differ
    assert same(seen[0], seen[9])  # and nothing of another scene stays


def test_many_frames_leave_the_gpu_and_the_process_as_they_were(gpu: Gpu, both: Both) -> None:
    replayed, scenes = both.pipelines[0], [both.scene(kind) for kind in KINDS]

    def run(frames: int) -> tuple[int, int, int]:
        for number in range(frames):
            replayed.run(both.raws[number % 3], scenes[number // 100 % 3])
        return in_use(gpu), _resident(), len(list(Path("/proc/self/fd").iterdir()))

    memory, resident, descriptors = run(max(FRAMES // 10, 6))
    memory_end, resident_end, descriptors_end = run(FRAMES)
    assert memory_end - memory < (MB if ON_GPU else 1)  # others may use the real one
    assert resident_end - resident < 8 * MB
    assert descriptors_end == descriptors


def _resident() -> int:
    """Of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
