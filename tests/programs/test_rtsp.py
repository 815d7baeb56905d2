"""RTSP between programs: ffmpeg reads bgcamd's, and a bgcamd reads another's; each survives the other's end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for stream_programs, which is no test

from stream_programs import DAY, NIGHT, Camera, newest, quarters, running, saved, shows, tcp_port, until


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    picture = saved(quarters(DAY), tmp_path / "day.png")
    with Camera(tmp_path / "camera", picture, f"rtsp://@:{tcp_port()}/output") as camera:
        yield camera


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_ffmpeg_sees_the_cameras_picture(camera: Camera, transport: str) -> None:
    reading = ("-rtsp_transport", transport, "-i", camera.url)
    until(lambda: shows(newest(5, *reading), DAY), camera)


def test_ffprobe_is_told_codec_size_rate_and_colour(camera: Camera) -> None:
    shown = subprocess.run(
        ["ffprobe", "-loglevel", "error", "-show_streams", "-of", "json", camera.url],
        capture_output=True,
        check=True,
        timeout=30,
    )
    (stream,) = json.loads(shown.stdout)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 320, 240)
    assert (stream["pix_fmt"], stream["color_space"], stream["color_range"]) == ("yuv420p", "smpte170m", "tv")
    assert stream["has_b_frames"] == 0


def test_who_does_not_know_the_secret_finds_nothing(camera: Camera) -> None:
    wrong = camera.url.replace("/output", "/0utput")
    asked = subprocess.run(["ffprobe", "-loglevel", "error", wrong], capture_output=True, check=False, timeout=30)
    assert asked.returncode != 0
    assert b"404 Not Found" in asked.stderr


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_viewers_that_are_killed_leave_the_camera_to_others(camera: Camera, transport: str) -> None:
    reading = ("-rtsp_transport", transport, "-i", camera.url)
    for _ in range(3):
        with running("ffmpeg", "-loglevel", "error", *reading, "-f", "null", "-"):
            until(lambda: shows(newest(5, *reading), DAY), camera)
    assert shows(newest(5, *reading), DAY)


def test_the_address_is_the_same_after_a_crash(camera: Camera) -> None:
    before = camera.url
    until(lambda: shows(newest(2, "-i", before), DAY), camera)
    camera.kill()
    assert newest(1, "-i", before) is None
    camera.start()
    assert camera.url == before
    until(lambda: shows(newest(2, "-i", before), DAY), camera)


def test_a_camera_that_reads_another_goes_on_when_that_one_is_there_again(tmp_path: Path) -> None:
    picture = saved(quarters(DAY), tmp_path / "picture.png")
    with ExitStack() as stack:
        first = stack.enter_context(Camera(tmp_path / "first", picture, f"rtsp://@:{tcp_port()}/output"))
        second = stack.enter_context(Camera(tmp_path / "second", first.url, f"rtsp://@:{tcp_port()}/again"))
        until(lambda: shows(newest(5, "-i", second.url), DAY), second)
        first.kill()
        until(lambda: (seen := newest(5, "-i", second.url)) is not None and not shows(seen, DAY), second)
        saved(quarters(NIGHT), picture)
        first.start()
        until(lambda: shows(newest(5, "-i", second.url), NIGHT), second)
        assert second.stop() == 0
