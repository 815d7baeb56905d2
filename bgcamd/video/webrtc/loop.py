"""An asyncio event loop in a thread of its own, for the sake of a library that needs one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs from the moment it is made until ``close``, which ends whatever still goes on in it.

    Parameters
    ----------
    name: the thread's.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name=name)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Do ``work`` in the loop, and return what it returns or raise what it raises; for any other thread.

        Raises TimeoutError when it takes too long, and cancels it then.
        """
        answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            answer.cancel()
            raise

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function that does not wait, in the loop, soon; for any thread."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """End every task, the executor's threads and our own; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()
