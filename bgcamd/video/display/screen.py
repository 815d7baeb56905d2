"""A window by SDL, which pygame brings along. All of it is for one thread."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from enum import Enum
from types import TracebackType
from typing import Any, Self

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, Size
from bgcamd.video.display import xlib
from bgcamd.video.display.fitting import Painter, fitted

TITLE = "Virtual BG Camera – bgcamd"
_CENTRE = 0x2FFF0000  # SDL_WINDOWPOS_CENTERED_DISPLAY(0); the display's number is added
_SMALLEST = (160, 90)
_INK, _SHADE = (240, 243, 246), (0, 0, 0, 150)

# SDL reads what it must not do from the environment: handle signals, keep the screen awake, or switch the
# compositor off for a window.
_HINTS = {
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "SDL_NO_SIGNAL_HANDLERS": "1",
    "SDL_VIDEO_ALLOW_SCREENSAVER": "1",
    "SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR": "0",
    "SDL_VIDEO_X11_WMCLASS": "bgcamd",
    "SDL_VIDEO_WAYLAND_WMCLASS": "bgcamd",
}
_DRIVERS = "x11,wayland"  # not what draws on the console, nor what draws nowhere


class Event(Enum):
    """What a viewer did."""

    NEXT = "n"
    MIRROR = "m"
    FULL_SCREEN = "f"
    FIGURES = "i"
    HELP = "h"
    LEAVE = "escape"
    QUIT = "q"
    REDRAW = ""


_KEYS = {event.value: event for event in Event if event.value} | {
    "space": Event.NEXT,
    "right": Event.NEXT,
    "?": Event.HELP,
    "f1": Event.HELP,
    "f11": Event.FULL_SCREEN,
}


class Screen:
    """A window that can be resized, on one of the screens, open until the context is left.

    Parameters
    ----------
    number: which screen.
    size: what the window shows, in pixels; smaller where the screen is.

    Raises
    ------
    SinkError: there is no window system, or no such screen.
    """

    def __init__(self, number: int, size: Size) -> None:
        self._pygame = _started(number)
        try:
            self._check(number)
            desktop = Size(*self._pygame.display.get_desktop_sizes()[number])
            part = min(1.0, 0.9 * desktop.width / size.width, 0.9 * desktop.height / size.height)
            first = (max(2, int(size.width * part)), max(2, int(size.height * part)))
            place = (_CENTRE + number, _CENTRE + number)
            self._window = self._pygame.Window(TITLE, first, place, resizable=True)
        except BaseException:
            self._pygame.display.quit()
            raise
        self._window.minimum_size = (min(_SMALLEST[0], first[0]), min(_SMALLEST[1], first[1]))
        self._painter, self._labels = Painter(), _Labels(self._pygame)
        self.full = False

    def _check(self, number: int) -> None:
        count = self._pygame.display.get_num_displays()
        if number >= count:
            last = "display://0" if count == 1 else f"display://0 to display://{count - 1}"
            raise SinkError(f"display://{number}: there is no such screen", f"there is {last}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._window.destroy()
        self._pygame.font.quit()
        self._pygame.display.quit()

    def draw(self, frame: Frame, top: str = "", bottom: str = "") -> None:
        """Show an I420 frame, and a line of text above and below. Does not wait for the screen's own rate."""
        surface = self._window.get_surface()
        window = Size(*surface.get_size())
        place = fitted(frame.size, window)
        picture = self._painter.paint(frame, Size(place.width, place.height))
        if (place.width, place.height) != window:
            surface.fill(0)
        opaque = self._pygame.image.frombuffer(picture, (place.width, place.height), "BGRA")
        opaque.set_alpha(None)
        surface.blit(opaque, (place.left, place.top))
        self._labels.draw(surface, top, bottom)
        self._window.flip()

    def events(self) -> Iterator[Event]:
        """What happened since the last call."""
        pygame = self._pygame
        redraw = (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED)
        for event in pygame.event.get():
            if event.type in (pygame.QUIT, pygame.WINDOWCLOSE):
                yield Event.QUIT
            elif event.type in redraw:
                yield Event.REDRAW
            elif event.type == pygame.KEYDOWN and not event.mod & (pygame.KMOD_CTRL | pygame.KMOD_ALT):
                yield from self._of_key(event)

    def _of_key(self, event: Any) -> Sequence[Event]:
        name = self._pygame.key.name(event.key)
        if name == "/" and event.mod & self._pygame.KMOD_SHIFT:
            name = "?"
        return [_KEYS[name]] if name in _KEYS else []

    def toggle_full(self) -> None:
        """Fill the screen, or be a window again."""
        self.full = not self.full
        if self.full:
            self._window.set_fullscreen(desktop=True)
        else:
            self._window.set_windowed()


class _Labels:
    """Lines of text over the picture; each is drawn once, as long as it stays the same."""

    def __init__(self, pygame: Any) -> None:
        self._pygame = pygame
        pygame.font.init()
        self._made: dict[bool, tuple[str, int, Any]] = {}

    def draw(self, surface: Any, top: str, bottom: str) -> None:
        margin = max(4, surface.get_height() // 60)
        if top:
            surface.blit(self._label(top, surface, above=True), (margin, margin))
        if bottom:
            label = self._label(bottom, surface, above=False)
            left = (surface.get_width() - label.get_width()) // 2
            surface.blit(label, (left, surface.get_height() - label.get_height() - margin))

    def _label(self, text: str, surface: Any, *, above: bool) -> Any:
        points = max(11, min(surface.get_height() // 32, surface.get_width() // 42))
        made = self._made.get(above)
        if made is None or made[:2] != (text, points):
            made = self._made[above] = (text, points, self._render(text, points))
        return made[2]

    def _render(self, text: str, points: int) -> Any:
        words = self._pygame.font.Font(None, points).render(text, antialias=True, color=_INK)
        pad = points // 3
        box = self._pygame.Surface((words.get_width() + 2 * pad, words.get_height() + 2 * pad), self._pygame.SRCALPHA)
        box.fill(_SHADE)
        box.blit(words, (pad, pad))
        return box


def _started(number: int) -> Any:
    """pygame with its video part only: no sound, no joystick. Raises SinkError."""
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")):
        raise SinkError(
            f"display://{number}: there is no window system here", "run it in a desktop session, or set DISPLAY"
        )
    for name, value in _HINTS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("SDL_VIDEODRIVER", _DRIVERS)
    import pygame  # noqa: PLC0415 - it reads the environment when it is imported, and greets

    atexit.unregister(pygame.quit)  # it is called here, in the right thread; after that it could only hang
    try:
        pygame.display.init()
    except pygame.error as error:
        asked = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        message = f"display://{number}: the window system {asked} can't be reached ({error})"
        raise SinkError(message, "check DISPLAY, and that this user may use it") from error
    if pygame.display.get_driver() == "x11":
        xlib.outlive()
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")  # shared memory: a quarter of what OpenGL costs
    pygame.key.stop_text_input()  # keys, not text: no input method pops up
    return pygame
