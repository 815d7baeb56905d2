"""What goes on in a window: the newest picture, lines of text over it, and what its keys do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction

from bgcamd.frame import Frame
from bgcamd.protocols import Command
from bgcamd.video.display.figures import Figures
from bgcamd.video.display.screen import Event, Screen
from bgcamd.video.mailbox import Latest

KEYS = "n next background    m mirror    f full screen    i figures    h help    q quit"

_KEYS_S = 0.02  # keys are looked at this often, also when no picture comes
_TEXT_NS = 300_000_000  # the figures change no sooner, so that they can be read
_COMMANDS = {Event.NEXT: Command.NEXT_BACKGROUND, Event.MIRROR: Command.MIRROR, Event.QUIT: Command.QUIT}


class Show:
    """Runs in the thread that opened the screen.

    Parameters
    ----------
    newest: the frames to show; each is released here.
    rate: how many there should be a second.
    ask: gets what the viewer asks of the program.
    """

    def __init__(self, screen: Screen, newest: Latest[Frame], rate: Fraction, ask: Callable[[Command], None]) -> None:
        self._screen, self._newest, self._ask = screen, newest, ask
        self._figures = Figures(rate)
        self._shows_figures, self._shows_keys = True, False
        self._text, self._text_ns = "", 0
        self._quit = False

    def run(self, stopped: threading.Event) -> None:
        """Show until stopped, or until the viewer quits."""
        shown: Frame | None = None
        try:
            while not stopped.is_set() and not self._quit:
                frame = self._newest.get(_KEYS_S)
                changed = self._heed_keys()
                if frame is not None:
                    if shown is not None:
                        shown.release()
                    shown = frame
                if shown is not None and (changed or frame is not None):
                    self._draw(shown)
                if frame is not None:
                    self._figures.shown(frame.captured_ns, time.monotonic_ns())
        finally:
            if shown is not None:
                shown.release()

    def _draw(self, frame: Frame) -> None:
        now = time.monotonic_ns()
        if now - self._text_ns >= _TEXT_NS:
            self._text, self._text_ns = self._figures.text, now
        self._screen.draw(frame, self._text if self._shows_figures else "", KEYS if self._shows_keys else "")

    def _heed_keys(self) -> bool:
        """Do what was asked for; whether the picture is to be drawn again for it."""
        changed = False
        for event in self._screen.events():
            changed = True
            if event is Event.LEAVE:
                event = Event.FULL_SCREEN if self._screen.full else Event.QUIT  # noqa: PLW2901 - one of two others
            if event in _COMMANDS:
                self._ask(_COMMANDS[event])
                self._quit = self._quit or event is Event.QUIT
            elif event is Event.FULL_SCREEN:
                self._screen.toggle_full()
            elif event is Event.FIGURES:
                self._shows_figures = not self._shows_figures
            elif event is Event.HELP:
                self._shows_keys = not self._shows_keys
        return changed
