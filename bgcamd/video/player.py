"""A file that stands in for a camera: played at its own rate, over and over, the newest frame only."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from bgcamd.errors import InputError, SourceError
from bgcamd.frame import Frame, Plane, Reader

_SECOND = 1_000_000_000
_LONGEST_GAP_NS = 10 * _SECOND
"""Between two frames of a clip; a longer one is taken for a damaged time stamp."""
_FAR_BEHIND_NS = _SECOND
"""A player that nobody read for so long goes on where it was, instead of catching up."""


class _Due(NamedTuple):
    """A frame of the reader's, its number, and its time in the clip played without end (ns)."""

    frame: Frame
    sequence: int
    at_ns: int


class Player:
    """Plays a Reader as a Source.

    A frame is due when the clip has got to it. One that a later, due one follows is skipped, as long as
    skipping catches up (where decoding is slower than playing, the clip runs slower instead). At its end
    the clip is opened again, and the sequence goes on counting. A single picture is decoded once and repeated.

    Each frame given out is a copy in the player's memory, which is used again once the frame is released;
    a single picture is shared by all its frames. ``captured_ns`` is the CLOCK_MONOTONIC at which it was due.

    Parameters
    ----------
    open_reader: gives a fresh reader of the same file; called here and at every end.
    name: what a person would call it.
    rate: how often pictures, which have no rate of their own, are shown.
    now_ns, wait: the clock, and how to sleep so many seconds (True: woken); for tests.

    Raises
    ------
    SourceError: the file can't be opened, is damaged, or holds no picture; here, or later from ``read``.
    """

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        *,
        name: str,
        rate: Fraction = Fraction(30),
        now_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.name = name
        self.rate = rate
        self._open_reader = open_reader
        self._now_ns = now_ns
        self._woken = threading.Event()
        self._wait = wait or self._woken.wait
        self._pool = _Pool()
        self._still: Frame | None = None
        self._endless = self._play()
        self._next: _Due | None = self._decode()
        self.size = self._next.frame.size
        self._period_ns = int(_SECOND / self.rate)
        self._start_ns = now_ns()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame that is due and not yet read, waiting for it at most ``timeout_s``."""
        give_up_ns = self._now_ns() + int(timeout_s * _SECOND)
        due = self._next = self._newest()
        due_ns = self._start_ns + due.at_ns
        if self._woken_before(min(due_ns, give_up_ns)) or due_ns > give_up_ns:
            return None
        self._next = None
        return self._lend(due, due_ns)

    def wake(self) -> None:
        """End the ``read`` that waits in another thread, or else the next that would wait: it returns None."""
        self._woken.set()

    def close(self) -> None:
        """Close the reader. Frames still lent stay valid."""
        self._next = None
        self._endless.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _woken_before(self, time_ns: int) -> bool:
        pause_ns = time_ns - self._now_ns()
        if pause_ns <= 0 or not self._wait(pause_ns / _SECOND):
            return False
        self._woken.clear()
        return True

    def _newest(self) -> _Due:
        """Skip frames that a due one follows; where that doesn't catch up, set the start later instead."""
        limit_ns = _FAR_BEHIND_NS
        while True:
            due = self._next or self._decode()
            self._next = None
            behind_ns = self._now_ns() - self._start_ns - due.at_ns
            if behind_ns < self._period_ns:
                return due
            if behind_ns >= limit_ns:
                self._start_ns += behind_ns
                return due
            limit_ns = behind_ns
            due.frame.release()

    def _decode(self) -> _Due:
        try:
            return next(self._endless)
        except InputError as error:
            raise SourceError(f"{self.name}: {error.message}", error.hint) from error

    def _play(self) -> Generator[_Due, None, None]:
        """Every frame, pass after pass. Time stamps that stand still or leap are replaced by the rate's."""
        at_ns = 0
        sequence = itertools.count()
        while True:
            before_ns: int | None = None
            with self._open_reader() as reader:
                self.rate = reader.rate or self.rate
                period_ns = int(_SECOND / self.rate)
                for frame in self._frames_of(reader):
                    step_ns = frame.captured_ns - before_ns if before_ns is not None else 0
                    before_ns = frame.captured_ns
                    number = next(sequence)
                    if number:
                        at_ns += step_ns if 0 < step_ns < _LONGEST_GAP_NS else period_ns
                    yield _Due(frame, number, at_ns)
            if before_ns is None:
                raise SourceError(f"{self.name}: there is no picture in it", "choose another file")

    def _frames_of(self, reader: Reader) -> Iterator[Frame]:
        """The reader's frames; a single picture without end."""
        if reader.count != 1:
            yield from reader
            return
        for frame in reader:
            self._still = self._pool.copy(frame)
            frame.release()
            yield from itertools.repeat(self._still)

    def _lend(self, due: _Due, due_ns: int) -> Frame:
        if due.frame is self._still:
            still = due.frame
            lent = Frame(still.planes, still.format, still.size, color=still.color, alpha=still.alpha)
        else:
            lent = self._pool.copy(due.frame)
            due.frame.release()
        lent.captured_ns, lent.sequence = due_ns, due.sequence
        return lent


class _Pool:
    """Memory for copies of frames, used again once they are released (by any thread)."""

    def __init__(self) -> None:
        self._free: list[tuple[Plane, ...]] = []

    def copy(self, frame: Frame) -> Frame:
        theirs = frame.planes if frame.alpha is None else (*frame.planes, frame.alpha)
        ours = self._memory_for(theirs)
        for mine, plane in zip(ours, theirs, strict=True):
            np.copyto(mine, plane)
        return Frame(
            ours[: len(frame.planes)],
            frame.format,
            frame.size,
            color=frame.color,
            alpha=None if frame.alpha is None else ours[-1],
            release=lambda: self._free.append(ours),
        )

    def _memory_for(self, planes: tuple[Plane, ...]) -> tuple[Plane, ...]:
        shapes = [plane.shape for plane in planes]
        while self._free:
            memory = self._free.pop()
            if [plane.shape for plane in memory] == shapes:
                return memory
        return tuple(np.empty(shape, np.uint8) for shape in shapes)
