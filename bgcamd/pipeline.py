"""One frame, six lines; the same for a photo, a clip and the live camera."""

from __future__ import annotations

import time
from collections.abc import Callable

from bgcamd.effort import THOROUGH, Governor
from bgcamd.frame import Change, Frame, InputSpec, Size, Tensor
from bgcamd.gaze import Gaze
from bgcamd.protocols import Canvas, Engine
from bgcamd.scene import Edge, Keep, PreparedScene
from bgcamd.stats import Stats


class Pipeline:
    """A canvas and an engine that fit each other. One thread at a time.

    The parts are borrowed: whoever made them closes them.

    Parameters
    ----------
    governor: says how much work a frame is worth; None to do the usual for each.
    """

    def __init__(
        self, canvas: Canvas, engine: Engine, stats: Stats | None = None, *, governor: Governor | None = None
    ) -> None:
        self.canvas = canvas
        self.stats = stats or Stats()
        self.engine = engine
        self._governor, self._effort = governor, THOROUGH if governor is None else governor.effort
        self._kept: tuple[Tensor, Edge] | None = None  # the last alpha, and how its edge was drawn
        self._in_a_row = 0  # frames that it was used for since
        self._spec: InputSpec = engine.fit(canvas.size)
        self._gaze = Gaze(canvas.size)
        self._tell_canvas()
        self._seen_mirrored: bool | None = None  # how the network saw the last frame; None when it saw none

    def run(
        self, raw: Frame, scene: PreparedScene, *, passes: int = 1, before: Callable[[Frame], None] | None = None
    ) -> Frame:
        """Return what viewers see of ``raw``, which the canvas releases as soon as it is copied.

        The frame returned is the canvas's, valid until the next call. passes: how often it is done, so that on a
        still a recurrent network settles, and another finds where to look. before: is shown the camera's picture,
        which is the room's, whatever comes of it; valid until it returns. Raises SourceError for a damaged frame
        and EngineError without a valid matte: then there is nothing to show, and the caller must show something else.
        """
        begun, captured_ns = time.perf_counter_ns(), raw.captured_ns
        self._heed_governor()
        with self.stats.stage("take"):
            frame = self.canvas.take(raw, mirror=scene.scene.mirror)
        if before is not None:
            before(self.canvas.give(frame))
        if isinstance(scene.scene.background, Keep):
            self._seen_mirrored = None  # the network misses this frame, so that it must start anew after it
            return self._given(frame)
        if self._seen_mirrored is not scene.scene.mirror:  # what is remembered is of another picture
            self._seen_mirrored = scene.scene.mirror
            self.forget()
        change = self.canvas.moved()
        if change.cut:
            self.forget()
        for number in range(passes):
            if number:
                self.canvas.forget()  # the last pass was a worse look at the same
            given = self._seen_and_given(frame, scene, change)
        if self._governor is not None:
            self._governor.frame(captured_ns, time.perf_counter_ns() - begun)
        return given

    @property
    def effort(self) -> str:
        """How much work a frame is worth at the moment, and why."""
        return f"{self._effort.name}, {self._governor.why}" if self._governor is not None else self._effort.name

    def forget(self) -> None:
        """The next frame has nothing to do with the last."""
        self.engine.reset()
        self.canvas.forget()
        self._gaze, self._kept = Gaze(self.canvas.size), None

    def _heed_governor(self) -> None:
        if self._governor is not None and self._effort is not self._governor.effort:
            self._effort = self._governor.effort
            self._tell_canvas()

    def _tell_canvas(self) -> None:
        self.canvas.sharpens, self.canvas.colours_edges = self._effort.sharpen, self._effort.edges

    def _seen_and_given(self, frame: Frame, scene: PreparedScene, change: Change) -> Frame:
        if (alpha := self._carried(frame, scene.scene.edge, change)) is not None:
            with self.stats.stage("compose"):
                done = self.canvas.compose(frame, alpha, scene)
            return self._given(done)
        self._kept = None  # its memory is written to from here on, whatever happens
        canvas, gaze = self.canvas, self._gaze
        if self.engine.follows and gaze.wide:
            canvas.look(None)
            with self.stats.stage("look"):
                canvas.glance(self.engine.infer(canvas.shrink(frame, self._spec)))
        canvas.look(gaze.region)
        given = self._given(self._work(frame, scene))
        if self.engine.follows:
            gaze.follow(canvas.glanced())
        return given

    def _carried(self, frame: Frame, edge: Edge, change: Change) -> Tensor | None:
        """The last alpha, where it will do for this frame."""
        effort = self._effort
        if not effort.carry or self._kept is None or self._kept[1] != edge or frame.alpha is not None:
            return None
        if change.most > effort.carry or self._in_a_row >= effort.patience:
            return None
        self._in_a_row += 1
        return self._kept[0]

    def _given(self, done: Frame) -> Frame:
        with self.stats.stage("give"):
            return self.canvas.give(done)

    def _work(self, frame: Frame, scene: PreparedScene) -> Frame:
        """What is the same for every frame, so that a GPU can record it."""
        canvas, stage, edge = self.canvas, self.stats.stage, scene.scene.edge
        if self._effort.looks > 1 and self.engine.follows:
            with stage("look"):
                canvas.keep(self.engine.infer(canvas.shrink(frame, self._spec, mirrored=True)))
        with stage("shrink"):
            small = canvas.shrink(frame, self._spec)
        with stage("infer"):
            matte = self.engine.infer(small)
        with stage("refine"):
            if self.engine.follows:
                canvas.glance(matte)
            alpha = canvas.refine(matte, frame, edge)
        self._kept, self._in_a_row = (alpha, edge) if frame.alpha is None else None, 0
        with stage("compose"):
            return canvas.compose(frame, alpha, scene)


def fit_to(size: Size | None, natural: Size) -> Size:
    """The size to work in: the one asked for, or the source's own with even sides."""
    return size or Size(max(natural.width & ~1, 2), max(natural.height & ~1, 2))
