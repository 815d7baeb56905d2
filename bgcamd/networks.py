"""Networks opened for frames of one size, on what this machine has: a canvas and an engine that fit each other.

A GPU is used at once where TensorRT has built the network before. Else the CPU serves while it is built, and where the
GPU fails the CPU takes over; the daemon's upkeep asks for either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

import numpy as np

from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.canvas.host import HostCanvas
from bgcamd.cuda.driver import Driver
from bgcamd.cuda.gpu import Gpu
from bgcamd.effort import Governor, Quality
from bgcamd.errors import DeviceError, EngineError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.graphs import GraphPipeline
from bgcamd.matting.engines import (
    Choice,
    Reason,
    Way,
    as_error,
    find_ways,
    first_that_works,
    in_words,
    open_gpu_engine,
    prove,
    why_here,
)
from bgcamd.matting.manifest import Manifest, find_manifest
from bgcamd.matting.onnx_engine import OnnxEngine
from bgcamd.matting.store import check_model
from bgcamd.matting.tensorrt.plans import NotBuiltError
from bgcamd.matting.tensorrt.runtime import title
from bgcamd.pipeline import Pipeline
from bgcamd.scene import Blur, PreparedScene, Scene
from bgcamd.service.model import Model, Progress

_USUAL, _BEST = "selfie", "rvm"
_SOON_S = 600.0  # a GPU that fails twice within this time is left alone

Look = Callable[[Choice], tuple[tuple[Way, ...], tuple[Reason, ...]]]


class Networks:
    """Opens networks as the settings say. Any thread may, one at a time.

    Parameters
    ----------
    choice, threads: what runs them, and the CPU's threads on one frame.
    size: of the frames.
    quality, carry: how much work a frame is worth on the CPU, and whether a matte may do for the next frame, too.
    look, open_gpu: in place of the machine's own.
    """

    def __init__(
        self,
        choice: Choice,
        threads: int,
        size: Size,
        quality: Quality = "auto",
        *,
        carry: bool = True,
        look: Look = find_ways,
        open_gpu: Callable[[Driver], Gpu] = Gpu,
    ) -> None:
        self._choice, self._threads, self._size, self._quality = choice, threads, size, quality
        self._carry, self._look, self._open_gpu = carry, look, open_gpu
        self._gpus: list[Gpu] = []  # that are open; the last one is in use, or soon will be
        self._failed_at = float("-inf")

    def open(self, name: str) -> Model:
        """Open a model by its name or its manifest's path, where it runs at once, and prove that it works.

        Raises ModelError; EngineError also where TensorRT was asked for and is not to be had.
        """
        if self._choice == "cpu":
            return self._on_cpu(name, "cpu was asked for")
        ways, reasons = self._look(self._choice)
        for number, way in enumerate(ways):
            try:
                return self._on_gpu(name, way, reasons, None)
            except NotBuiltError:
                build = partial(self._built, name, ways[number:], reasons)
                return self._on_cpu(name, f"{title(way.runtime.name)} is not ready yet", build)
            except EngineError as error:
                reasons = (*reasons, Reason(way.runtime.name, error))
        if self._choice != "auto":
            raise as_error(reasons)
        return self._on_cpu(name, in_words(reasons))

    def best(self, name: str, tell: Progress) -> Model:
        """Open a model where it runs best, however long it takes. Raises as ``open`` does."""
        model = self.open(name)
        if model.better is None:
            return model
        try:
            better = model.better(tell)
        except EngineError as error:
            if self._choice != "auto":
                model.close()
                raise
            return replace(model, why=str(error), better=None)
        except BaseException:
            model.close()
            raise
        model.close()
        return better

    def rescue(self, model: Model, error: DeviceError) -> Model:
        """Open a model on the CPU, since the GPU that ran it has failed; back to the GPU once. Raises EngineError."""
        first = time.monotonic() - self._failed_at > _SOON_S
        self._failed_at = time.monotonic()
        if first:
            return self._on_cpu(model.name, error.message, partial(self._again, model.name))
        problem = f"{error.message}, again: the CPU does its work"
        return replace(self._on_cpu(model.name, error.message), problem=problem)

    @property
    def gpu(self) -> Gpu | None:
        """The GPU that is in use."""
        gpus = tuple(self._gpus)  # by any thread
        return gpus[-1] if gpus else None

    def _again(self, name: str, tell: Progress) -> Model:
        """On the GPU after it has failed; raises EngineError where that is not to be had any more."""
        model = self.best(name, tell)
        if isinstance(model.pipeline, GraphPipeline):
            return model
        model.close()
        raise EngineError(model.why, "restart bgcamd: for some errors of a GPU there is no other cure")

    def _built(self, name: str, ways: tuple[Way, ...], reasons: tuple[Reason, ...], tell: Progress) -> Model:
        """Build for the first TensorRT that takes the network. Raises EngineError."""
        return first_that_works(ways, reasons, lambda way, so_far: self._on_gpu(name, way, so_far, tell))

    @staticmethod
    def _manifest(name: str, *, spare: bool) -> Manifest:
        """The one of this name; of "auto" the best that is fetched, where there is time to spare, else the usual."""
        if name != "auto":
            return find_manifest(name)
        best = find_manifest(_BEST)
        return best if spare and best.path().is_file() else find_manifest(_USUAL)

    def _on_cpu(self, name: str, why: str, better: Callable[[Progress], Model] | None = None) -> Model:
        manifest = self._manifest(name, spare=self._quality == "high")
        with ExitStack() as stack:
            engine = stack.enter_context(OnnxEngine(manifest, check_model(manifest), threads=self._threads))
            prove(engine, self._size)
            pipeline = Pipeline(HostCanvas(self._size), engine, governor=Governor(self._quality, carry=self._carry))
            return Model(name, pipeline, why, close=stack.pop_all().close, better=better)

    def _on_gpu(self, name: str, way: Way, reasons: tuple[Reason, ...], tell: Progress | None) -> Model:
        """tell: None where nothing may be built. Raises NotBuiltError then."""
        manifest = self._manifest(name, spare=True)

        def progress(fraction: float | None, phase: str) -> None:
            if tell is not None:
                share = "" if fraction is None else f", {fraction:.0%}"
                tell(f"{phase} {manifest.name} for {title(way.runtime.name)}{share}")

        check_model(manifest)
        with ExitStack() as stack:
            gpu = stack.enter_context(self._open_gpu(way.driver))
            build = tell is not None
            engine = open_gpu_engine(manifest, gpu, way.runtime, self._size, build=build, progress=progress)
            stack.enter_context(engine)
            canvas = stack.enter_context(CudaCanvas(gpu, self._size))
            pipeline = stack.enter_context(
                GraphPipeline(canvas, engine, governor=Governor("high", why="a GPU has time for it"))
            )
            _prove(pipeline)
            self._gpus.append(gpu)
            stack.callback(self._gpus.remove, gpu)
            return Model(name, pipeline, why_here(way.runtime, reasons), close=_quietly(stack.pop_all()))


def _prove(pipeline: Pipeline) -> None:
    """Run and record a black frame, and replay it: what does not work shows only then. Raises EngineError."""
    size = pipeline.canvas.size
    black = np.zeros((size.height, size.width, 2), np.uint8)
    for _ in range(2):
        pipeline.run(Frame((black,), PixelFormat.YUYV, size), PreparedScene(Scene(Blur())))
    pipeline.forget()


def _quietly(stack: ExitStack) -> Callable[[], None]:
    """Close what a GPU holds; one that has failed holds nothing."""

    def close() -> None:
        with suppress(DeviceError):
            stack.close()

    return close
