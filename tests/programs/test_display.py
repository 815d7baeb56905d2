"""A window under Xvfb: what a person at the screen sees, and what their keys do."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.int16]
Environment = dict[str, str]

BIN = Path(sys.executable).parent
SCREEN = (1600, 1000)
RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 177, 64)
PATIENCE_S = 60.0
PICTURE = slice(400, 600), slice(500, 1100)
"""Where on the screen there is nothing but picture: rows, columns."""


@contextmanager
def xvfb() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An X server; yields it and what DISPLAY is to be."""
    number, number_in = os.pipe()
    command = ["Xvfb", "-displayfd", str(number_in), "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(number_in,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(number_in)
    try:
        with os.fdopen(number) as told:
            yield server, f":{told.readline().strip()}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Environment]:
    """A screen of our own, and folders of our own for what programs keep."""
    with xvfb() as (server, display):
        yield environment(display, tmp_path) | {"XVFB": str(server.pid)}


def environment(display: str, folder: Path) -> Environment:
    own = {f"XDG_{name}": str(folder) for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME")}
    return {**os.environ, **own, "DISPLAY": display, "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(desktop: Environment, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A program of ours, as a user starts it; killed when the test fails before it ends."""
    program = subprocess.Popen(
        [BIN / command[0], *command[1:]], env=desktop, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def bgcam(desktop: Environment, *arguments: str) -> str:
    done = subprocess.run([BIN / "bgcam", *arguments], env=desktop, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def screenshot(desktop: Environment) -> Pixels:
    taken = subprocess.run(["import", "-window", "root", "png:-"], env=desktop, capture_output=True, check=True)
    with Image.open(io.BytesIO(taken.stdout)) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)


def soon(desktop: Environment, seen: Callable[[Pixels], bool]) -> Pixels:
    """The screen, once it shows this."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if seen(pixels := screenshot(desktop)):
            return pixels
        time.sleep(0.1)
    pytest.fail("the screen never showed it")


def press(desktop: Environment, *keys: str) -> None:
    subprocess.run(["xdotool", "key", *keys], env=desktop, check=True)


def is_all(pixels: Pixels, rgb: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixels - rgb).max() <= 6)


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> Callable[[Pixels], bool]:
    rows, columns = PICTURE
    middle = SCREEN[0] // 2

    def seen(pixels: Pixels) -> bool:
        return is_all(pixels[rows, columns.start : middle - 50], left) and is_all(
            pixels[rows, middle + 50 : columns.stop], right
        )

    return seen


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """A camera that nobody is in front of: red left, blue right, 1280x720."""
    pixels = np.empty((720, 1280, 3), np.uint8)
    pixels[:, :640], pixels[:, 640:] = RED, BLUE
    path = tmp_path / "halves.png"
    Image.fromarray(pixels).save(path)
    return str(path)


def test_the_daemon_s_window_shows_the_camera_mirrors_it_changes_the_background_and_quits(
    desktop: Environment, picture: str
) -> None:
    with running(desktop, "bgcamd", "--camera", picture, "--keep", "--output", "display://0") as program:
        screen = soon(desktop, halves(RED, BLUE))
        assert is_all(screen[:130], (0, 0, 0))  # nothing outside the window
        assert (screen[140:200, 160:400].max(axis=2) > 200).any()
        assert not is_all(screen[140:200, 160:400], RED)  # the figures
        press(desktop, "i")
        soon(desktop, lambda pixels: is_all(pixels[150:200, 170:400], RED))
        press(desktop, "m")
        soon(desktop, halves(BLUE, RED))
        press(desktop, "n")
        soon(desktop, lambda pixels: not is_all(pixels[PICTURE[0], 797:803], BLUE) and blurred(pixels))
        press(desktop, "q")
        assert program.wait(PATIENCE_S) == 0
    assert is_all(screenshot(desktop), (0, 0, 0))


def blurred(pixels: Pixels) -> bool:
    """Whether the edge between the halves is soft: many levels of red along a row."""
    return len(set(pixels[500, 700:900, 0])) > 20


def test_process_shows_a_person_before_another_background(desktop: Environment) -> None:
    command = ("bgcam", "process", "--model", "selfie", "--color", "#00b140", "demo:", "display://0")
    with running(desktop, *command) as program:
        screen = soon(desktop, lambda pixels: is_all(pixels[200:400, 330:480], GREEN))
        face = screen[340:400, 710:800]
        assert (face[..., 0] > face[..., 2]).mean() > 0.9  # skin is redder than blue
        press(desktop, "n")
        soon(desktop, lambda pixels: not is_all(pixels[200:400, 330:480], GREEN))
        press(desktop, "Escape")
        assert program.wait(PATIENCE_S) == 0


def test_the_picture_fits_a_window_of_another_shape(desktop: Environment, picture: str) -> None:
    with running(desktop, "bgcamd", "--camera", picture, "--keep", "--output", "display://0") as program:
        soon(desktop, halves(RED, BLUE))
        resize = ["xdotool", "search", "--class", "bgcamd", "windowmove", "0", "0", "windowsize", "640", "640"]
        subprocess.run(resize, env=desktop, check=True)

        def fits(pixels: Pixels) -> bool:
            inside = is_all(pixels[200:490, 20:300], RED) and is_all(pixels[200:490, 340:620], BLUE)
            bars = is_all(pixels[60:135, :640], (0, 0, 0)) and is_all(pixels[505:640, :640], (0, 0, 0))
            return inside and bars

        soon(desktop, fits)
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0


def test_the_daemon_outlives_the_window_system(desktop: Environment, picture: str) -> None:
    outputs = ("--output", "null:", "--output", "display://0")
    with running(desktop, "bgcamd", "--camera", picture, "--keep", *outputs) as program:
        soon(desktop, halves(RED, BLUE))
        os.kill(int(desktop["XVFB"]), signal.SIGKILL)
        told = wait_for(lambda: text if "window system is gone" in (text := bgcam(desktop, "status")) else "")
        assert "display://0" in told
        before = frames(desktop)
        wait_for(lambda: frames(desktop) > before)
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0


def wait_for(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.2)
    pytest.fail("it did not come")


def frames(desktop: Environment) -> int:
    """How many the daemon says that it has written."""
    words = bgcam(desktop, "status").split()
    return int(words[words.index("frames,") - 1])
