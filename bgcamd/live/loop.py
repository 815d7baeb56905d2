"""The live loop: newest frame in, picture out, at once. Whatever happens, the outputs go on.

Fails closed: without a valid matte no frame of the room leaves; viewers see a card that says so.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from bgcamd.errors import DeviceError, EngineError, SourceError
from bgcamd.frame import Frame
from bgcamd.live.capture import Capture
from bgcamd.live.demand import Demand
from bgcamd.live.looks import Looks
from bgcamd.live.outputs import Outputs
from bgcamd.live.understudy import STALLED_S, Stopwatch, Understudy
from bgcamd.pipeline import Pipeline
from bgcamd.protocols import Command
from bgcamd.scene import PreparedScene
from bgcamd.video.mailbox import Latest

_log = logging.getLogger(__name__)
STARTING = "Starting…"
"""The card's title until the camera's first picture."""

_CARD_S = 0.1  # a card is written again this often, so that readers go on reading
_IDLE_S = 1.0  # and this often when nobody watches
_SILENCE_S = 1.0  # after this long without a frame the last picture gives way to a card

T = TypeVar("T")


class LiveLoop:
    """Runs in one thread, ``run``; other threads reach it only through ``submit`` and ``stop``.

    Parameters
    ----------
    pipeline, scene: what to show; changed by jobs, which run between two frames.
    demand: whether anybody watches; else the camera is off and a card is written now and then.
    looks: is shown what viewers see.
    draw_card: title and lines to a frame in the outputs' format, valid until the next call; one call at a time.
    stalled_s: after so long within one frame viewers see a card.

    Attributes
    ----------
    on_device_error, on_command: are told of a GPU that failed, and what a viewer asked for by an output's keys; they
        must not wait. An output that is to quit is closed already, and ``run`` ends with the last one.
    """

    def __init__(
        self,
        *,
        capture: Capture,
        mailbox: Latest[Frame],
        outputs: Outputs,
        pipeline: Pipeline,
        scene: PreparedScene,
        demand: Demand,
        looks: Looks,
        draw_card: Callable[[str, tuple[str, ...]], Frame],
        stalled_s: float = STALLED_S,
    ) -> None:
        self._capture, self._mailbox, self._outputs = capture, mailbox, outputs
        self.pipeline, self.scene = pipeline, scene
        self._demand, self.looks, self.draw_card = demand, looks, draw_card
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._after_write: list[Callable[[], None]] = []
        self._stopping, self._over = False, False
        self._air = threading.Lock()  # one writes at a time: the loop, or whoever stands in for it
        self._working = Stopwatch(stalled_s)
        self.paused, self._idle, self._live = False, True, False
        self._paused_card: Callable[[], Frame] | None = None
        self.fault: EngineError | None = None
        self.written = 0  # pictures that went out, frames and cards: what a watchdog wants to see grow
        self.shown: Frame | None = None  # what viewers see now, valid between two frames
        self.on_device_error: Callable[[Pipeline, DeviceError], None] = lambda _, __: None
        self.on_command: Callable[[Command], None] = lambda _: None

    @property
    def state(self) -> str:
        """What viewers see: "live", or a card: "paused", "idle" (nobody looks), "hidden" (no matte), "waiting"."""
        if self.paused:
            return "paused"
        if self._idle:
            return "idle"
        if self.fault is not None:
            return "hidden"
        return "live" if self._capture.state.state == "live" else "waiting"

    @property
    def displaced(self) -> int:
        """Frames that the camera made and nobody saw, because a newer one was there."""
        return self._mailbox.displaced

    def submit(self, job: Callable[[], T], *, once_shown: bool = False) -> Future[T]:
        """Run ``job`` between two frames. once_shown: the answer waits for the next picture to be written.

        Until it runs, the answer can be cancelled; then it never does. After ``run`` has ended, all are.
        """
        answer: Future[T] = Future()

        def run() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                result = job()
            except BaseException as error:  # the caller's, not ours
                answer.set_exception(error)
                return
            if once_shown and not self._stopping:
                self._after_write.append(lambda: answer.set_result(result))
            else:
                answer.set_result(result)

        self._jobs.put(run)
        if self._over:
            answer.cancel()
        return answer

    def wake(self, seconds: float) -> None:
        """Turn the camera on for so long, although nobody watches."""
        self._demand.wake(seconds)

    def stop(self) -> None:
        """End ``run`` after the frame in hand."""
        self._stopping = True

    def pause(self, card: Callable[[], Frame] | None = None, *, freeze: bool = False) -> None:
        """Show a card now, from the calling thread, whatever the loop is doing, and turn the camera off.

        Once this returns no new picture of the camera goes out until ``paused`` is False again.

        card: gives what is shown instead of the usual one. freeze: what viewers see stays, if it is a live picture.
        """
        with self._air:
            self.paused, shown = True, self.shown
            if freeze and self._live and shown is not None:
                still = _copy(shown)
                card = lambda: still  # noqa: E731 - a name of its own would say no more
            self._paused_card = card
            self._put(self._card())
        self._capture.want(False)

    def run(self) -> None:
        """Work until ``stop``."""
        with Understudy(self._working, self._stand_in):
            self._run()

    def _run(self) -> None:
        shown_at = float("-inf")  # when the last live frame was written
        card_at = float("-inf")
        while not self._stopping:
            if self._capture.crash is not None:
                raise self._capture.crash
            self._run_jobs()
            self._idle = not self._demand.wanted()
            self._capture.want(not (self._idle or self.paused))
            frame = self._mailbox.get(_CARD_S)
            if frame is not None and self._show(frame):
                shown_at, card_at = time.monotonic(), float("-inf")  # what is not live from now on is a card at once
                continue
            now = time.monotonic()
            overdue = self.state != "live" or now - shown_at >= _SILENCE_S
            pause = _IDLE_S if self.state == "idle" and not self._after_write else _CARD_S
            if overdue and now - card_at >= pause:
                self._write_card()
                card_at = now
        self._over = True
        self._run_jobs()
        self._answer()

    def _run_jobs(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            job()

    def _show(self, raw: Frame) -> bool:
        """Work on one frame; False when there is nothing of it to show."""
        if self.paused or self._idle:
            raw.release()
            return False
        captured = raw.captured_ns
        try:
            with self._working:
                done = self.pipeline.run(raw, self.scene, before=self.looks.before)
        except SourceError:  # one damaged frame; the last picture stays for a moment
            self.pipeline.stats.dropped += 1
            return False
        except EngineError as error:
            if isinstance(error, DeviceError):
                self.on_device_error(self.pipeline, error)
            return self._hide(error)
        except Exception as error:
            return self._hide(EngineError(f"an internal error: {error!r}", "the log has the traceback"), traceback=True)
        self.fault = None
        if not self._write(done, live=True):
            return False
        self.pipeline.stats.written(captured, time.monotonic_ns())
        return True

    def _hide(self, fault: EngineError, *, traceback: bool = False) -> bool:
        if self.fault is None:
            _log.error("no matte, so the picture is hidden: %s", fault, exc_info=traceback)
        self.fault = fault
        return False

    def _write_card(self) -> None:
        if self._live:
            self._live = False
            self._forget()
        self._write(None)

    def _forget(self) -> None:
        """What a recurrent network remembers will have nothing to do with the next frame."""
        try:
            self.pipeline.forget()
        except DeviceError as error:
            self.on_device_error(self.pipeline, error)

    def _write(self, frame: Frame | None, *, live: bool = False) -> bool:
        """Write a frame, or the card; False for a live frame when the card was called for while it was made."""
        with self._air:
            if live and self.paused:
                return False
            self._live = self._live or live
            self._put(self._card() if frame is None else frame, live=live)
        self.written += 1
        for command in self._outputs.commands():
            self.on_command(command)
        if self._outputs.ended:
            self.stop()
        self._answer()
        return True

    def _put(self, frame: Frame, *, live: bool = False) -> None:
        self.shown = frame
        self._outputs.write(frame)
        self.looks.shown(frame, live=live)

    def _stand_in(self) -> None:
        """Show the card while a frame takes so long that viewers would think that we hang; in another thread."""
        with self._air:
            if self._working.stalled:  # else it is done by now
                self._hide(EngineError("the network does not answer", "if it stays so, restart bgcamd"))
                self._put(self._card())

    def _answer(self) -> None:
        """Tell those who wait for what was just written."""
        waiting, self._after_write = self._after_write, []
        for answer in waiting:
            answer()

    def _card(self) -> Frame:
        camera = self._capture.state
        if self.paused:
            own = self._paused_card
            return own() if own else self.draw_card("Camera paused", ("bgcam resume shows the picture again.",))
        if self._idle:
            return self.draw_card("Camera off", ("It comes on when an app shows this picture.",))
        if self.fault is not None:
            lines = ("The background can't be removed right now.", "bgcam status says why.")
            return self.draw_card("Picture hidden", lines)
        if camera.why:
            return self.draw_card("No camera", (camera.why, camera.hint))
        return self.draw_card(STARTING, ())


def _copy(frame: Frame) -> Frame:
    return Frame(tuple(plane.copy() for plane in frame.planes), frame.format, frame.size, color=frame.color)
