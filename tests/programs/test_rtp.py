"""RTP between programs: ffmpeg reads bgcamd's and bgcamd reads ffmpeg's; each survives the other's end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for stream_programs, which is no test

from stream_programs import (
    DAY,
    NIGHT,
    Camera,
    newest,
    quarters,
    rtp_port,
    running,
    saved,
    shows,
    tcp_port,
    until,
)

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p")
BT601 = ("-vf", "scale=out_color_matrix=bt601:out_range=tv", "-colorspace", "smpte170m", "-color_range", "tv")


def reading(camera: Camera, port: int) -> tuple[str, ...]:
    return ("-protocol_whitelist", "file,udp,rtp", "-i", str(camera.runtime / f"rtp-127.0.0.1-{port}.sdp"))


def sending(picture: Path, port: int, *codec: str) -> tuple[str, ...]:
    still = ("-re", "-loop", "1", "-framerate", "25", "-i", str(picture))
    return ("ffmpeg", "-loglevel", "error", *still, *BT601, *codec, "-f", "rtp", f"rtp://127.0.0.1:{port}")


def test_ffmpeg_sees_the_cameras_picture_again_and_again_and_after_a_crash(tmp_path: Path) -> None:
    picture, port = saved(quarters(DAY), tmp_path / "day.png"), rtp_port()
    with Camera(tmp_path / "camera", picture, f"rtp://127.0.0.1:{port}") as camera:
        for _ in range(2):
            with running("ffmpeg", "-loglevel", "quiet", *reading(camera, port), "-f", "null", "-"):
                pass
            until(lambda: shows(newest(5, *reading(camera, port)), DAY), camera)
        camera.kill()
        saved(quarters(NIGHT), picture)
        camera.start()
        until(lambda: shows(newest(5, *reading(camera, port)), NIGHT), camera)
        assert camera.stop() == 0
    assert list(camera.runtime.glob("*.sdp")) == []


def test_the_camera_shows_what_ffmpeg_sends_also_when_that_is_killed_and_comes_again(tmp_path: Path) -> None:
    day, night = saved(quarters(DAY), tmp_path / "day.png"), saved(quarters(NIGHT), tmp_path / "night.png")
    port = rtp_port()
    with Camera(tmp_path / "camera", f"rtp://@:{port}", f"rtsp://@:{tcp_port()}/output") as camera:
        for picture, colours in ((day, DAY), (night, NIGHT)):
            with running(*sending(picture, port, *H264)):
                until(lambda colours=colours: shows(newest(5, "-i", camera.url), colours), camera)  # type: ignore[misc]
        camera.kill()
        with running(*sending(day, port, *H264)):
            camera.start()
            until(lambda: shows(newest(5, "-i", camera.url), DAY), camera)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("h265", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25")),
        ("vp8", ("-c:v", "libvpx", "-deadline", "realtime", "-g", "25")),
        ("vp9", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "25", "-strict", "experimental")),
    ],
)
def test_other_codecs_are_read_where_the_address_names_them(tmp_path: Path, name: str, codec: tuple[str, ...]) -> None:
    day, port = saved(quarters(DAY), tmp_path / "day.png"), rtp_port()
    camera = Camera(tmp_path / "camera", f"rtp://@:{port}?codec={name}", f"rtsp://@:{tcp_port()}/out")
    with running(*sending(day, port, *codec, "-pix_fmt", "yuv420p")), camera:
        until(lambda: shows(newest(5, "-i", camera.url), DAY), camera)
