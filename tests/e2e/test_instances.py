"""A second camera: a unit, a settings file, a virtual camera and a scene of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Say
from guest import Guest
from service import Service


@pytest.fixture
def second(guest: Guest, service: Service) -> Iterator[Service]:
    """bgcamd@side.service, stopped."""
    second = Service(guest, instance="side")
    yield second
    second.remove()
    guest.run(f"rm -f {second.file}")


def test_two_cameras_have_two_virtual_cameras_and_two_scenes(
    service: Service, second: Service, webcam: str, vivid: str, say: Say
) -> None:
    service.start(camera={"address": webcam})
    second.start(camera={"address": vivid})
    service.bgcam("set --color green")
    second.bgcam("set --keep")
    first_is, second_is = service.status(), second.status()
    say(f"{first_is['output']}: {first_is['scene']}; {second_is['output']}: {second_is['scene']}")
    assert first_is["output"].startswith("Virtual BG Camera (")
    assert second_is["output"].startswith("Virtual BG Camera side (")
    assert first_is["scene"] != second_is["scene"]
