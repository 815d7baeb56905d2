"""Memory for what clients send, bounded for all of them together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """So many bytes, which any thread may have a part of. most: bytes."""

    def __init__(self, most: int) -> None:
        self._left, self._counting = most, threading.Lock()

    @contextmanager
    def part(self, size: int) -> Iterator[bool]:
        """Hold ``size`` bytes of it within the block; gives False, and holds none, where there is not so much left."""
        with self._counting:
            held = size if size <= self._left else 0
            self._left -= held
        try:
            yield held == size
        finally:
            with self._counting:
                self._left += held
