"""Clips as backgrounds: pictures decoded a little ahead, each shown when it is due."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self

from bgcamd.canvas.background import Plate
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.errors import InputError
from bgcamd.frame import Frame, Plane
from bgcamd.protocols import Reader
from bgcamd.scene import Fit

AHEAD = 3
"""Frames of a clip that are decoded before they are due."""
_FIRST_S = 15.0  # so long may the first picture of a clip take
_LATE_NS = 1_000_000_000  # later than this (nobody looked, or decoding is slow), a live clip goes on where it is
_log = logging.getLogger(__name__)


class Playing(ABC):
    """A clip that plays from the first time asked for; who decodes it says ``_came`` for every picture.

    Implements ``scene.Backdrop``. Live (``wait`` false): ``planes_at`` never waits; where the decoder is late the
    last picture stays. In files (``wait`` true): it waits for the very picture, so that every run gives the same.

    Parameters
    ----------
    places: memory for pictures, one more than are decoded ahead, for one is shown.
    """

    def __init__(self, places: Sequence[Planes], *, wait: bool) -> None:
        self._places, self._wait = places, wait
        self._ready: deque[tuple[int, int]] = deque()  # due time in ns from the start of the first round, place
        self._changed = threading.Condition()
        self._closed, self._error = False, ""
        self._start: int | None = None
        self._place = -1
        self._shown: tuple[Plane, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _gone(self, place: int) -> None:
        """The picture in that place is no longer shown: it may hold another. Called with ``_changed`` held."""

    @abstractmethod
    def close(self) -> None:
        """See ``scene.Backdrop``. Ends the decoder."""

    def _await_first(self) -> None:
        """Raises InputError where none comes; then it must be closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._error, _FIRST_S)
            if not self._ready:
                raise InputError(self._error or f"the clip gives no picture within {_FIRST_S:.0f} s")
            self._show_next()

    def _came(self, due_ns: int, place: int) -> None:
        """The decoder has put the picture of that time into that place."""
        with self._changed:
            self._ready.append((due_ns, place))
            self._changed.notify_all()

    def _fail(self, why: str) -> None:
        """No more pictures will come."""
        with self._changed:
            self._error = self._error or why
            self._changed.notify_all()

    def planes_at(self, time_ns: int) -> tuple[Plane, ...]:
        """See ``scene.Backdrop``."""
        if self._start is None:
            self._start = time_ns
        with self._changed:
            due = self._due(time_ns - self._start)
            self._advance(due)
            while self._wait and not self._ready and not self._error:
                self._changed.wait_for(lambda: self._ready or self._error)
                self._advance(due)
        return self._shown

    def _due(self, due: int) -> int:
        """The time in the clip; one that is late live is not played faster than it was made: its clock is set back."""
        if self._wait or self._start is None or not self._ready or due - self._ready[0][0] <= _LATE_NS:
            return due
        self._start += due - self._ready[0][0]
        return self._ready[0][0]

    def _advance(self, due: int) -> None:
        """Show the newest picture whose time has come."""
        while self._ready and self._ready[0][0] <= due:
            self._gone(self._place)
            self._show_next()

    def _show_next(self) -> None:
        self._place = self._ready.popleft()[1]
        self._shown = (*self._places[self._place],)  # another tuple for another picture

    @property
    def problem(self) -> str:
        """See ``scene.Backdrop``."""
        return f"the background stands still: {self._error}" if self._error else ""


class Moving(Playing):
    """A clip decoded by a thread of this process.

    Parameters
    ----------
    open_reader: opens the clip from its start; frames as ``Plate.lay`` takes them. Called again for every round.
    Raises InputError when the clip holds no frame.
    """

    def __init__(self, open_reader: Callable[[], Reader], plate: Plate, fit: Fit, *, wait: bool) -> None:
        super().__init__([new_planes(plate.format, plate.size) for _ in range(AHEAD + 1)], wait=wait)
        self._open, self._plate, self._fit = open_reader, plate, fit
        self._free = list(range(AHEAD + 1))
        self._thread = threading.Thread(target=self._decode, name="background clip", daemon=True)
        self._thread.start()
        try:
            self._await_first()
        except BaseException:
            self._closed = True  # the thread ends when its decoder lets it
            raise

    def close(self) -> None:
        """See ``scene.Backdrop``. Ends the decoder."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _gone(self, place: int) -> None:
        self._free.append(place)
        self._changed.notify_all()

    def _decode(self) -> None:
        """The thread: round after round, a few frames ahead."""
        try:
            with closing(rounds(self._open)) as frames:
                for due_ns, frame in frames:
                    place = self._empty()
                    if place is None:
                        return
                    self._plate.lay(frame, self._fit, self._places[place])
                    self._came(due_ns, place)
        except InputError as error:
            if self._start is not None:
                _log.warning("the background stands still: %s", error)
            self._fail(error.message)
        finally:
            self._fail("its decoder has ended")

    def _empty(self) -> int | None:
        """A place to decode into, as soon as there is one; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free)
            return None if self._closed else self._free.pop()


def rounds(open_reader: Callable[[], Reader]) -> Generator[tuple[int, Frame]]:
    """Every frame of a clip, round after round without end, with its time in ns from the start of the first round.

    Raises InputError where a round has no frame.
    """
    begin = 0
    while True:
        last = frames = 0
        with open_reader() as reader:
            step = round(1_000_000_000 / reader.rate) if reader.rate else 100_000_000
            for frame in reader:
                last, frames = frame.captured_ns, frames + 1
                yield begin + last, frame
        if not frames:
            raise InputError("the clip holds no picture")
        begin += last + step
