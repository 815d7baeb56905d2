"""The daemon as its control socket sees it: one scene, one model, changed whole and answered when live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import cv2

from bgcamd import __version__
from bgcamd.errors import ControlError, DeviceError
from bgcamd.frame import BT601, Frame, PixelFormat
from bgcamd.live.capture import Capture
from bgcamd.live.looks import Looks
from bgcamd.live.loop import LiveLoop
from bgcamd.live.outputs import Outputs
from bgcamd.scene import Picture, PreparedScene, Scene
from bgcamd.service.model import Model
from bgcamd.service.orders import Orders
from bgcamd.service.state import scene_to_dict
from bgcamd.service.upkeep import Upkeep
from bgcamd.video.files.swscale import interleaved

_LOOK_S = 5.0  # so long the camera is on for a snapshot, and so long it may take to answer
_SWAP_S = 20.0  # a frame on a loaded machine takes a fraction of this


T = TypeVar("T")


class Daemon:
    """Implements ``control.Controls`` on a running ``LiveLoop``; every method may be called by any thread.

    Parameters
    ----------
    prepare: makes a scene ready for the canvas. Slow, raises InputError.
    open_model: opens a model by name. Slow, raises ModelError or EngineError.
    rescue: opens a model anew, not on the GPU that has failed.

    Attributes
    ----------
    orders: does what viewers ask for by keys.
    """

    def __init__(
        self,
        *,
        loop: LiveLoop,
        capture: Capture,
        outputs: Outputs,
        model: Model,
        prepare: Callable[[Scene], PreparedScene],
        open_model: Callable[[str], Model],
        rescue: Callable[[Model, DeviceError], Model],
    ) -> None:
        self._loop, self._capture, self._outputs = loop, capture, outputs
        self._model, self._changing = model, threading.Lock()
        self._prepare, self._open_model = prepare, open_model
        self._upkeep = Upkeep(self, rescue)
        self.orders = Orders()
        loop.on_device_error, loop.on_command = self._upkeep.failed, self.orders.take

    @property
    def scene(self) -> Scene:
        """What viewers see now."""
        return self._loop.scene.scene

    @property
    def looks(self) -> Looks:
        """What viewers see, for who looks on."""
        return self._loop.looks

    def apply(self, scene: Scene, model: str | None) -> None:
        """Show ``scene``, by ``model`` if named; returns when viewers have it.

        Raises a BgcamError when something can't be made ready; what was shown before then stays.
        """
        with self._changing, ExitStack() as unused:
            wanted = None if model is None or model == self._model.name else self._open_model(model)
            if wanted is not None:
                unused.callback(wanted.close)
            old = self._loop.scene
            ready = self._made_ready(scene)
            if ready.backdrop is not old.backdrop:
                unused.callback(ready.close)
            self._swap(ready, wanted)
            unused.pop_all()
            if ready.backdrop is not old.backdrop:
                unused.callback(old.close)
            if wanted is not None:
                unused.callback(self._model.close)
                self._model = wanted
                self._upkeep.changed()

    @property
    def model(self) -> Model:
        """See ``upkeep.Holder``."""
        return self._model

    def exchange(self, old: Model, new: Model) -> bool:
        """See ``upkeep.Holder``."""
        with self._changing, ExitStack() as unused:
            unused.callback(new.close)
            if self._model is not old:
                return False
            self._swap(self._loop.scene, new)
            unused.pop_all()
            unused.callback(old.close)
            self._model = new
            self._upkeep.changed()
        return True

    def _made_ready(self, scene: Scene) -> PreparedScene:
        now = self._loop.scene
        if (scene.background, scene.fit) == (now.scene.background, now.scene.fit):
            return PreparedScene(scene, now.backdrop)  # a clip plays on
        return self._prepare(scene)

    def _swap(self, ready: PreparedScene, wanted: Model | None) -> None:
        loop = self._loop

        def swap() -> None:
            loop.scene = ready
            if wanted is not None:
                loop.pipeline = wanted.pipeline

        self._in_loop(swap, once_shown=True)

    def _in_loop(self, job: Callable[[], T], *, once_shown: bool = False) -> T:
        """Run ``job`` between two frames. Raises ControlError where the loop ends or stands still: it never runs."""
        answer = self._loop.submit(job, once_shown=once_shown)
        try:
            return answer.result(_SWAP_S)
        except CancelledError:
            raise ControlError("bgcamd ends, so that nothing was changed") from None
        except TimeoutError:
            if answer.cancel():
                raise ControlError(
                    f"the picture has stood still for {_SWAP_S:.0f} s, so that nothing was changed",
                    "the network or an output hangs: `bgcam status` names them; restart bgcamd",
                ) from None
            return answer.result()  # it has run, and is only still to be shown

    def pause(self, text: str = "", picture: Path | None = None, *, freeze: bool = False) -> None:
        """Close the camera and show a card, until ``resume``; returns when viewers have it, whatever else hangs.

        text: on the card, the first line large. picture: shown instead. freeze: what viewers see stays. Raises
        InputError where ``picture`` is none; then nothing changes.
        """
        self._loop.pause(self._pause_card(text, picture), freeze=freeze)

    def _pause_card(self, text: str, picture: Path | None) -> Callable[[], Frame] | None:
        if picture is not None:
            prepared = self._prepare(Scene(Picture(picture)))
            shown = self._as_frame(prepared)
            return lambda: shown
        if text:
            title, *lines = text.split("\n")
            return lambda: self._loop.draw_card(title, tuple(lines))
        return None

    def _as_frame(self, prepared: PreparedScene) -> Frame:
        if prepared.backdrop is None:
            raise TypeError("a picture has a backdrop")
        canvas = self._model.pipeline.canvas
        return Frame(prepared.backdrop.planes_at(0), PixelFormat.I420, canvas.size, color=BT601)

    def resume(self) -> None:
        """Show the camera again."""

        def switch() -> None:
            self._loop.paused = False

        self._in_loop(switch)

    def snapshot(self) -> bytes:
        """The picture that viewers see now, or would see if there were any, as a PNG file."""
        self._wake()
        shown = interleaved(self._in_loop(self._copy_shown))
        return cv2.imencode(".png", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))[1].tobytes()

    def _wake(self) -> None:
        """Where the camera is off because nobody watches, turn it on and wait a little for its picture."""
        if self._loop.state != "idle":
            return
        self._loop.wake(_LOOK_S)
        deadline = time.monotonic() + _LOOK_S
        while self._loop.state != "live" and time.monotonic() < deadline:
            time.sleep(0.02)

    def _copy_shown(self) -> Frame:
        shown = self._loop.shown
        if shown is None:
            raise ControlError("nothing has been shown yet", "try again in a moment")
        return Frame(tuple(plane.copy() for plane in shown.planes), shown.format, shown.size, color=shown.color)

    def run(self) -> None:
        """Work in the calling thread until ``stop``."""
        with self._upkeep, self.orders:
            self._loop.run()

    def stop(self) -> None:
        """End the daemon after the frame in hand."""
        self._loop.stop()

    def close(self) -> None:
        """Free the scene and the model that are in use, once ``run`` has ended."""
        self._loop.scene.close()
        self._model.close()

    @property
    def written(self) -> int:
        """How many pictures went out, frames and cards."""
        return self._loop.written

    @property
    def places(self) -> list[str]:
        """How a person sees what goes out, as ``Outputs.places``."""
        return self._outputs.places

    @property
    def output(self) -> str:
        """What the outputs are called."""
        return ", ".join(self._outputs.names)

    @property
    def engine(self) -> str:
        """What runs the model, and why."""
        return f"{self._model.pipeline.engine.name}; {self._model.why}"

    def headline(self) -> str:
        """The state and what matters most about it, in a line."""
        state, problems, outputs = self._loop.state, self._problems(), self.output
        if problems:
            return f"{state}: {problems[0]}"
        if state == "idle":
            return f"idle: nobody watches {outputs}, the camera is off"
        return f"{state}: {self._capture.state.name or 'no camera yet'} to {outputs}"

    def status(self) -> dict[str, object]:
        """org.bgcam's type Status: what ``bgcam status --json`` prints."""
        stats, camera = self._loop.pipeline.stats, self._capture.state
        return {
            "state": self._loop.state,
            "version": __version__,
            "camera": camera.name or "none",
            "output": self.output,
            "size": str(self._model.pipeline.canvas.size),
            "model": self._model.name,
            "engine": self._model.pipeline.engine.name,
            "why": self._model.why,
            "quality": self._model.pipeline.effort,
            "progress": self._upkeep.progress or None,
            "memory": camera.memory or None,
            "fps": stats.fps(time.monotonic_ns()) if self._loop.state == "live" else 0.0,
            "stages": stats.stages(),
            "age_ms": stats.age_ms(),
            "frames": stats.frames,
            "dropped": stats.dropped + self._loop.displaced,
            "problems": self._problems(),
            "scene": scene_to_dict(self.scene),
        }

    def _problems(self) -> list[str]:
        """What is wrong now, the gravest first."""
        camera = self._capture.state
        problems = [str(error) for _, error in self._outputs.problems]
        if self._model.problem:
            problems.append(self._model.problem)
        backdrop = self._loop.scene.backdrop
        if backdrop is not None and backdrop.problem:
            problems.append(backdrop.problem)
        if camera.why:
            problems.insert(0, f"{camera.why} ({camera.hint})" if camera.hint else camera.why)
        if self._loop.fault is not None:
            problems.insert(0, str(self._loop.fault))
        return problems
