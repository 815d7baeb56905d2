"""What the keys of a window do to a job, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
from PIL import Image

from bgcamd.errors import OutputError
from bgcamd.frame import Frame
from bgcamd.live.outputs import OutputPlan
from bgcamd.matting.manifest import find_manifest
from bgcamd.process import job as job_module
from bgcamd.process.job import Job
from bgcamd.process.outputs import Targets
from bgcamd.protocols import Command
from bgcamd.scene import Colour, Picture, Scene
from bgcamd.video.address import File, Null

GREEN, RED = Colour((0, 255, 0)), Colour((255, 0, 0))


class Window:
    """Shows nothing, remembers the corner of each frame, and gives one command after each."""

    name, see = "window", ""

    def __init__(self, keys: Sequence[Command | None]) -> None:
        self.keys, self.corners = list(keys), list[tuple[int, ...]]()

    def write(self, frame: Frame) -> None:
        self.corners.append(tuple(int(plane[:4, :4].mean()) for plane in frame.planes))

    def commands(self) -> Sequence[Command]:
        key = self.keys.pop(0) if self.keys else None
        return [key] if key else []

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Numbered pictures of an empty room: grey, blue on the right."""
    picture = np.full((72, 128, 3), 90, np.uint8)
    picture[:, 64:] = (0, 0, 200)
    for number in range(40):  # more than are shown: what is late is skipped
        Image.fromarray(picture).save(tmp_path / f"{number:02d}.png")
    return tmp_path / "%02d.png"


def run(room: Path, window: Window, monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    monkeypatch.setattr(job_module, "output_plan", lambda *_: OutputPlan("window", lambda: window))
    targets = Targets(tuple(more.pop("files", ())), (Null(),))  # type: ignore[arg-type]
    job = Job(File(room), targets, Scene(GREEN), find_manifest("selfie"), "cpu", 1, False, **more)  # type: ignore[arg-type]
    job.run(threading.Event(), lambda frames, count: frames, lambda place: None)


def test_a_key_shows_the_next_background_and_passes_over_what_can_not_be_shown(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_one = Command.NEXT_BACKGROUND
    window = Window([next_one, next_one, next_one])
    run(room, window, monkeypatch, backgrounds=[Picture(tmp_path / "gone.jpg", "gone"), RED])
    green, blurred, red, again = window.corners[:4]
    assert green[0] > 130 and green[2] < 60  # noqa: PT018 - one colour
    assert max(abs(blurred[1] - 128), abs(blurred[2] - 128)) < 6
    assert red[2] > 200
    assert again == green


def test_a_key_mirrors_the_camera(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window([Command.NEXT_BACKGROUND, Command.MIRROR])
    run(room, window, monkeypatch)
    assert window.corners[1][1] < 140 < window.corners[2][1]  # the blurred room: grey on the left, then blue


def test_who_quits_ends_it_and_no_half_of_a_file_is_left(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window([None, Command.QUIT])
    run(room, window, monkeypatch)
    assert len(window.corners) == 2
    with pytest.raises(OutputError, match="ended before the end"):
        run(room, Window([None, Command.QUIT]), monkeypatch, files=(str(tmp_path / "out.mp4"),))
    assert not (tmp_path / "out.mp4").exists()
