"""An output for eyes: a window on this machine's desktop, with keys."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from fractions import Fraction
from types import TracebackType
from typing import Self

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, Size
from bgcamd.protocols import Command
from bgcamd.video.display import xlib
from bgcamd.video.display.screen import Screen
from bgcamd.video.display.show import Show
from bgcamd.video.mailbox import Latest
from bgcamd.video.pool import Pool
from bgcamd.video.stream_address import Display

_OPEN_S, _CLOSE_S = 10.0, 2.0
_only_window = threading.Lock()  # SDL has one queue of events a process, for one thread


class DisplaySink:
    """A window with the newest frame, from the moment it is made until it is closed or its viewer quits.

    Keys: n, Space or Right: next background; m: mirror; f: full screen; i: fps and latency; h or ?: what the keys are;
    q, or Esc where it does not fill the screen: quit. After that, what is written goes nowhere.

    A thread of its own draws and heeds keys, so that ``write`` only copies, whatever the window system does.

    Parameters
    ----------
    address: which screen.
    size, rate: of the frames.

    Attributes
    ----------
    name: the address.

    Raises
    ------
    SinkError: there is no window system or no such screen, or the process has a window.
    """

    def __init__(self, address: Display, *, size: Size, rate: Fraction) -> None:
        self.name = str(address)
        self._number, self._size, self._rate = address.number, size, rate
        self._newest: Latest[Frame] = Latest()
        self._pool = Pool()
        self._commands: deque[Command] = deque()
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._check_connection()
        if not _only_window.acquire(blocking=False):
            raise SinkError(f"{self.name}: there is a window already", "one display:// at a time")
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="window", daemon=True)
        self._thread.start()
        try:
            opened.result(_OPEN_S)
        except TimeoutError as error:
            self._stopped.set()
            raise SinkError(f"{self.name}: the window system does not answer", "check DISPLAY") from error

    def write(self, frame: Frame) -> None:
        """Show one I420 frame in the place of one that is not shown yet. Never waits for the window system.

        Raises SinkError when the window system is gone.
        """
        self._check_connection()
        if self._failure is not None:
            raise self._failure
        if not self._stopped.is_set():
            copy = self._pool.copy(frame)
            self._newest.put(copy.lend(captured_ns=frame.captured_ns, sequence=frame.sequence))
            copy.release()

    def commands(self) -> Sequence[Command]:
        """See ``protocols.Steering``."""
        return [self._commands.popleft() for _ in range(len(self._commands))]

    def close(self) -> None:
        """Take the window away; a second call does nothing. Waits 2 s at most for a window system that hangs."""
        self._stopped.set()
        self._newest.close()
        if not xlib.lost():
            self._thread.join(_CLOSE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _check_connection(self) -> None:
        if xlib.lost():
            raise SinkError(f"{self.name}: the window system is gone", "start bgcamd again to have a window")

    def _run(self, opened: Future[None]) -> None:
        """All that SDL does is done in this thread."""
        try:
            with Screen(self._number, self._size) as screen:
                opened.set_result(None)
                Show(screen, self._newest, self._rate, self._commands.append).run(self._stopped)
        except BaseException as error:  # the writer's, whatever it is
            self._failure = error
            if not opened.done():
                opened.set_exception(error)
        finally:
            self._stopped.set()
            self._newest.close()
            _only_window.release()
