"""The six lines on a GPU: done once as they are, recorded, and from then on replayed as a whole."""

from __future__ import annotations

import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from bgcamd.canvas.cuda.canvas import CudaCanvas, DeviceFrame
from bgcamd.cuda.gpu import DeviceArray, Graph, Pinned
from bgcamd.effort import Governor
from bgcamd.errors import DeviceError
from bgcamd.frame import Frame
from bgcamd.pipeline import Pipeline
from bgcamd.protocols import Engine
from bgcamd.scene import PreparedScene
from bgcamd.stats import Stats

_log = logging.getLogger(__name__)


class GraphPipeline(Pipeline):
    """Shrink, infer, refine and compose are one CUDA graph; what a scene or a region changes lies in the GPU's memory.

    In ``stats`` the whole graph counts as "infer": its launch there, and the wait for it in "give". Where TensorRT does
    what can't be recorded, every frame is queued call by call.
    """

    canvas: CudaCanvas

    def __init__(
        self, canvas: CudaCanvas, engine: Engine, stats: Stats | None = None, *, governor: Governor | None = None
    ) -> None:
        super().__init__(canvas, engine, stats, governor=governor)
        self._graph: Graph | None = None
        self._recordable = True
        self._done: DeviceArray | Pinned | None = None  # where the graph leaves the picture

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            with suppress(DeviceError):
                self.canvas.gpu.enter_thread()
            graph.close()

    def _heed_governor(self) -> None:
        looks = self._effort.looks
        super()._heed_governor()
        if self._effort.looks != looks:  # what was recorded has another number
            self._end()

    def _work(self, frame: Frame, scene: PreparedScene) -> Frame:
        canvas = self.canvas
        canvas.dress(scene, frame.captured_ns)
        if self._graph is not None and self._done is not None:
            with self.stats.stage("infer"):
                self._graph.launch()
            return DeviceFrame(self._done, frame, canvas.size, canvas.color)
        done = super()._work(frame, scene)  # TensorRT wants to run once before it is recorded
        if isinstance(done, DeviceFrame) and self._recordable:
            self._done = done.block
            self._record(frame, scene)
        return done

    def _record(self, frame: Frame, scene: PreparedScene) -> None:
        try:
            self._graph = self.canvas.gpu.record(lambda: self._again(frame, scene))
        except DeviceError as error:  # a GPU that has failed says so again, when the frame is given
            self._recordable = False
            _log.warning("%s can't be recorded, which costs some time on each frame: %s", self.engine.name, error)

    def _again(self, frame: Frame, scene: PreparedScene) -> None:
        super()._work(frame, scene)
