"""CSI cameras through the real GStreamer, whose own test picture stands in for the camera's element."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, Frame, Size
from bgcamd.video.csi import CsiSource
from bgcamd.video.stream_address import Csi

SAMPLES = {"red": (81, 90, 240), "white": (235, 128, 128), "green": (145, 54, 34)}
"""Y, U, V of BT.601, limited range."""

LAUNCH = """#!{python}
import os, sys
words = []
for word in sys.argv[1:]:
    if word == "libcamerasrc":
        words += ["videotestsrc", "is-live=true", {more}]
    else:
        words.append(word)
os.execv({real!r}, [{real!r}, *words])
"""
INSPECT = '#!/bin/sh\ntest "$2" = libcamerasrc\n'


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on PATH whose gst-launch-1.0 is GStreamer's, with its test picture as libcamera's element."""
    (tmp_path / "gst-inspect-1.0").write_text(INSPECT)
    (tmp_path / "gst-inspect-1.0").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def stand_in(folder: Path, *more: str) -> None:
    real = shutil.which("gst-launch-1.0", path=os.environ["PATH"].partition(":")[2])
    file = folder / "gst-launch-1.0"
    file.write_text(LAUNCH.format(python=sys.executable, real=real, more=", ".join(map(repr, more))))
    file.chmod(0o755)


@contextmanager
def reading(size: Size) -> Iterator[tuple[CsiSource, Frame]]:
    with CsiSource(Csi(0), size=size, fps=Fraction(30)) as source:
        frame = source.read(10)
        assert frame is not None
        yield source, frame
        frame.release()


@pytest.mark.parametrize("size", [Size(640, 480), Size(1280, 720)])  # GStreamer means BT.601, then BT.709
@pytest.mark.parametrize("colour", SAMPLES)
def test_a_colour_is_what_the_frame_says_it_is(camera: Path, colour: str, size: Size) -> None:
    stand_in(camera, f"pattern={colour}")
    with reading(size) as (source, frame):
        assert (source.name, frame.size, frame.color) == ("csi://0 (gst-launch-1.0)", size, BT601)
        for plane, sample in zip(frame.planes, SAMPLES[colour], strict=True):
            assert np.abs(plane.astype(int) - sample).max() <= 1


@pytest.mark.parametrize("asked", [Size(1280, 720), Size(854, 480), Size(500, 333), Size(100, 2)])
def test_rows_lie_one_below_the_other_whatever_size_is_asked_for(camera: Path, asked: Size) -> None:
    stand_in(camera, "pattern=gradient")  # from black above to white below: each row is of one grey
    with reading(asked) as (_, frame):
        rows = frame.planes[0].astype(int)
        assert (rows.max(axis=1) - rows.min(axis=1)).max() <= 1
        assert (np.diff(rows[:, 0]) >= 0).all()


def test_frames_count_up_and_are_young(camera: Path) -> None:
    stand_in(camera, "pattern=ball")
    with reading(Size(640, 480)) as (source, first):
        for _ in range(5):
            later = source.read(10)
            assert later is not None
            assert later.sequence > first.sequence
            assert later.captured_ns > first.captured_ns
            later.release()


def test_a_camera_that_ends_is_told(camera: Path) -> None:
    stand_in(camera, "num-buffers=10")
    with pytest.raises(SourceError, match=r"csi://0 \(gst-launch-1.0\): gst-launch-1.0 has ended"):
        read_to_the_end()


def read_to_the_end() -> None:
    with reading(Size(640, 480)) as (source, _):
        while True:
            if (frame := source.read(10)) is not None:
                frame.release()


def test_what_gstreamer_complains_of_is_told(camera: Path) -> None:
    stand_in(camera, "no-such-property=1")
    with pytest.raises(SourceError, match='no property "no-such-property"'):
        CsiSource(Csi(0), size=None, fps=None)


def test_without_the_element_there_is_nothing_to_read(camera: Path) -> None:
    (camera / "gst-inspect-1.0").unlink()  # the machine's own knows no such element
    with pytest.raises(SourceError, match="no program here"):
        CsiSource(Csi(0), size=None, fps=None)


def test_process_records_a_csi_camera_until_it_is_interrupted(camera: Path, tmp_path: Path) -> None:
    stand_in(camera, "pattern=red")
    out, stills = tmp_path / "film" / "out.mp4", tmp_path / "%03d.png"
    out.parent.mkdir()
    command = [Path(sys.executable).with_name("bgcam"), "process", "--model", "selfie", "--keep", "csi://0", str(out)]
    program = subprocess.Popen(command)
    try:
        while program.poll() is None and not any(file.stat().st_size for file in out.parent.iterdir()):
            time.sleep(0.1)
        time.sleep(1)
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 0
    finally:
        program.kill()
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(out), "-frames:v", "5", str(stills)], check=True)
    for number in range(1, 6):
        with Image.open(str(stills) % number) as picture:
            assert picture.size == (1280, 720)
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - (255, 0, 0)).max() <= 6
