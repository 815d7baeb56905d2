"""How many calls a user may make: a few at once, and then so many a second; whoever wants more waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PER_S, AT_ONCE = 50.0, 100.0
"""A slider that is dragged sets a scene some twenty times a second; a stream of pictures is one call."""
_MOST_USERS = 64


class Rates:
    """Any thread may ask. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[int, tuple[float, float]] = {}  # by user: calls at that time, below 0 for those that wait

    def wait_s(self, uid: int) -> float:
        """Count a call of that user; return for how long it must wait."""
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(uid, (AT_ONCE, now))
            left = min(left + (now - since) * PER_S, AT_ONCE) - 1
            self._left[uid] = left, now
            while len(self._left) > _MOST_USERS:  # the one heard of longest ago
                del self._left[next(iter(self._left))]
            return max(-left / PER_S, 0.0)
