"""The capture thread: keeps a camera open, or tries to, and hands on its newest frame."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from types import TracebackType
from typing import Self

from bgcamd.errors import BgcamError, SourceError
from bgcamd.frame import Frame
from bgcamd.protocols import Source
from bgcamd.video.mailbox import Latest

_log = logging.getLogger(__name__)
_READ_S = 0.25  # how long one wait for a frame lasts; also how soon it is noticed that the camera is to be off
_HUNG_S = 2.0
_STUCK_S = 5.0  # a camera that is slow to come on takes half of that; one whose driver hangs comes back never
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.25, 5.0


@dataclass(frozen=True)
class CaptureState:
    """What the camera is doing.

    state: "opening", "live", "waiting" or "off". why: what is wrong, until it is live. memory: where its frames lie,
    where that matters.
    """

    state: str
    name: str = ""
    memory: str = ""
    why: str = ""
    hint: str = ""


class Capture:
    """Runs from entering the context until it is left; the camera is off until it is wanted.

    Parameters
    ----------
    open_source: opens the camera; called again, with growing delays, whenever it is lost.
    mailbox: takes each frame, which is the camera's until released.
    most_fps: frames that come faster are left out: of a clip, or of a camera that knows one rate only.
    """

    def __init__(
        self, open_source: Callable[[], Source], mailbox: Latest[Frame], most_fps: Fraction | None = None
    ) -> None:
        # a tenth less than the period, so that a camera's jitter leaves no frame out
        self._least_ns = int(Fraction(9, 10) * 1_000_000_000 / most_fps) if most_fps else 0
        self._open_source, self._mailbox = open_source, mailbox
        self._stopped, self._wanted, self._wake = False, False, threading.Condition()
        self._state, self._heard_s = CaptureState("off"), 0.0
        self._damage: tuple[float, SourceError] | None = None  # since when there is nothing but damaged frames
        self.crash: BaseException | None = None  # what no camera should raise; the loop raises it on
        self._thread = threading.Thread(target=self._guarded, name="capture")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        self._thread.join()

    @property
    def state(self) -> CaptureState:
        """What the camera is doing, as far as can be told from outside: its driver may not come back."""
        state = self._state
        silent_s = time.monotonic() - self._heard_s
        if state.why or state.state not in ("opening", "live") or silent_s < _STUCK_S:
            return state
        return replace(state, state="waiting", why="the camera hangs", hint="unplug it, and plug it in again")

    def damaged(self, error: SourceError | None) -> None:
        """Say what was wrong with the last frame, None for nothing. A camera whose frames all are is opened again."""
        if error is None or self._damage is None:
            self._damage = None if error is None else (time.monotonic(), error)

    def want(self, wanted: bool) -> None:
        """Open the camera, or close it (its light goes off). Costs nothing when it is so already."""
        if wanted != self._wanted:
            with self._wake:
                self._wanted = wanted
                self._wake.notify_all()

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self.crash = error

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        while self._wait_until_wanted():
            self._heard_s = time.monotonic()
            self._state = replace(self._state, state="opening")  # what was wrong is known until it is live
            try:
                with self._open_source() as source:
                    self._stream(source)
                delay = _FIRST_DELAY_S
            except (BgcamError, MemoryError) as error:
                if self._state.state == "live":
                    delay = _FIRST_DELAY_S
                self._lost(error if isinstance(error, BgcamError) else SourceError("no memory for a camera's picture"))
                with self._wake:
                    self._wake.wait_for(lambda: self._stopped or not self._wanted, delay)
                delay = min(delay * 2, _LONGEST_DELAY_S)

    def _lost(self, error: BgcamError) -> None:
        if error.message != self._state.why:
            _log.warning("camera: %s", error)
        self._state = CaptureState("waiting", self._state.name, why=error.message, hint=error.hint)

    def _wait_until_wanted(self) -> bool:
        """Wait while the camera is to be off; False when it is time to end."""
        with self._wake:
            if not self._wanted and not self._stopped:
                self._state = CaptureState("off", self._state.name)
            self._wake.wait_for(lambda: self._stopped or self._wanted)
            return not self._stopped

    def _stream(self, source: Source) -> None:
        awaited: tuple[str, str] | None = getattr(source, "awaited", None)
        silent, last_ns, self._damage = 0.0 if awaited is None else _HUNG_S, -self._least_ns, None
        while self._wanted and not self._stopped:
            frame, self._heard_s = source.read(_READ_S), time.monotonic()
            if frame is not None:
                silent = 0.0
                if self._state.state != "live":
                    self._state = CaptureState("live", source.name, getattr(source, "memory", ""))
                    _log.info("camera: %s, %s", source.name, source.size)
                self._check_damage(frame)
                if 0 <= frame.captured_ns - last_ns < self._least_ns:
                    frame.release()
                    continue
                last_ns = frame.captured_ns
                self._mailbox.put(frame)
                continue
            silent += _READ_S
            if silent < _HUNG_S:
                continue
            if awaited is None:
                raise SourceError(f"{source.name} has sent no picture for {_HUNG_S:.0f} s", "it is opened again")
            self._await(source.name, *awaited)

    def _check_damage(self, frame: Frame) -> None:
        damage = self._damage
        if damage is not None and time.monotonic() - damage[0] >= _HUNG_S:
            frame.release()
            raise damage[1]

    def _await(self, name: str, what: str, hint: str) -> None:
        """The source is well, but somebody has yet to send through it."""
        if self._state.state != "waiting" or self._state.why != what:
            _log.info("camera: %s (%s)", what, hint)
            self._state = CaptureState("waiting", name, why=what, hint=hint)
