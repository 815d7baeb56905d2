"""The pipeline on a GPU as the daemon runs it, replayed, and as it was before it was recorded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from bgcamd.canvas.background import Still
from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.graphs import GraphPipeline
from bgcamd.pipeline import Pipeline
from bgcamd.scene import Blur, Colour, Fit, Picture, PreparedScene, Scene


class Plain(GraphPipeline):
    """The same work, queued call by call for every frame."""

    def _work(self, frame: Frame, scene: PreparedScene) -> Frame:
        self.canvas.dress(scene, frame.captured_ns)
        return Pipeline._work(self, frame, scene)


def scene_of(kind: str, canvas: CudaCanvas) -> PreparedScene:
    """A scene of that kind of background, made ready: "picture", "colour" or "blur"."""
    if kind == "blur":
        return PreparedScene(Scene(Blur()), None)
    if kind == "colour":
        return PreparedScene(Scene(Colour((0, 177, 64))), Still(canvas.plate.solid((0, 177, 64))))
    seeds = np.random.default_rng(1).integers(0, 256, (9, 16, 3), np.uint8)
    picture = cv2.resize(seeds, canvas.size, interpolation=cv2.INTER_CUBIC)
    frame = Frame((picture,), PixelFormat.RGB24, Size(*canvas.size))
    return PreparedScene(Scene(Picture(Path("noise.png"))), Still(canvas.plate.picture(frame, Fit.COVER)))
