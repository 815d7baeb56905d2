"""Which camera is opened when the one that was there is gone."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bgcamd import wiring
from bgcamd.errors import OutputError, SourceError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.video.address import File, Named


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes of the cameras that are plugged in; opening one returns its node."""
    nodes: list[str] = []

    def first() -> str:
        if not nodes:
            raise SourceError("no camera found")
        return nodes[0]

    def again(known: SimpleNamespace) -> str:
        if known.node not in nodes:
            raise SourceError("gone")
        return str(known.node)

    monkeypatch.setattr(wiring, "V4L2Camera", lambda node, **_: node)
    monkeypatch.setattr(wiring.devices, "find_camera", first)
    monkeypatch.setattr(wiring.devices, "find_named", lambda _: first())
    monkeypatch.setattr(wiring.devices, "find_again", again)
    monkeypatch.setattr(wiring.devices, "describe", lambda node: SimpleNamespace(node=node))
    return nodes


def test_any_camera_is_the_first_then_the_same_then_another(plugged: list[str]) -> None:
    camera = wiring.Camera(Named(""), None, None)
    with pytest.raises(SourceError, match="no camera"):
        camera()
    plugged.append("/dev/video1")
    assert camera() == "/dev/video1"  # type: ignore[comparison-overlap]
    plugged.insert(0, "/dev/video0")
    assert camera() == "/dev/video1"  # type: ignore[comparison-overlap]
    plugged.remove("/dev/video1")
    assert camera() == "/dev/video0"  # type: ignore[comparison-overlap]


def test_a_camera_by_name_is_never_another(plugged: list[str]) -> None:
    camera = wiring.Camera(Named("HD Webcam"), None, None)
    plugged.append("/dev/video1")
    camera()
    plugged[:] = ["/dev/video0"]
    with pytest.raises(SourceError, match="gone"):
        camera()


def test_a_recording_as_numbered_pictures_has_no_gaps_whatever_the_cameras_numbers(tmp_path: Path) -> None:
    output = File(tmp_path / "shots" / "%03d.png")
    wiring.check_output(output)
    with wiring.output_plan(output, Size(2, 2), Fraction(30)).open() as sink:
        for sequence in (7, 3, 9):
            planes = tuple(np.zeros(shape, np.uint8) for shape in ((2, 2), (1, 1), (1, 1)))
            sink.write(Frame(planes, PixelFormat.I420, Size(2, 2), sequence=sequence))
            while len(list((tmp_path / "shots").glob("*.png"))) <= {7: 0, 3: 1, 9: 2}[sequence]:
                time.sleep(0.01)  # it is written beside; the newest wins
    assert sorted(path.name for path in (tmp_path / "shots").iterdir()) == ["000.png", "001.png", "002.png"]
    with pytest.raises(OutputError, match="exist"):
        wiring.check_output(output)
