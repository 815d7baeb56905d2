"""bgcamd and ffmpeg as programs that stream to each other, for the tests of RTSP and RTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from bgcamd.frame import Plane

WIDTH, HEIGHT = 320, 240
DAY = ((200, 40, 40), (40, 180, 60), (50, 60, 200), (220, 200, 60))
"""Colours of a picture's quarters: upper left, upper right, lower left, lower right."""
NIGHT = tuple(reversed(DAY))
_PATIENCE_S = 40.0


def quarters(colours: Sequence[tuple[int, int, int]]) -> Plane:
    """A picture of four colours, RGB (240, 320, 3)."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index, colour in enumerate(colours):
        top, left = index // 2 * HEIGHT // 2, index % 2 * WIDTH // 2
        picture[top : top + HEIGHT // 2, left : left + WIDTH // 2] = colour
    return picture


def shows(picture: Plane | None, colours: Sequence[tuple[int, int, int]]) -> bool:
    """Whether the middle of every quarter has its colour, as near as H.264 keeps it."""
    if picture is None or picture.shape != (HEIGHT, WIDTH, 3):
        return False
    middles = picture[HEIGHT // 4 :: HEIGHT // 2, WIDTH // 4 :: WIDTH // 2].reshape(4, 3)
    return bool(np.abs(middles.astype(int) - np.array(colours)).max() <= 12)


def saved(picture: Plane, path: Path) -> Path:
    """Write a PNG."""
    Image.fromarray(picture).save(path)
    return path


class Camera:
    """A bgcamd with a home of its own, that shows its camera as it is; started, killed and started again."""

    def __init__(self, home: Path, camera: str | Path, *outputs: str) -> None:
        home.mkdir(exist_ok=True)
        self.runtime = home / "run"
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self._log = home / "log"
        self._command = [sys.executable, "-m", "bgcamd", "--camera", str(camera), "--keep", "--size", "320x240"]
        for output in outputs:
            self._command += ["--output", output]
        own = {"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config"}
        self._environment = {**os.environ, **{name: str(home / folder) for name, folder in own.items()}}
        self._program: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it runs."""
        with self._log.open("wb") as log:
            self._program = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        until(lambda: "ask it" in self.log, self)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._program is not None
        self._program.kill()
        self._program.wait()

    def stop(self) -> int:
        """End it as systemd would; its exit status."""
        assert self._program is not None
        self._program.terminate()
        return self._program.wait(30)

    @property
    def log(self) -> str:
        """What it printed since it was started last."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """The address of its RTSP, as it prints it."""
        found = re.search(r"see it .*(rtsp://127\.0\.0\.1:\S+)", self.log)
        assert found is not None, self.log
        return found[1]

    def __enter__(self) -> Camera:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._program is not None and self._program.poll() is None:
            self.stop()


def until(condition: Callable[[], bool], camera: Camera | None = None) -> None:
    """Wait for what must come; says what the daemon printed where it does not."""
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end, camera.log if camera is not None else "it did not come"
        time.sleep(0.1)


def newest(count: int, *read: str) -> Plane | None:
    """Read ``count`` pictures by ffmpeg with these options of its input; the last of them, or None for an error."""
    command = ["ffmpeg", "-loglevel", "error", "-nostdin", *read, "-frames:v", str(count)]
    try:
        done = subprocess.run(
            [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=False, timeout=15
        )
    except subprocess.TimeoutExpired:  # ffmpeg waits for ever for a sender that is not there
        return None
    pictures = np.frombuffer(done.stdout, np.uint8)
    if len(pictures) < count * WIDTH * HEIGHT * 3:
        return None
    return pictures[-WIDTH * HEIGHT * 3 :].reshape(HEIGHT, WIDTH, 3)


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the background; it is killed at the end."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield program
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()


def tcp_port() -> int:
    """A port of TCP that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def rtp_port() -> int:
    """An even port of UDP that is free now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port % 2 == 0:
            return port
