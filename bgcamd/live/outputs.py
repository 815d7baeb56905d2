"""The outputs of the live loop: each is opened when it can be, and opened again after it failed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bgcamd.errors import BgcamError, OutputError, SinkError
from bgcamd.frame import Frame
from bgcamd.protocols import Command, Sink, Steering, Watched

_log = logging.getLogger(__name__)
_FIRST_DELAY_S, _LONGEST_DELAY_S = 1.0, 10.0


@dataclass(frozen=True)
class OutputPlan:
    """An output as the user asked for it. name: its address; open: opens it, raising BgcamError."""

    name: str
    open: Callable[[], Sink]


class _Slot:
    """One output and its state; only the loop's thread opens, writes and closes it."""

    def __init__(self, plan: OutputPlan) -> None:
        self._plan = plan
        self._sink: Sink | None = None
        self._delay, self._next_try = _FIRST_DELAY_S, 0.0
        self.error: BgcamError | None = None
        self.ended = False  # its viewer had enough

    @property
    def name(self) -> str:
        sink = self._sink
        return sink.name if sink is not None else self._plan.name

    @property
    def see(self) -> str:
        return str(getattr(self._sink, "see", ""))

    @property
    def watched(self) -> bool:
        sink = self._sink
        return sink is not None and (not isinstance(sink, Watched) or sink.watched)

    def write(self, frame: Frame) -> None:
        if self._sink is None and not self.open():
            return
        with self._guarded():
            if self._sink is not None:
                self._sink.write(frame)
                self._delay = _FIRST_DELAY_S

    def commands(self) -> Sequence[Command]:
        asked: Sequence[Command] = ()
        with self._guarded():
            asked = self._sink.commands() if isinstance(self._sink, Steering) else ()
            if Command.QUIT in asked:
                self.ended = True
                self.close()
        return asked

    def open(self) -> bool:
        if self.ended or time.monotonic() < self._next_try:
            return False
        with self._guarded():
            self._sink = self._plan.open().__enter__()
            self.error = None
        return self._sink is not None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Close what fails, to be opened again later; whatever it is, it must not take the other outputs down."""
        try:
            yield
        except Exception as error:
            self._note(error)
            try:
                self.close()
            except Exception as another:
                self._note(another)

    def _note(self, error: Exception) -> None:
        if not isinstance(error, BgcamError):
            _log.error("output %s", self._plan.name, exc_info=error)
            error = SinkError(f"an internal error: {error!r}", "the log has the traceback")
        self._failed(error)

    def _failed(self, error: BgcamError) -> None:
        """A live output is tried again; a file that can't be gone on with ends there, with what is in it."""
        if str(error) != str(self.error):
            _log.warning("output %s: %s", self._plan.name, error)
        self.error = error
        self._next_try = math.inf if isinstance(error, OutputError) else time.monotonic() + self._delay
        self._delay = min(self._delay * 2, _LONGEST_DELAY_S)

    def close(self) -> None:
        """Complete what was written."""
        sink, self._sink = self._sink, None
        try:
            if sink is not None:
                sink.__exit__(None, None, None)
        except BgcamError as error:
            self._failed(error)


class Outputs:
    """All outputs as one; closed, and files completed, by leaving the context."""

    def __init__(self, plans: Sequence[OutputPlan]) -> None:
        self._slots = [_Slot(plan) for plan in plans]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:  # whatever one of them raises, all are closed
            for slot in self._slots:
                stack.callback(slot.close)

    def write(self, frame: Frame) -> None:
        """Write to every output that is open or can be opened now; never raises a BgcamError.

        A frame without a time is of now.
        """
        frame.captured_ns = frame.captured_ns or time.monotonic_ns()
        for slot in self._slots:
            slot.write(frame)

    def open(self) -> None:
        """Open all of them now. Raises the BgcamError of the first that can't be."""
        for slot in self._slots:
            if not slot.open() and slot.error is not None:
                raise slot.error

    def commands(self) -> list[Command]:
        """What the viewers asked for since the last call, by the keys of a window; for the thread that writes.

        An output whose viewer quits is closed, and never opened again.
        """
        return [command for slot in self._slots for command in slot.commands()]

    @property
    def ended(self) -> bool:
        """Whether the viewer of every output has quit."""
        return bool(self._slots) and all(slot.ended for slot in self._slots)

    @property
    def watched(self) -> bool:
        """Whether anybody may see what is written."""
        return any(slot.watched for slot in self._slots)

    @property
    def names(self) -> list[str]:
        """What each is called, for ``status``."""
        return [slot.name for slot in self._slots if not slot.ended]

    @property
    def places(self) -> list[str]:
        """How a person sees what goes out, a line for each that has a page or is a stream."""
        return [see for slot in self._slots if (see := slot.see)]

    @property
    def problems(self) -> list[tuple[str, BgcamError]]:
        """The outputs that do not work now, and why."""
        return [(slot.name, error) for slot in self._slots if (error := slot.error) is not None]
