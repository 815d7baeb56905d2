"""How old the picture is that a reader has, from the webcam's write to the reader's hand."""

from __future__ import annotations

import statistics

import pytest
from conftest import BUSY, Say
from guest import Guest
from service import Service

FRAMES = 200


@pytest.mark.parametrize("size", ["640x480", "1280x720"])
def test_a_picture_reaches_the_reader_before_the_next_is_taken(
    guest: Guest, service: Service, empty_webcam: str, say: Say, size: str
) -> None:
    width, height = size.split("x")
    frame = f"-vf scale=-2:{height},crop={width}:{height} -pix_fmt yuyv422 -f rawvideo"
    guest.run(f"ffmpeg -loglevel error -i /share/person.avi -frames:v 1 {frame} -y /tmp/{size}.yuyv")
    send = f"python3 /share/inside/barcode.py send {empty_webcam} /tmp/{size}.yuyv {size}"
    with guest.background("webcam", send):
        guest.wait_for(f"v4l2-ctl -d {empty_webcam} --get-fmt-video | grep {width}/{height}")
        service.start(camera={"address": empty_webcam})
        read = guest.run(f"python3 /share/inside/barcode.py read /dev/video10 {size} {FRAMES}", user="desk")
        stages = service.status()["age_ms"]

    ages = [float(age) for age in read.split()]
    cuts = statistics.quantiles(ages, n=20)
    say(f"{size}: {len(ages)} pictures, camera to reader p50 {cuts[9]:.1f} ms, p95 {cuts[18]:.1f} ms; status: {stages}")
    assert len(ages) == FRAMES
    assert min(ages) > 0
    assert cuts[9] < 1000 / 30 * BUSY
