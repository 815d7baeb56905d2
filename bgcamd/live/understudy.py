"""Who shows the card while the loop is stuck in a frame: a network that hangs must not freeze the picture."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)
STALLED_S = 2.0
"""A frame that takes longer is stuck: the slowest network takes half of that on a small machine."""


class Stopwatch:
    """Tells whether its block has been running for longer than ``limit_s``; asked by any thread."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._since = math.inf

    @property
    def stalled(self) -> bool:
        """Whether it is stuck now."""
        return time.monotonic() - self._since >= self.limit_s

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._since = math.inf


class Understudy:
    """While its block runs, a thread calls ``stand_in`` again and again as long as a frame is stuck."""

    def __init__(self, working: Stopwatch, stand_in: Callable[[], None]) -> None:
        self._working, self._stand_in = working, stand_in
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="understudy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._working.limit_s / 8):
            if self._working.stalled:
                try:
                    self._stand_in()
                except Exception:  # out of memory, say; without a thread nobody would try again
                    _log.exception("the card can't be shown")
