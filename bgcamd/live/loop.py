"""The live loop: newest frame in, picture out, at once. Whatever happens, the outputs go on.

Fails closed: without a valid matte no frame of the room leaves; viewers see a card that says so.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import NamedTuple, TypeVar

from bgcamd.errors import DeviceError, EngineError, SourceError
from bgcamd.frame import Frame
from bgcamd.live.capture import Capture
from bgcamd.live.demand import Demand
from bgcamd.live.looks import Looks
from bgcamd.live.outputs import Outputs
from bgcamd.live.understudy import STALLED_S, Stopwatch, Understudy
from bgcamd.live.wording import Words, words
from bgcamd.pipeline import Pipeline
from bgcamd.protocols import Command
from bgcamd.scene import Background, PreparedScene, Scene
from bgcamd.video.mailbox import Latest

_log = logging.getLogger(__name__)
_CARD_S = 0.1  # a card is written again this often, so that readers go on reading
_IDLE_S = 1.0  # and this often when nobody watches
_SILENCE_S = 1.0  # after this long without a frame the last picture gives way to a card

T = TypeVar("T")


class _PausedCard(NamedTuple):
    """What is shown while paused. of: the background of a picture that is frozen; before another it is not shown."""

    draw: Callable[[], Frame] | None = None
    of: Background | None = None


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
        self.paused, self._idle = False, True
        self._live, self._remembers = False, False  # what is on air; whether the pipeline has a frame before the next
        self._paused_card = _PausedCard()
        self.fault: EngineError | None = None
        self.written = 0  # pictures that went out, frames and cards: what a watchdog wants to see grow
        self.shown: Frame | None = None  # what viewers see now, valid between two frames
        self._shown_scene: Scene | None = None  # that it was made for
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
        return "live" if self._live and self._capture.state.state == "live" else "waiting"

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

        card: gives what is shown instead of the usual one. freeze: what viewers see stays, if it is a live picture;
            once the background is another, the usual card takes its place, since the new one may hide more.
        """
        self._paused_card = (freeze and self._frozen()) or _PausedCard(card)
        self.paused = True
        self._capture.want(False)  # now, although an output may hang
        with self._air:
            self._put(self._card())

    def _frozen(self) -> _PausedCard | None:
        """What viewers see, copied between two frames: in between, a canvas may have the room in that memory."""
        answer = self.submit(self._copy_shown)
        try:
            return answer.result(self._working.limit_s)
        except (TimeoutError, CancelledError):
            answer.cancel()
            return None

    def _copy_shown(self) -> _PausedCard | None:
        shown, scene = self.shown, self._shown_scene
        if not self._live or shown is None or scene is None:
            return None
        still = Frame(tuple(plane.copy() for plane in shown.planes), shown.format, shown.size, color=shown.color)
        return _PausedCard(lambda: still, scene.background)

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
                card_at = now
                self._write_card()
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
        except SourceError as error:  # one damaged frame; the last picture stays for a moment
            self.pipeline.stats.dropped += 1
            self._capture.damaged(error)
            return False
        except EngineError as error:
            if isinstance(error, DeviceError):
                self.on_device_error(self.pipeline, error)
            return self._hide(error)
        except Exception as error:
            return self._hide(EngineError(f"an internal error: {error!r}", "the log has the traceback"), traceback=True)
        self.fault = None
        self._capture.damaged(None)
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
        try:
            if self._remembers:
                self._forget()
            self._write(None)
        except MemoryError:  # there may be some for the next
            _log.exception("the card can't be shown")

    def _forget(self) -> None:
        """What a recurrent network remembers will have nothing to do with the next frame."""
        self._remembers = False
        try:
            self.pipeline.forget()
        except DeviceError as error:
            self.on_device_error(self.pipeline, error)

    def _write(self, frame: Frame | None, *, live: bool = False) -> bool:
        """Write a frame, or the card; False for a live frame when the card was called for while it was made."""
        with self._air:
            if live and self.paused:
                return False
            if live:
                self._remembers, self._shown_scene = True, self.scene.scene
            self._put(self._card() if frame is None else frame, live=live)
        self.written += 1
        for command in self._outputs.commands():
            self.on_command(command)
        if self._outputs.ended:
            self.stop()
        self._answer()
        return True

    def _put(self, frame: Frame, *, live: bool = False) -> None:
        if not live:
            frame.captured_ns = time.monotonic_ns()  # a card is of the time when it is shown
        self.shown, self._live = frame, live
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
        own, of = self._paused_card
        if self.paused and own is not None and of in (None, self.scene.scene.background):
            return own()
        return self.draw_card(*self._words())

    def _words(self) -> Words:
        return words(self._capture.state, paused=self.paused, idle=self._idle, hidden=self.fault is not None)
