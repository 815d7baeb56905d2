"""One GPU, one network and some frames, and what is measured of them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from ceilings import Ceilings, floors_ms, measured
from cpu_use import busy_percent
from lean import lean_engine
from pictures import sent
from pipelines import Plain, scene_of
from stand_in import StandIn
from timing import Hold, Marks

from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError
from bgcamd.frame import Frame, Size
from bgcamd.graphs import GraphPipeline
from bgcamd.matting.engines import find_ways, in_words, open_gpu_engine
from bgcamd.matting.manifest import Manifest
from bgcamd.protocols import Engine
from bgcamd.scene import PreparedScene

BACKGROUNDS = ("picture", "colour", "blur")


@dataclass(frozen=True)
class Rig:
    """What is measured, and on what.

    Parameters
    ----------
    clip: what the frames show; None for a picture made here.
    frames: so many in each measurement, of ``distinct`` different ones, after ``warm_up``.
    large: bytes that are moved to measure a ceiling, or to keep the stream busy.
    fake: the GPU is none.
    """

    gpu: Gpu
    manifest: Manifest
    clip: Path | None
    frames: int
    distinct: int = 8
    warm_up: int = 20
    large: int = 512 << 20
    fake: bool = False

    def network(self, size: Size) -> tuple[Engine, str]:
        """The network on the first TensorRT that runs here; else a stand-in, and why."""
        if self.fake:
            return StandIn(self.gpu, self.manifest), "a fake GPU has none"
        ways, reasons = find_ways("auto", self.gpu.driver)
        why = [in_words(reasons)] if reasons else []
        opens = [partial(open_gpu_engine, self.manifest, self.gpu, way.runtime, size, build=True) for way in ways]
        for open_engine in (*opens, partial(lean_engine, self.manifest, self.gpu, size)):
            try:
                return open_engine(), ""
            except EngineError as error:
                why.append(error.message)
        return StandIn(self.gpu, self.manifest), "; ".join(why)

    def ceilings(self) -> Ceilings:
        """How fast bytes move here."""
        return measured(self.gpu, self.large)

    def of_size(self, size: Size, ceilings: Ceilings) -> dict[str, Any]:
        """All figures of one size of frames."""
        with ExitStack() as stack:
            engine, why_not = self.network(size)
            stack.enter_context(engine)
            spec = engine.fit(size)
            raws = sent(self.gpu, stack, self.clip, size, self.distinct)
            backgrounds = {}
            for kind in BACKGROUNDS:
                figures = self._of_scene(size, engine, kind, raws)
                backgrounds[kind] = figures | {"floors_ms": floors_ms(size, spec, kind, ceilings)}
            return {
                "size": str(size),
                "input": str(spec.size),
                "half": spec.half,
                "network": engine.name,
                "no_tensorrt": why_not,
                "backgrounds": backgrounds,
            }

    def of_cpu(self, size: Size, seconds: float) -> dict[str, Any]:
        """How busy the daemon's loop keeps the CPU at 30 frames per second."""
        with ExitStack() as stack:
            engine = stack.enter_context(self.network(size)[0])
            raws = sent(self.gpu, stack, self.clip, size, self.distinct)
            canvas = stack.enter_context(CudaCanvas(self.gpu, size))
            pipeline = stack.enter_context(GraphPipeline(canvas, engine))
            percent, fps = busy_percent(pipeline, scene_of("picture", canvas), raws, seconds)
        return {"size": str(size), "percent_of_a_core": percent, "fps": fps, "seconds": seconds}

    def _of_scene(self, size: Size, engine: Engine, kind: str, raws: list[Frame]) -> dict[str, Any]:
        """Stages queued one by one, and the whole replayed; each also as latency, frame after frame."""
        figures: dict[str, Any] = {}
        with CudaCanvas(self.gpu, size) as canvas, Marks(self.gpu) as marks, Hold(self.gpu, self.large) as hold:
            scene = scene_of(kind, canvas)
            for name, kind_of_pipeline in (("plain", Plain), ("replayed", GraphPipeline)):
                with kind_of_pipeline(canvas, engine, marks) as pipeline:
                    bench = _Bench(pipeline, scene, raws, self.frames, self.warm_up)
                    walls = bench.walls_ms()
                    stages = bench.stages_ms(marks, hold, queued_within_ms=float(np.median(walls)))
                figures[name] = {
                    "wall_ms": _spread(walls),
                    "fps": 1e3 / float(np.mean(walls)),
                    "gpu_ms": {stage: _spread(samples) for stage, samples in stages.items()},
                }
        return figures


@dataclass(frozen=True)
class _Bench:
    """A pipeline and what it is fed."""

    pipeline: GraphPipeline
    scene: PreparedScene
    raws: list[Frame]
    frames: int
    warm_up: int

    def walls_ms(self) -> list[float]:
        """From a camera's bytes to the finished picture's, wall clock, ms, of each frame."""
        took = []
        for raw in islice(cycle(self.raws), self.warm_up + self.frames):
            before = time.perf_counter()
            self.pipeline.run(raw, self.scene)
            took.append((time.perf_counter() - before) * 1e3)
        return took[self.warm_up :]

    def stages_ms(self, marks: Marks, hold: Hold, queued_within_ms: float) -> dict[str, list[float]]:
        """What the stages take on the GPU, of each frame."""
        took: dict[str, list[float]] = {}
        marks.armed = True
        for raw in islice(cycle(self.raws), self.frames):
            hold.queue(1.5 * queued_within_ms)
            self.pipeline.run(raw, self.scene)
            for name, ms in marks.frame_ms().items():
                took.setdefault(name, []).append(ms)
        marks.armed = False
        return took


def _spread(samples: list[float]) -> dict[str, float]:
    return {"p50": float(np.median(samples)), "p99": float(np.percentile(samples, 99))}
