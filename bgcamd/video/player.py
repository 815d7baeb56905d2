"""A file that stands in for a camera: played at its own rate, over and over, the newest frame only."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import NamedTuple, Self

from bgcamd.errors import InputError, SourceError
from bgcamd.frame import Frame
from bgcamd.protocols import Reader
from bgcamd.video.pool import Copy, Pool

_SECOND = 1_000_000_000
LONGEST_GAP_NS = 60 * _SECOND
"""Between two frames of a clip; a longer one is taken for a damaged time stamp."""

_REPEAT_NS = _SECOND // 5  # a picture that stays longer is given again this often, as a camera goes on sending
_FAR_BEHIND_NS = _SECOND  # a player that nobody read for so long goes on where it was, instead of catching up


class _Due(NamedTuple):
    """A frame of the reader's, and its time in the clip played without end (ns)."""

    frame: Frame
    at_ns: int


class Player:
    """Plays a Reader as a Source, from the moment it is made.

    A frame is due when the clip has got to it. One that a later, due one follows is skipped, as long as
    skipping catches up (where decoding is slower than playing, the clip runs slower instead). At its end
    the clip is opened again, and the sequence goes on counting. A single picture is decoded once and repeated.

    Each frame given out shows a copy in the player's memory, which is used again once released.
    ``captured_ns`` is the CLOCK_MONOTONIC at which it was due.

    Parameters
    ----------
    open_reader: gives a fresh reader of the same file; called here and at every end.
    name: what a person would call it.
    rate: how often pictures, which have no rate of their own, are shown.
    now_ns, wait: the clock, and how to sleep so many seconds unless stopped; for tests.

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
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.name = name
        self.rate = rate
        self._open_reader = open_reader
        self._now_ns = now_ns
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._pool = Pool()
        self._shown: Copy | None = None
        self._shown_frame: Frame | None = None  # what _shown is a copy of
        self._shown_ns = 0
        self._sequence = 0
        self._endless = self._play()
        self._next: _Due | None = self._decode()
        self.size = self._next.frame.size
        self._period_ns = int(_SECOND / self.rate)
        self._start_ns = now_ns()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame that is due and not yet read; None when none came in time, or after ``stop``."""
        give_up_ns = self._now_ns() + int(timeout_s * _SECOND)
        due = self._next = self._newest()
        due_ns = self._start_ns + due.at_ns
        again_ns = max(self._shown_ns + _REPEAT_NS, self._now_ns())
        if self._shown is None or due_ns <= again_ns:
            if not self._waited(due_ns, give_up_ns):
                return None
            self._next = None
            return self._show(self._copied(due.frame), due_ns)
        return self._show(self._shown, again_ns) if self._waited(again_ns, give_up_ns) else None

    def stop(self) -> None:
        """Make a waiting ``read``, and every later one, return None at once; from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Close the reader, in the thread that reads. Frames still lent stay valid."""
        self.stop()
        self._endless.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _waited(self, until_ns: int, give_up_ns: int) -> bool:
        """Wait; False when it would take too long, or is stopped."""
        pause_ns = min(until_ns, give_up_ns) - self._now_ns()
        if pause_ns > 0 and not self._stopped.is_set():
            self._wait(pause_ns / _SECOND)
        return until_ns <= give_up_ns and not self._stopped.is_set()

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
            self._sequence += 1

    def _decode(self) -> _Due:
        try:
            return next(self._endless)
        except InputError as error:
            raise SourceError(f"{self.name}: {error.message}", error.hint) from error

    def _play(self) -> Generator[_Due, None, None]:
        """Every frame, pass after pass. Time stamps that stand still or leap are replaced by the rate's."""
        at_ns = 0
        while True:
            before_ns: int | None = None
            with self._open_reader() as reader:
                self.rate = reader.rate or self.rate
                period_ns = int(_SECOND / self.rate)
                for frame in _frames_of(reader):
                    if before_ns is not None:
                        step_ns = frame.captured_ns - before_ns
                        at_ns += step_ns if 0 < step_ns < LONGEST_GAP_NS else period_ns
                    before_ns = frame.captured_ns
                    yield _Due(frame, at_ns)
            at_ns += period_ns
            if before_ns is None:
                raise SourceError(f"{self.name}: there is no picture in it", "choose another file")

    def _copied(self, frame: Frame) -> Copy:
        """A copy of the frame, in place of the one before; of a single picture always the same."""
        if self._shown is None or frame is not self._shown_frame:
            if self._shown is not None:
                self._shown.release()
            self._shown, self._shown_frame = self._pool.copy(frame), frame
            frame.release()
        return self._shown

    def _show(self, picture: Copy, at_ns: int) -> Frame:
        self._shown_ns = at_ns
        lent = picture.lend(captured_ns=at_ns, sequence=self._sequence)
        self._sequence += 1
        return lent


def _frames_of(reader: Reader) -> Iterator[Frame]:
    """The reader's frames; a single picture without end."""
    if reader.count == 1 and not reader.rate:
        return itertools.chain.from_iterable(map(itertools.repeat, reader))
    return iter(reader)
