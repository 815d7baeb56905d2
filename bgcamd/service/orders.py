"""What viewers ask for by an output's keys is done beside the loop, in its order."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from bgcamd.errors import BgcamError
from bgcamd.protocols import Command

_MOST = 8  # more keys than that at once are a cat
_GRACE_S = 2.0  # at the end, so long may what is being done take
_log = logging.getLogger(__name__)


class Orders:
    """A thread that obeys, from entering the context until it is left.

    Attributes
    ----------
    obey: does what was asked for, however long that takes; may raise BgcamError.
    """

    def __init__(self) -> None:
        self.obey: Callable[[Command], None] = lambda _: None
        self._asked: queue.Queue[Command | None] = queue.Queue(_MOST)
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        with suppress(queue.Full):
            self._asked.put_nowait(None)
        self._thread.join(_GRACE_S)

    def take(self, command: Command) -> None:
        """Have it done soon; never waits."""
        try:
            self._asked.put_nowait(command)
        except queue.Full:
            _log.warning("%s is not done: too much was asked for at once", command.value)

    def _run(self) -> None:
        while (command := self._asked.get()) is not None and not self._ending:
            try:
                self.obey(command)
            except BgcamError as error:
                _log.warning("%s: %s", command.value, error)
            except Exception:
                _log.exception("%s failed", command.value)
