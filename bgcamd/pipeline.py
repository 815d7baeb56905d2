"""One frame, six lines; the same for a photo, a clip and the live camera."""

from __future__ import annotations

from bgcamd.frame import Canvas, Engine, Frame, InputSpec, Size
from bgcamd.gaze import Gaze
from bgcamd.scene import Keep, PreparedScene
from bgcamd.stats import Stats


class Pipeline:
    """A canvas and an engine that fit each other. One thread at a time.

    The parts are borrowed: whoever made them closes them.

    Parameters
    ----------
    looks: how often the network looks at a frame, 1 or 2; once more in a mirror.
    """

    def __init__(self, canvas: Canvas, engine: Engine, stats: Stats | None = None, *, looks: int = 1) -> None:
        self.canvas = canvas
        self.stats = stats or Stats()
        self.engine = engine
        self._looks = looks
        self._spec: InputSpec = engine.fit(canvas.size)
        self._gaze = Gaze(canvas.size)
        self._seen_mirrored: bool | None = None  # how the network saw the last frame; None when it saw none

    def run(self, raw: Frame, scene: PreparedScene, *, passes: int = 1) -> Frame:
        """Return what viewers see of ``raw``, which the canvas releases as soon as it is copied.

        The frame returned is the canvas's, valid until the next call. passes: how often it is done, so that on a
        still a recurrent network settles, and another finds where to look. Raises SourceError for a damaged frame
        and EngineError without a valid matte: then there is nothing to show, and the caller must show something else.
        """
        canvas, stage = self.canvas, self.stats.stage
        with stage("take"):
            frame = canvas.take(raw, mirror=scene.scene.mirror)
        if isinstance(scene.scene.background, Keep):
            self._seen_mirrored = None  # the network misses this frame, so that it must start anew after it
            with stage("give"):
                return canvas.give(frame)
        if self._seen_mirrored is not scene.scene.mirror:  # what is remembered is of another picture
            self._seen_mirrored = scene.scene.mirror
            self.forget()
        for number in range(passes):
            if number:
                canvas.forget()  # the last pass was a worse look at the same
            given = self._seen_and_given(frame, scene)
        return given

    def forget(self) -> None:
        """The next frame has nothing to do with the last."""
        self.engine.reset()
        self.canvas.forget()
        self._gaze = Gaze(self.canvas.size)

    def _seen_and_given(self, frame: Frame, scene: PreparedScene) -> Frame:
        canvas, gaze = self.canvas, self._gaze
        if self.engine.follows and gaze.wide:
            canvas.look(None)
            with self.stats.stage("look"):
                canvas.glance(self.engine.infer(canvas.shrink(frame, self._spec)))
        canvas.look(gaze.region)
        done = self._work(frame, scene)
        with self.stats.stage("give"):
            given = canvas.give(done)
        if self.engine.follows:
            gaze.follow(canvas.glanced())
        return given

    def _work(self, frame: Frame, scene: PreparedScene) -> Frame:
        """What is the same for every frame, so that a GPU can record it."""
        canvas, stage = self.canvas, self.stats.stage
        if self._looks > 1:
            with stage("look"):
                canvas.keep(self.engine.infer(canvas.shrink(frame, self._spec, mirrored=True)))
        with stage("shrink"):
            small = canvas.shrink(frame, self._spec)
        with stage("infer"):
            matte = self.engine.infer(small)
        with stage("refine"):
            canvas.glance(matte)
            alpha = canvas.refine(matte, frame, scene.scene.edge)
        with stage("compose"):
            return canvas.compose(frame, alpha, scene)


def fit_to(size: Size | None, natural: Size) -> Size:
    """The size to work in: the one asked for, or the source's own with even sides."""
    return size or Size(max(natural.width & ~1, 2), max(natural.height & ~1, 2))
