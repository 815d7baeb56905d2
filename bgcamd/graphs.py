"""The six lines on a GPU: done once as they are, recorded, and from then on replayed as a whole."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from bgcamd.canvas.cuda.canvas import CudaCanvas, DeviceFrame
from bgcamd.cuda.gpu import DeviceArray, Graph, Pinned
from bgcamd.frame import Engine, Frame
from bgcamd.pipeline import Pipeline
from bgcamd.scene import PreparedScene
from bgcamd.stats import Stats


class GraphPipeline(Pipeline):
    """Shrink, infer, refine and compose are one CUDA graph; what a scene changes lies in the device's memory.

    In ``stats`` the whole graph counts as "infer": its launch there, and the wait for it in "give".
    """

    canvas: CudaCanvas

    def __init__(self, canvas: CudaCanvas, engine: Engine, stats: Stats | None = None) -> None:
        super().__init__(canvas, engine, stats)
        self._graph: Graph | None = None
        self._done: DeviceArray | Pinned | None = None  # where the graph leaves the picture

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        graph, self._graph = self._graph, None
        if graph is not None:
            self.canvas.gpu.enter_thread()
            graph.close()

    def _work(self, frame: Frame, scene: PreparedScene) -> Frame:
        canvas = self.canvas
        canvas.dress(scene, frame.captured_ns)
        if self._graph is not None and self._done is not None:
            with self.stats.stage("infer"):
                self._graph.launch()
            return DeviceFrame(self._done, frame, canvas.size, canvas.color)
        done = super()._work(frame, scene)  # TensorRT wants to run once before it is recorded
        if isinstance(done, DeviceFrame):
            self._done = done.block
            self._graph = canvas.gpu.record(lambda: self._again(frame, scene))
        return done

    def _again(self, frame: Frame, scene: PreparedScene) -> None:
        super()._work(frame, scene)
