"""What the service may do, on the real system: `systemd-analyze security`, and the network only where it is let."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from conftest import Say
from guest import Guest
from service import Service

MOST = 2.0
ALLOWED = "/etc/systemd/system/bgcamd.service.d"
URL = r"rtsp://127\.0\.0\.1:8554/\S+"


@pytest.fixture
def streaming(guest: Guest, service: Service, webcam: str) -> Iterator[Service]:
    """The service with a stream among its outputs, started; the network is forbidden again at the end."""
    outputs = ["loopback:", "rtsp://@127.0.0.1:8554/cam"]
    service.start(camera={"address": webcam}, output={"addresses": outputs}, scene={"blur": 50})
    yield service
    guest.run(f"rm -rf {ALLOWED}; systemctl daemon-reload")


def exposure(guest: Guest) -> tuple[float, str]:
    """What systemd makes of the unit: a number, 0 to 10, and its line."""
    line = guest.run("systemd-analyze security bgcamd --no-pager | grep Overall").strip(" →\n")
    return float(re.findall(r": (\d+\.\d)", line)[0]), line


def test_the_service_is_hardly_exposed(guest: Guest, service: Service, say: Say) -> None:
    value, line = exposure(guest)
    say(line)
    assert value <= MOST


def test_a_stream_needs_one_command_and_then_is_served_to_this_machine(
    guest: Guest, streaming: Service, say: Say
) -> None:
    (problem,) = streaming.status()["problems"]
    say(f"without it: {problem}")
    families = guest.run("systemctl show -P RestrictAddressFamilies -P PrivateNetwork bgcamd").split()
    assert set(families) == {"AF_UNIX", "yes"}
    command = problem.partition("the service has no network: ")[2].rstrip(")").replace("sudo ", "")
    assert command, problem

    guest.run(command)
    assert streaming.status()["problems"] == []
    url = re.findall(URL, guest.run("journalctl -u bgcamd -n 20 -o cat --no-pager"))[-1]
    probe = "ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 -rtsp_transport tcp"
    stream = guest.run(f"{probe} {url}", user="desk", timeout=60).strip()
    value, line = exposure(guest)
    say(f"with it: ffprobe reads {stream}; {line}")
    assert stream == "h264,1280,720"
    assert value <= MOST
