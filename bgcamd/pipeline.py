"""One frame, six lines; the same for a photo, a clip and the live camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bgcamd.errors import EngineError
from bgcamd.frame import Canvas, Engine, Frame, InputSpec, Plane, Size
from bgcamd.scene import Keep, PreparedScene
from bgcamd.stats import Stats


class Pipeline:
    """A canvas and an engine that fit each other. One thread at a time.

    The parts are borrowed: whoever made them closes them.
    """

    def __init__(self, canvas: Canvas, engine: Engine, stats: Stats | None = None) -> None:
        self.canvas = canvas
        self.stats = stats or Stats()
        self.engine = engine
        self._spec: InputSpec = engine.fit(canvas.size)
        self._seen_mirrored: bool | None = None  # how the network saw the last frame; None when it saw none

    def run(self, raw: Frame, scene: PreparedScene, *, passes: int = 1) -> Frame:
        """Return what viewers see of ``raw``, which is released as soon as it is copied.

        The frame returned is the canvas's, valid until the next call. passes: how often the network looks, so
        that a recurrent one settles on a still. Raises SourceError for a damaged frame and EngineError without
        a valid matte: then there is nothing to show, and the caller must show something else.
        """
        canvas, stage = self.canvas, self.stats.stage
        try:
            with stage("take"):
                frame = canvas.take(raw, mirror=scene.scene.mirror)
        finally:
            raw.release()
        if isinstance(scene.scene.background, Keep):
            self._seen_mirrored = None  # the network misses this frame, so that it must start anew after it
            with stage("give"):
                return canvas.give(frame)
        alpha = self._alpha(frame, scene, passes)
        with stage("compose"):
            done = canvas.compose(frame, alpha, scene)
        with stage("give"):
            return canvas.give(done)

    def _alpha(self, frame: Frame, scene: PreparedScene, passes: int) -> Plane:
        if self._seen_mirrored is not scene.scene.mirror:  # a recurrent network's state is of another picture
            self._seen_mirrored = scene.scene.mirror
            self.engine.reset()
        stage = self.stats.stage
        with stage("shrink"):
            small = self.canvas.shrink(frame, self._spec)
        with stage("infer"):
            for _ in range(passes):
                matte = self.engine.infer(small)
        if not _valid(matte.alpha):
            raise EngineError(f"{self.engine.name} gave no valid matte")
        with stage("refine"):
            return self.canvas.refine(matte, frame)


def _valid(alpha: NDArray[np.float32]) -> bool:
    """Whether it is what ``Matte`` promises: what it is not would show the room, or the matte of another frame."""
    return alpha.ndim == 2 and alpha.size > 0 and bool(alpha.min() >= 0 and alpha.max() <= 1)  # NaN is neither


def fit_to(size: Size | None, natural: Size) -> Size:
    """The size to work in: the one asked for, or the source's own with even sides."""
    return size or Size(max(natural.width & ~1, 2), max(natural.height & ~1, 2))
