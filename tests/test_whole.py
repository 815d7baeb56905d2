"""bgcamd and bgcam as real programs: a real person from the demo clip before a background, over the real socket."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BLUE = (20, 60, 200)


class Desk:
    """A home of its own, a daemon and the means to ask it."""

    def __init__(self, home: Path, models: Path) -> None:
        self.home = home
        self.socket = home / "run" / "bgcamd.sock"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "BGCAMD_"))},
            "HOME": str(home),
            "BGCAMD_MODELS": str(models),
            "XDG_RUNTIME_DIR": str(self.socket.parent),
        }
        self.daemon: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> str:
        """Start the daemon and return what it says until it is ready."""
        command = [sys.executable, "-m", "bgcamd", *options]
        self.daemon = subprocess.Popen(
            command, env=self.environment, cwd=self.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = ""
        assert self.daemon.stdout is not None
        while "  ask it " not in said:
            line = self.daemon.stdout.readline()
            assert line, said
            said += line
        return said

    def bgcam(self, *words: str | Path, code: int = 0) -> str:
        """Run bgcam and return all that it says."""
        command = [sys.executable, "-c", "from bgcamd.cli import main; main()", *map(str, words)]
        done = subprocess.run(
            command, env=self.environment, cwd=self.home, text=True, check=False, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.bgcam("status", "--json"))
        return found

    def until(self, state: str) -> dict[str, object]:
        """The status as soon as the daemon is in this state."""
        deadline = time.monotonic() + 20
        while (status := self.status())["state"] != state:
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
        return status

    def snapshot(self, name: str = "now.png") -> np.ndarray:
        self.bgcam("snapshot", "--overwrite", name)
        with Image.open(self.home / name) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def stop(self) -> int:
        """End the daemon, as systemd would, and return its exit code."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.communicate(timeout=20)
        return self.daemon.returncode


@pytest.fixture
def desk(tmp_path: Path, models: Path) -> Iterator[Desk]:
    """A desk in ``tmp_path``; its daemon is ended after the test."""
    it = Desk(tmp_path, models)
    it.socket.parent.mkdir(mode=0o700)
    Image.new("RGB", (64, 36), BLUE).save(tmp_path / "blue.png")
    yield it
    if it.daemon is not None and it.daemon.poll() is None:
        it.daemon.kill()
        it.daemon.communicate()


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Which pixels have this colour, but for rounding and chroma."""
    return np.abs(pixels - colour).max(axis=-1) < 12


def test_a_person_stands_before_the_picture_that_was_set(desk: Desk) -> None:
    said = desk.start("--camera", "demo:", "--output", "preview:")
    url = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", said)
    assert url is not None, said
    desk.until("live")
    assert desk.bgcam("set", "--replace=blue.png").strip() == "live: blue.png"
    seen = desk.snapshot()
    assert seen.shape == (720, 960, 3)
    room = near(seen, BLUE)
    assert room[:300, :200].all()  # the corner, above the shoulder
    assert not room[180:260, 370:440].any()  # the face
    assert 0.2 < room.mean() < 0.9
    with urllib.request.urlopen(url[0], timeout=20) as answer:  # its pictures: tests/preview
        assert b"<title>" in answer.read()


def test_the_scene_outlives_a_restart_and_the_file_that_it_came_from(desk: Desk) -> None:
    desk.start("--camera", "demo:", "--output", "null:")
    assert desk.bgcam("set", "--replace=blue.png", "--mirror", "--shift", "-5", "--smooth=0").strip() == (
        "live: blue.png, mirrored, shift -5, smooth 0"
    )
    assert desk.stop() == 0
    (desk.home / "blue.png").unlink()
    desk.start("--camera", "demo:", "--output", "null:")
    desk.until("live")
    assert near(desk.snapshot(), BLUE)[:300, -200:].all()
    assert desk.status()["scene"] == {
        "background": "picture", "name": "blue.png", "fit": "cover", "mirror": True,
        "feather": 0, "shift": -5, "threshold": 50, "smooth": 0, "light_wrap": 0,
    }  # fmt: skip


def test_the_status_has_the_keys_that_machines_rely_on(desk: Desk) -> None:
    desk.start("--camera", "demo:", "--output", "null:")
    status = desk.until("live")
    wanted = {
        "state",
        "camera",
        "output",
        "model",
        "engine",
        "why",
        "quality",
        "fps",
        "stages",
        "age_ms",
        "dropped",
        "scene",
    }
    assert wanted <= status.keys()
    assert isinstance(status["stages"], dict)
    assert status["stages"].keys() == {"take", "look", "shrink", "infer", "refine", "compose", "give"}
    assert all(times.keys() == {"wall_p50", "wall_p95", "cpu_p50"} for times in status["stages"].values())


def test_a_picture_that_is_none_changes_nothing(desk: Desk) -> None:
    desk.start("--camera", "demo:", "--output", "null:")
    desk.until("live")
    desk.bgcam("set", "--color=#143cc8")
    (desk.home / "fake.jpg").write_bytes(b"not a picture at all" * 100)
    assert "fake.jpg" in desk.bgcam("set", "--replace=fake.jpg", code=66)
    assert near(desk.snapshot(), BLUE)[:300, :200].all()
    assert not list((desk.home / ".local/state/bgcamd/backgrounds").glob("*"))


def test_pause_hides_and_resume_shows(desk: Desk) -> None:
    desk.start("--camera", "demo:", "--output", "null:")
    desk.until("live")
    desk.bgcam("set", "--color=#143cc8")
    desk.bgcam("pause")
    assert not near(desk.snapshot(), BLUE).any()
    desk.bgcam("resume")
    desk.until("live")
    assert near(desk.snapshot(), BLUE)[:300, :200].all()


def test_a_camera_that_is_not_there_is_waited_for(desk: Desk) -> None:
    desk.start("--camera", "/dev/video4711", "--output", "null:", "--always-on")
    assert "/dev/video4711" in str(desk.until("waiting")["problems"])
    assert desk.stop() == 0


def test_a_clip_is_written_whole_when_the_daemon_ends(desk: Desk) -> None:
    desk.start("--camera", "blue.png", "--output", "out.mp4", "--keep")
    desk.until("live")
    time.sleep(1)
    assert not (desk.home / "out.mp4").exists()
    assert desk.stop() == 0
    desk.bgcam("process", "--keep", "out.mp4", "frames/")
    assert len(list((desk.home / "frames").glob("*.png"))) > 10


def test_a_daemon_on_another_socket_keeps_its_scene_apart_whatever_the_sockets_name(desk: Desk) -> None:
    desk.start("--camera", "demo:", "--output", "null:", "--socket", "elsewhere/bgcamd.sock")
    desk.bgcam("set", "--socket", "elsewhere/bgcamd.sock", "--replace=blue.png")
    state = desk.home / ".local/state/bgcamd"
    assert not (state / "scene.json").exists()
    assert not (state / "backgrounds").exists()
    assert len(list(state.glob("*/scene.json"))) == 1


def test_an_instance_has_its_own_settings_socket_and_state(desk: Desk) -> None:
    settings = desk.home / ".config" / "bgcamd" / "second.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[camera]\naddress = "demo:"\n[output]\naddresses = ["null:"]\n[scene]\ncolor = "#143cc8"\n')
    desk.start("--camera", "demo:", "--output", "null:")
    first, desk.daemon = desk.daemon, None
    try:
        desk.start("--instance", "second")
        desk.until("live")
        assert "blur" in desk.bgcam("status")
        assert "#143cc8" in desk.bgcam("--instance", "second", "status")
        desk.bgcam("--instance", "second", "set", "--mirror")
        assert (desk.home / ".local/state/bgcamd/instances/second/scene.json").exists()
        assert not (desk.home / ".local/state/bgcamd/scene.json").exists()
    finally:
        assert first is not None
        first.terminate()
        first.communicate(timeout=20)


def test_two_daemons_on_one_socket(desk: Desk) -> None:
    desk.start("--camera", "demo:", "--output", "null:")
    second = subprocess.run(
        [sys.executable, "-m", "bgcamd", "--output", "null:"],
        env=desk.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert second.returncode == 69
    assert "another bgcamd" in second.stderr
    assert "Traceback" not in second.stderr
    desk.until("live")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--camera", "rtspp://x"], 78, "rtspp"),
        (["--model", "selfy"], 66, "did you mean"),
        (["--size", "0x0"], 78, "--size"),
        (["--replace", "missing.png"], 64, "missing.png"),
        (["--blur", "--keep"], 64, "can't be shown at once"),
        (["--config", "missing.toml"], 78, "missing.toml"),
        (["--output", "blue.png"], 73, "blue.png"),
        (["--camera", "missing.mp4"], 66, "missing.mp4"),
        (["--size", "641x480"], 78, "even"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(desk: Desk, options: list[str], code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bgcamd", *options], env=desk.environment, cwd=desk.home,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_a_signal_that_comes_again_at_once_ends_it_without_a_word(desk: Desk) -> None:
    for _ in range(3):
        desk.start("--camera", "demo:", "--output", "null:")
        assert desk.daemon is not None
        for _ in range(20):  # all before it can have come to its end
            desk.daemon.send_signal(signal.SIGTERM)
        assert "Traceback" not in desk.daemon.communicate(timeout=20)[0]
        assert desk.daemon.returncode == 0
