"""The decoders of one daemon: started when there is something to decode, kept a while, ended when they misbehave."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import numpy as np

from bgcamd.canvas.background import Plate
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.decoding import helper
from bgcamd.decoding.helper import Helper, Hung, Lost
from bgcamd.decoding.memory import SMALL_PLATE, new_memory, places_in
from bgcamd.decoding.order import Order, order_for
from bgcamd.errors import InputError
from bgcamd.frame import Plane
from bgcamd.scene import Clip, Fit, Picture
from bgcamd.video.files.inputs import open_input
from bgcamd.video.files.paths import Kind

MOST = 2
"""Pictures that are decoded at the same time; others wait."""
WORK_S = 15.0
"""So long may a picture take."""
_IDLE_S = 60.0  # who chooses a background tries another
_START_S = 20.0
_HINT = "is it complete, and a picture or a video?"
_log = logging.getLogger(__name__)


class Decoders:
    """Any thread may ask. Leaving the block ends all of them.

    One that has nothing to do waits for ``idle_s``, since it takes half a second to start. All are started by a thread
    that lives as long as the block: they die with it.

    Parameters
    ----------
    start: starts one; raises OSError.
    """

    def __init__(self, *, start: Callable[[], Helper] = helper.start, idle_s: float = _IDLE_S) -> None:
        self._start, self._idle_s = start, idle_s
        self._changed = threading.Condition()
        self._idle: list[tuple[float, Helper]] = []  # since when
        self._coming = self._waiting = 0
        self._closing = False
        self._failure: OSError | None = None
        self._turns = threading.Semaphore(MOST)
        self._thread = threading.Thread(target=self._keep, name="decoders", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def expect(self) -> None:
        """Start one now, beside the caller, if none waits already: there will be something to decode."""
        with self._changed:
            if not self._idle:
                self._order_up_to(1)

    def background_of(self, path: Path, name: str = "") -> Picture | Clip:
        """Say what kind of background a file is, by its content. Raises InputError when it is neither."""
        shown = name or path.name
        with open_input(path) as file:
            answer = self._asked(Order("kind", str(path)), [file.fileno()])
        return Clip(path, shown) if answer.get("kind") == Kind.CLIP.name else Picture(path, shown)

    def picture(self, path: Path, plate: Plate, fit: Fit) -> Planes:
        """A still picture laid into fresh planes of that plate. Raises InputError."""
        return self._planes(order_for("picture", str(path), plate, fit), path)

    def small(self, path: Path) -> Planes:
        """Fresh planes of ``memory.SMALL``, R, G, B: the middle of a picture, or of a clip's first frame.

        Raises InputError.
        """
        return self._planes(order_for("small", str(path), SMALL_PLATE, Fit.COVER), path)

    def _planes(self, order: Order, path: Path) -> Planes:
        plate = order.plate
        with open_input(path) as file:
            memory = new_memory(plate, order.places)
            try:
                self._asked(order, [file.fileno(), memory])
                (shared,) = places_in(memory, plate, order.places)
            finally:
                os.close(memory)
        planes = new_planes(plate.format, plate.size)
        np.copyto(cast(Plane, planes[0].base), cast(Plane, shared[0].base))  # whoever decoded it may still write there
        return planes

    def _asked(self, order: Order, fds: Sequence[int]) -> dict[str, str]:
        try:
            with self._turns:
                answer = self._by_one(order, fds, again=True) or self._by_one(order, fds, again=False)
        except Lost as lost:
            _log.warning("%s: %s", order.name, lost)
            raise InputError(f"{order.name} can't be decoded: {lost}", _HINT) from lost
        if "error" in answer:
            raise InputError(answer["error"], answer.get("hint", ""))
        return answer

    def _by_one(self, order: Order, fds: Sequence[int], *, again: bool) -> dict[str, str]:
        """The answer; none where ``again``, and the decoder was lost, but maybe by a file that it had before."""
        used = False
        try:
            with self._borrowed() as decoder:
                used = decoder.used
                if order.job != "kind":
                    decoder.yield_to_others()
                answer = decoder.ask(order, fds, WORK_S)
                if "failed" in answer:
                    raise Lost(f"the decoder failed ({answer['failed']})")
                return answer
        except Lost as lost:
            if not again or not used or isinstance(lost, Hung):
                raise
            return {}

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Helper]:
        """One for a while; it is kept for the next, unless it was lost."""
        decoder = self.take()
        try:
            yield decoder
        except BaseException:
            decoder.close()
            raise
        with self._changed:
            if not self._closing and not self._idle:
                self._idle.append((time.monotonic(), decoder))
                self._changed.notify_all()
                return
        decoder.close()

    def take(self, *, urgent: bool = False) -> Helper:
        """One for the caller alone, who closes it. urgent: that need not yield to other programs.

        Raises Lost where none can be started.
        """
        with self._changed:
            self._waiting += 1
            try:
                while not self._closing:
                    if self._idle:
                        decoder = self._idle.pop()[1]
                        if decoder.alive and not (urgent and decoder.yielding):
                            return decoder
                        decoder.close()
                    self._order_up_to(self._waiting)
                    if not self._changed.wait_for(lambda: self._idle or self._failure or self._closing, _START_S):
                        raise Lost("no decoder starts")
                    if self._failure is not None:
                        raise Lost(f"no decoder can be started: {self._failure.strerror}")
                raise Lost("bgcamd ends")
            finally:
                self._waiting -= 1

    def _order_up_to(self, number: int) -> None:
        """See that so many are being started."""
        if self._coming < number:
            self._coming, self._failure = number, None
            self._changed.notify_all()

    def _keep(self) -> None:
        """The thread: starts what is wanted, and ends what has been idle for long."""
        with self._changed:
            while not self._closing:
                if self._coming:
                    self._start_one()
                    continue
                self._end_idle(time.monotonic() - self._idle_s)
                self._changed.wait(self._idle_s if self._idle else None)
            self._end_idle(float("inf"))

    def _start_one(self) -> None:
        self._changed.release()
        started: Helper | OSError
        try:
            started = self._start()
        except OSError as error:
            started = error
        finally:
            self._changed.acquire()
        self._coming -= 1
        if isinstance(started, OSError):
            self._failure = started
        else:
            self._idle.append((time.monotonic(), started))
        self._changed.notify_all()

    def _end_idle(self, before: float) -> None:
        for since, decoder in [each for each in self._idle if each[0] <= before]:
            self._idle.remove((since, decoder))
            decoder.close()
