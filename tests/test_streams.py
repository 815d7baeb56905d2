"""Which stream needs what, and where a person finds the other end."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bgcamd import streams
from bgcamd.cli import main
from bgcamd.errors import UsageError
from bgcamd.video.stream_address import Csi, Display, Rtp, Rtsp, Served


@pytest.mark.parametrize(
    ("address", "extra"),
    [(Served("webrtc", "127.0.0.1", 8554, "output"), "stream"), (Display(0), "display")],
)
def test_what_is_not_installed_is_said_in_a_line(
    address: Served | Display, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams.check_stream(address)
    monkeypatch.setattr(streams, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=f"^{address} needs the package") as caught:
        streams.check_stream(address)
    assert caught.value.hint == f"pip install 'bgcamd[{extra}]'"


def test_the_command_says_it_before_it_opens_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "find_spec", lambda name: None)
    said = CliRunner().invoke(main, ["process", "--blur", "/dev/video4711", "display://0"])
    assert said.exit_code == 64
    assert "pip install 'bgcamd[display]'" in said.output


@pytest.mark.parametrize("address", [Rtsp("rtsp://a/b"), Rtp("127.0.0.1", 5004), Csi(0), "auto"])
def test_the_rest_needs_nothing_more(address: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "find_spec", lambda name: None)
    streams.check_stream(address)


def test_the_page_for_a_browsers_camera_is_the_same_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "state_folder", lambda: tmp_path)
    page = streams.given_at(Served("webrtc", "127.0.0.1", 8554, "in"))
    assert page == streams.given_at(Served("webrtc", "127.0.0.1", 8554, "in"))
    assert (tmp_path / "secret").read_text().strip() in page
    everywhere = streams.given_at(Served("webrtc", "0.0.0.0", 8554, "in"))
    assert "0.0.0.0" not in everywhere
    assert streams.given_at(Csi(0)) == ""


@pytest.mark.parametrize(
    ("address", "patient"),
    [
        (Served("webrtc", "::1", 1, "x"), True),
        (Rtp("::", 5004, True), True),
        (Rtsp("rtsp://a"), False),
        (Csi(0), False),
    ],
)
def test_who_has_to_wait_for_somebody_to_begin(address: object, patient: bool) -> None:
    assert streams.is_patient(address) is patient
