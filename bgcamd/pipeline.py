"""One frame, six lines; the same for a photo, a clip and the live camera."""

from __future__ import annotations

from bgcamd.frame import Canvas, Engine, Frame, InputSpec, Size
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
        """Return what viewers see of ``raw``, which the canvas releases as soon as it is copied.

        The frame returned is the canvas's, valid until the next call. passes: how often the network looks, so
        that a recurrent one settles on a still. Raises SourceError for a damaged frame and EngineError without
        a valid matte: then there is nothing to show, and the caller must show something else.
        """
        canvas, stage = self.canvas, self.stats.stage
        with stage("take"):
            frame = canvas.take(raw, mirror=scene.scene.mirror)
        if isinstance(scene.scene.background, Keep):
            self._seen_mirrored = None  # the network misses this frame, so that it must start anew after it
            with stage("give"):
                return canvas.give(frame)
        if self._seen_mirrored is not scene.scene.mirror:  # a recurrent network's state is of another picture
            self._seen_mirrored = scene.scene.mirror
            self.engine.reset()
        done = self._work(frame, scene, passes)
        with stage("give"):
            return canvas.give(done)

    def _work(self, frame: Frame, scene: PreparedScene, passes: int) -> Frame:
        """What is the same for every frame, so that a GPU can record it."""
        canvas, stage = self.canvas, self.stats.stage
        with stage("shrink"):
            small = canvas.shrink(frame, self._spec)
        with stage("infer"):
            for _ in range(passes):
                matte = self.engine.infer(small)
        with stage("refine"):
            alpha = canvas.refine(matte, frame)
        with stage("compose"):
            return canvas.compose(frame, alpha, scene)


def fit_to(size: Size | None, natural: Size) -> Size:
    """The size to work in: the one asked for, or the source's own with even sides."""
    return size or Size(max(natural.width & ~1, 2), max(natural.height & ~1, 2))
