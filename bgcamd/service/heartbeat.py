"""Tells systemd how the daemon is: ready, alive, in which state, ending."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bgcamd.service.systemd import notify, watchdog_interval

_log = logging.getLogger(__name__)
_UNTIL_READY_S, _LOOK_S = 0.05, 0.5


class Heartbeat:
    """While its block runs, a small thread looks at the daemon and tells; without systemd there is none.

    READY=1 is said when the first picture has been written, WATCHDOG=1 only if more have been since: they are, as
    frames or as cards, as long as the loop works. A loop that hangs is so ended and started again.

    Parameters
    ----------
    written: how many pictures have gone out so far. headline: the state in a line, "waiting: no camera"; a change of
        its first word is logged, with the journal's field BGCAMD_STATE.
    """

    def __init__(self, written: Callable[[], int], headline: Callable[[], str]) -> None:
        self._written, self._headline = written, headline
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        if os.environ.get("NOTIFY_SOCKET"):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        notify("STOPPING=1")

    def _run(self) -> None:
        if not self._begun():
            return
        notify("READY=1")
        state = self._change("")
        beat_s = (watchdog_interval() or float("inf")) / 3
        seen, told_at = self._written(), time.monotonic()
        while not self._ended.wait(min(_LOOK_S, beat_s / 2)):
            state = self._change(state)
            if time.monotonic() - told_at >= beat_s and self._written() != seen:
                seen, told_at = self._written(), time.monotonic()
                notify("WATCHDOG=1")

    def _begun(self) -> bool:
        """Wait for the first picture; False where the daemon ended without."""
        while not self._written():
            if self._ended.wait(_UNTIL_READY_S):
                return False
        return True

    def _change(self, before: str) -> str:
        """Tell the state if it is another one; return it."""
        state = " ".join(self._headline().split())
        if state != before:
            notify(f"STATUS={state}")
        word, _, _ = state.partition(":")
        if word != before.partition(":")[0]:
            _log.info("now %s", word, extra={"BGCAMD_STATE": word})
        return state
