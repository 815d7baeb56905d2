"""Whether the camera needs to be on: while somebody watches, and a little longer."""

from __future__ import annotations

import time
from collections.abc import Callable


class Demand:
    """Asked by the loop's thread; ``wake`` may be called by any.

    Parameters
    ----------
    watched: whether anybody sees the outputs now.
    linger_s: how long the camera stays on after the last one left; None: it is always on.
    now_s: the clock.
    """

    def __init__(
        self, watched: Callable[[], bool], linger_s: float | None, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._watched, self._linger_s, self._now_s = watched, linger_s, now_s
        self._until = float("-inf")

    def wanted(self) -> bool:
        """Whether the camera should be on now."""
        if self._linger_s is None:
            return True
        now = self._now_s()
        if self._watched():
            self._until = max(self._until, now + self._linger_s)
            return True
        return now < self._until

    def wake(self, seconds: float) -> None:
        """Want the camera for so long, although nobody watches: for a snapshot."""
        self._until = max(self._until, self._now_s() + seconds)
