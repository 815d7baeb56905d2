"""Where frames come from: of a file all of them, in order; of a camera or a stream the newest, until told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, Color, Frame, Size
from bgcamd.live.capture import Capture
from bgcamd.protocols import Reader, Source
from bgcamd.video.mailbox import Latest
from bgcamd.video.player import LONGEST_GAP_NS

_log = logging.getLogger(__name__)
_WAIT_S = 0.25
_SECOND = 1_000_000_000


class LiveReader:
    """A live source as a ``Reader``: its newest frames, one after the other, until ``stop``.

    A source that is lost is opened again, with growing pauses. One that never was there is an error.

    Parameters
    ----------
    open_source: opens it, again and again.
    name: what a person would call it.
    size, rate: as far as is known beforehand.
    stopped: ends the iteration after the frame in hand.
    patient: it is no error that nothing comes at first: somebody has to begin.

    Attributes
    ----------
    count, sound, aspect, files, damage, color: as files have them.
    """

    count: int | None = None
    sound = None
    aspect = Fraction(1)
    files: tuple[Path, ...] = ()
    damage = ""
    color: Color = BT601

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        name: str,
        size: Size,
        rate: Fraction,
        stopped: threading.Event,
        patient: bool = False,
    ) -> None:
        self.name, self.rate = name, rate
        self.size = size
        self._patient, self._stopped = patient, stopped
        self._mailbox: Latest[Frame] = Latest()
        self._capture = Capture(open_source, self._mailbox)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._mailbox)
            stack.enter_context(self._capture)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; each is released by whoever works on it. Raises SourceError where there never was one."""
        self._capture.want(True)
        number, seen, told = 0, self._patient, ""
        while not self._stopped.is_set():
            frame, state = self._mailbox.get(_WAIT_S), self._capture.state
            if self._capture.crash is not None:
                raise self._capture.crash
            if frame is not None:
                seen, told = True, ""
                frame.sequence = number  # what is written has no gaps, and never begins again
                number += 1
                yield frame
            elif state.why and not seen:
                raise SourceError(state.why, state.hint)
            elif state.why != told:
                told = state.why
                _log.warning("%s; it is tried again", told)


def paced(reader: Reader, *, skip: bool, stopped: threading.Event) -> Generator[Frame, None, None]:
    """The reader's frames, each when it is due by its time in the clip, for those who watch them.

    From here on ``captured_ns`` is the CLOCK_MONOTONIC at which a frame was due. A frame without a later time than
    the one before, or one of a leap, follows at the reader's rate.

    skip: leave out frames for which it is too late, as a player does; else all are given, however late.
    """
    period_ns = int(_SECOND / (reader.rate or 30))
    due_ns, before_ns = time.monotonic_ns(), None
    for frame in reader:
        if before_ns is not None:
            step_ns = frame.captured_ns - before_ns
            due_ns += step_ns if 0 < step_ns < LONGEST_GAP_NS else period_ns
        before_ns = frame.captured_ns
        late_ns = time.monotonic_ns() - due_ns
        if late_ns < 0:
            stopped.wait(-late_ns / _SECOND)
        if stopped.is_set():
            return
        if skip and late_ns > 2 * period_ns:
            frame.release()
            continue
        frame.captured_ns = due_ns
        yield frame
