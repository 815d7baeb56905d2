"""A pipeline for frames of whatever size comes next."""

from __future__ import annotations

from dataclasses import replace

from bgcamd.canvas.host import HostCanvas
from bgcamd.effort import Governor
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Size
from bgcamd.pipeline import Pipeline, fit_to
from bgcamd.prepare import prepare
from bgcamd.protocols import Engine
from bgcamd.scene import PreparedScene, Scene


class Studio:
    """A scene, and the pipeline that shows it; a directory's pictures may each have another size.

    Parameters
    ----------
    engine: borrowed.
    format: I420 or RGBP, of the results.
    size: of the results; None for each frame's own.
    color: of I420 results.
    alpha: whether the results may be transparent; what would be, is black else.
    still_passes: how often a still picture is looked at, and with all effort; None for moving ones.
    live: frames must not come late, and a background clip keeps step with the clock, not with the frames' own times.
    """

    def __init__(
        self,
        scene: Scene,
        engine: Engine,
        *,
        format: PixelFormat,  # noqa: A002 - the field's name
        size: Size | None = None,
        color: Color = BT601,
        alpha: bool = False,
        still_passes: int | None = None,
        live: bool = False,
    ) -> None:
        self._scene, self._engine, self._alpha = scene, engine, alpha
        self._format, self._size, self._color = format, size, color
        self._still_passes, self._live = still_passes, live
        self._ready: tuple[Pipeline, PreparedScene] | None = None

    @property
    def scene(self) -> Scene:
        """What is behind the person."""
        return self._scene

    def show(self, scene: Scene) -> None:
        """Change the scene, from the next frame on. Raises InputError; then the old one stays."""
        if self._ready is not None:
            pipeline, old = self._ready
            if (scene.background, scene.fit) == (old.scene.background, old.scene.fit):
                self._ready = pipeline, replace(old, scene=scene)
            else:
                self._ready = pipeline, self._prepared(scene)
                old.close()
        self._scene = scene

    def close(self) -> None:
        """Free the background; the engine is borrowed."""
        ready, self._ready = self._ready, None
        if ready is not None:
            ready[1].close()

    def run(self, frame: Frame) -> Frame:
        """Return the result for one frame, valid until the next call."""
        pipeline, scene = self._fitting(self._size or self._own(frame.size))
        if self._still_passes:
            pipeline.forget()
        return pipeline.run(frame, scene, passes=self._still_passes or 1)

    def _own(self, size: Size) -> Size:
        return fit_to(None, size) if self._format is PixelFormat.I420 else size

    def _fitting(self, size: Size) -> tuple[Pipeline, PreparedScene]:
        if self._ready is None or self._ready[0].canvas.size != size:
            self.close()
            canvas = HostCanvas(size, self._format, color=self._color, holds_alpha=self._alpha)
            self._plate = canvas.plate
            governor = Governor() if self._live else Governor("high") if self._still_passes else None
            pipeline = Pipeline(canvas, self._engine, governor=governor)
            self._ready = pipeline, self._prepared(self._scene)
        return self._ready

    def _prepared(self, scene: Scene) -> PreparedScene:
        return prepare(scene, self._plate, holds_alpha=self._alpha, wait=not self._live)
