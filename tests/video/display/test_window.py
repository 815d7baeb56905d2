"""The window without a window system: SDL has a driver that only saves what it would show."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bgcamd.errors import SinkError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.protocols import Command, Steering
from bgcamd.video.display import window, xlib
from bgcamd.video.display.screen import Screen
from bgcamd.video.display.window import DisplaySink
from bgcamd.video.stream_address import Display

pytest.importorskip("pygame", reason="needs the extra: pip install 'bgcamd[display]'")

Pixels = NDArray[np.uint8]
SIZE = Size(640, 360)
RED, GREEN = (81, 90, 240), (145, 54, 34)
OPEN = """
import sys, time
from fractions import Fraction
from bgcamd.errors import SinkError
from bgcamd.frame import Size
from bgcamd.video.display.window import DisplaySink
from bgcamd.video.stream_address import Display
try:
    sink = DisplaySink(Display(), size=Size(64, 36), rate=Fraction(30))
except SinkError as error:
    sys.exit(str(error))
"""


@pytest.fixture(autouse=True)
def no_window_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_VIDEO_DUMMY_SAVE_FRAMES", "1")
    monkeypatch.chdir(tmp_path)  # there it saves them


@pytest.fixture
def sink() -> Iterator[DisplaySink]:
    with DisplaySink(Display(), size=SIZE, rate=Fraction(30)) as made:
        yield made


def plain(samples: tuple[int, ...], size: Size = SIZE, captured_ns: int = 0) -> Frame:
    shapes = ((size.height, size.width), *((size.height // 2, size.width // 2),) * 2)
    planes = tuple(np.full(shape, sample, np.uint8) for shape, sample in zip(shapes, samples, strict=True))
    return Frame(planes, PixelFormat.I420, size, captured_ns=captured_ns)


def soon(found: Callable[[], Any]) -> Any:
    """What ``found`` finds, when it finds something."""
    for _ in range(1000):
        if answer := found():
            return answer
        time.sleep(0.01)
    pytest.fail("it did not come")


def saved() -> list[Path]:
    return sorted(Path().glob("SDL_window*.bmp"), key=lambda path: path.stat().st_mtime_ns)


def shown(sink: DisplaySink, count: int = 1) -> Pixels:
    """Close the sink once it has shown so many pictures; return the last one."""
    soon(lambda: len(saved()) >= count)
    sink.close()
    with Image.open(saved()[-1]) as picture:
        return np.asarray(picture.convert("RGB"))


def is_all(pixels: Pixels, rgb: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels.astype(int) - rgb).max() <= 3)


def press(*names: str) -> None:
    import pygame

    for name in names:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(name), mod=0))


def test_the_window_shows_what_is_written(sink: DisplaySink) -> None:
    sink.write(plain(RED))
    pixels = shown(sink)
    assert pixels.shape == (360, 640, 3)
    assert is_all(pixels[200, 300], (255, 0, 0))


def test_a_picture_of_another_shape_gets_black_bars(sink: DisplaySink) -> None:
    sink.write(plain(GREEN, Size(360, 360)))
    pixels = shown(sink)
    assert is_all(pixels[200, :130], (0, 0, 0))
    assert is_all(pixels[200, 150:490], (0, 255, 0))
    assert is_all(pixels[200, 510:], (0, 0, 0))


def test_the_figures_go_and_the_keys_come(sink: DisplaySink) -> None:
    sink.write(plain(RED))
    soon(saved)
    press("i", "h")
    soon(lambda: len(saved()) >= 2)
    pixels = shown(sink)
    assert is_all(pixels[:60], (255, 0, 0))
    assert not is_all(pixels[-60:], (255, 0, 0))


def test_the_figures_are_there_at_first(sink: DisplaySink) -> None:
    sink.write(plain(RED))
    pixels = shown(sink)
    assert not is_all(pixels[:60, :200], (255, 0, 0))
    assert is_all(pixels[60:], (255, 0, 0))


@pytest.mark.parametrize(
    ("keys", "commands"),
    [
        (["n", "space", "right"], [Command.NEXT_BACKGROUND] * 3),
        (["m", "n"], [Command.MIRROR, Command.NEXT_BACKGROUND]),
        (["x", "i", "f", "f11", "h", "m"], [Command.MIRROR]),
        (["q"], [Command.QUIT]),
        (["escape"], [Command.QUIT]),
        (["f", "escape", "m"], [Command.MIRROR]),
        (["f", "escape", "escape"], [Command.QUIT]),
    ],
)
def test_keys_ask_for_things(sink: DisplaySink, keys: list[str], commands: list[Command]) -> None:
    assert isinstance(sink, Steering)
    press(*keys)
    asked: list[Command] = []
    soon(lambda: asked.extend(sink.commands()) or len(asked) >= len(commands))
    assert asked == commands
    assert sink.commands() == []


def test_a_closed_window_asks_to_quit_once_and_takes_frames_without_showing_them(sink: DisplaySink) -> None:
    import pygame

    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert soon(sink.commands) == [Command.QUIT]
    soon(lambda: not sink._thread.is_alive())
    sink.write(plain(RED))
    assert sink.commands() == []
    assert saved() == []


def test_closed_it_can_be_opened_again(sink: DisplaySink) -> None:
    sink.close()
    with DisplaySink(Display(), size=SIZE, rate=Fraction(30)) as again:
        again.write(plain(GREEN))
        assert is_all(shown(again)[200, 300], (0, 255, 0))


def test_there_is_one_window_at_a_time(sink: DisplaySink) -> None:
    with pytest.raises(SinkError, match="there is a window already"):
        DisplaySink(Display(), size=SIZE, rate=Fraction(30))


def test_a_screen_that_is_not_there_is_told() -> None:
    with pytest.raises(SinkError, match="display://7: there is no such screen") as caught:
        DisplaySink(Display(7), size=SIZE, rate=Fraction(30))
    assert caught.value.hint == "there is display://0"


def test_a_picture_larger_than_the_screen_starts_in_a_smaller_window() -> None:
    with DisplaySink(Display(), size=Size(8000, 4500), rate=Fraction(30)) as sink:
        sink.write(plain(RED, Size(8000, 4500)))
        height, width, _ = shown(sink).shape
    assert width < 8000
    assert abs(width / height - 16 / 9) < 0.01


def test_a_window_system_that_hangs_does_not_hold_who_writes(
    sink: DisplaySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, go_on = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hanging.set()
        go_on.wait()

    monkeypatch.setattr(Screen, "draw", hang)
    monkeypatch.setattr(window, "_CLOSE_S", 0.05)
    sink.write(plain(RED))
    hanging.wait()
    for _ in range(5):
        sink.write(plain(RED))
    sink.close()
    assert sink._thread.is_alive()
    go_on.set()
    sink._thread.join()


def test_what_goes_wrong_in_the_window_is_raised_by_the_next_write(
    sink: DisplaySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise SinkError("the window broke")

    monkeypatch.setattr(Screen, "draw", fail)
    sink.write(plain(RED))
    sink._thread.join()
    with pytest.raises(SinkError, match="the window broke"):
        sink.write(plain(RED))


def test_a_window_system_that_is_gone_is_told(sink: DisplaySink, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setattr(xlib, "lost", lambda: True)
        with pytest.raises(SinkError, match="window system is gone"):
            sink.write(plain(RED))
        with pytest.raises(SinkError, match="window system is gone"):
            DisplaySink(Display(), size=SIZE, rate=Fraction(30))


@pytest.mark.parametrize(
    ("display", "said"),
    [
        ("", "display://0: there is no window system here (run it in a desktop session, or set DISPLAY)"),
        (":6789", "display://0: the window system :6789 can't be reached"),
    ],
)
def test_without_a_window_system_one_line_says_so(display: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path.cwd()))
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_signals_stay_the_program_s_and_nothing_is_printed() -> None:
    code = OPEN + "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(30)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


def test_a_program_that_forgets_to_close_it_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
