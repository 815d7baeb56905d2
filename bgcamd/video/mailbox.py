"""A place for one thing between two threads: the newest wins, and nothing queues."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar


class Releasable(Protocol):
    """Something borrowed, such as a Frame."""

    def release(self) -> None:
        """Give it back."""


T = TypeVar("T", bound=Releasable)


class Latest(Generic[T]):
    """A mailbox with room for one.

    What is put is either got by one ``get``, whose caller then owns it, or released here, exactly once.

    Attributes
    ----------
    displaced: how many were released because a newer one came before anybody got them.
    """

    def __init__(self) -> None:
        self.displaced = 0
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> None:
        """Lay ``item`` in, in place of what is there; once closed, release it at once."""
        with self._changed:
            if self._closed:
                spare: T | None = item
            else:
                spare, self._item = self._item, item
                self.displaced += spare is not None
                self._changed.notify()
        if spare is not None:
            spare.release()

    def get(self, timeout_s: float) -> T | None:
        """Take the item, waiting for one at most ``timeout_s``; None when none came or the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Release what is left and wake everyone who waits, for good; a second call does nothing."""
        with self._changed:
            self._closed = True
            item, self._item = self._item, None
            self._changed.notify_all()
        if item is not None:
            item.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
