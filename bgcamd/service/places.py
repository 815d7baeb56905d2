"""Who is connected: places are few, and who wants the picture off comes in when all are taken."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from bgcamd.service.varlink import Channel

MAX_CLIENTS = 8
LATE = 4
"""So many more are let in for one call each, which must be one for all to be hidden."""
_REST_S = 1.0
"""Who has been silent for so long gives way when all places are taken."""


@dataclass(eq=False)
class Guest:
    """One client.

    uid: whose it is. late: it has none of the usual places.
    resting_since: since when it has asked nothing (CLOCK_MONOTONIC, s); None while it is answered.
    """

    channel: Channel
    uid: int
    thread: threading.Thread | None = None
    late: bool = False
    resting_since: float | None = field(default_factory=time.monotonic)


class Places:
    """Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guests: list[Guest] = []

    def enter(self, guest: Guest) -> bool:
        """Give it a place, if need be that of who has been silent for longest, or a late one; False for none."""
        with self._lock:
            usual = [each for each in self._guests if not each.late]
            guest.late = len(usual) >= MAX_CLIENTS and not self._makes_way(usual, _REST_S)
            late = [each for each in self._guests if each.late]
            if guest.late and len(late) >= LATE and not self._makes_way(late, 0):
                return False
            self._guests.append(guest)
            return True

    def _makes_way(self, guests: list[Guest], rested_s: float) -> bool:
        """Send the longest silent of them away; False where all have asked something."""
        before = time.monotonic() - rested_s
        resting = [(each.resting_since, each) for each in guests if each.resting_since is not None]
        since, longest = min(resting, key=lambda pair: pair[0], default=(before, None))
        if longest is None or since > before:
            return False
        longest.channel.stop_reading()
        self._guests.remove(longest)
        return True

    def leave(self, guest: Guest) -> None:
        """Give its place back, if it still has one."""
        with self._lock:
            if guest in self._guests:
                self._guests.remove(guest)

    def guests(self) -> list[Guest]:
        """Who is there."""
        with self._lock:
            return list(self._guests)
