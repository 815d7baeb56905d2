"""What a reader of the virtual camera saw over time: when each picture came, and whether it was live or a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
from guest import Guest
from numpy.typing import NDArray

_NUMBER = count()
_WALLS = (slice(3, 28), slice(1, 12)), (slice(3, 28), slice(50, 63))  # as pictures.WALLS, in these small ones


@dataclass(frozen=True)
class Looks:
    """times: in seconds of the guest's monotonic clock; looks: (frames, rows, columns), small and grey."""

    times: NDArray[np.float64]
    looks: NDArray[np.uint8]
    started: float

    @property
    def cards(self) -> NDArray[np.bool_]:
        """For each picture, whether it was a card: most of a card is one dark colour."""
        flat = self.looks.reshape(len(self.looks), -1).astype(int)
        usual = np.median(flat, axis=1, keepdims=True)
        return ((np.abs(flat - usual) < 8).mean(axis=1) > 0.6) & (usual[:, 0] < 80)

    @property
    def longest_gap(self) -> float:
        """Seconds between two pictures, at worst."""
        return float(np.diff(self.times).max())

    def after(self, time: float) -> Looks:
        """Those that came after a time."""
        return Looks(self.times[self.times > time], self.looks[self.times > time], time)

    def gap_after(self, time: float) -> float:
        """Seconds without a picture, at worst, from the last one before a time on."""
        return float(np.diff(self.times[max(np.searchsorted(self.times, time) - 1, 0) :]).max())

    @property
    def behind(self) -> NDArray[np.float64]:
        """For each picture, how bright the brighter one of the walls beside the person is, 0..255."""
        return np.max([self.looks[:, rows, columns].mean(axis=(1, 2)) for rows, columns in _WALLS], axis=0)

    def first_live(self, after: float | None = None) -> float:
        """Seconds from a time, else from the reader's start, to the next live picture."""
        return self._first(~self.cards, after)

    def first_card(self, after: float | None = None) -> float:
        """Seconds from a time, else from the reader's start, to the next card."""
        return self._first(self.cards, after)

    def _first(self, wanted: NDArray[np.bool_], after: float | None) -> float:
        start = self.started if after is None else after
        times = self.times[wanted & (self.times >= start)]
        assert len(times), "there was none"
        return float(times[0]) - start


@contextmanager
def watching(
    guest: Guest, *, seconds: float, patience: float = 5, to_the_end: bool = True
) -> Iterator[Callable[[], Looks]]:
    """A reader that streams for so long; the block waits for its end. Call what it gives after the block.

    It fails when nothing came for ``patience`` seconds. to_the_end: else it ends a second after the block.
    """
    name = f"watch{next(_NUMBER)}"
    watch = f"python3 /share/inside/watch.py /dev/video10 {seconds} {patience} /share/{name}"
    job = guest.start(watch, user="desk")
    yield lambda: _load(guest, name)
    if not to_the_end:
        guest.wait_for("sleep 1")
        (guest.share / f"{name}.end").touch()
    done = guest.finish(job, timeout=seconds + 30)
    assert done.status == 0, f"the reader failed: {done.output}"


def _load(guest: Guest, name: str) -> Looks:
    with np.load(guest.share / f"{name}.npz") as saved:
        return Looks(saved["times"], saved["looks"], float(saved["started"]))
