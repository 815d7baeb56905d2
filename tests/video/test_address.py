from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.errors import UsageError
from bgcamd.video.address import (
    Auto,
    CameraAddress,
    Demo,
    Device,
    File,
    Loopback,
    Named,
    Null,
    OutputAddress,
    Preview,
    parse_camera,
    parse_output,
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
paths = texts.filter(lambda text: not text.startswith("//")).map(Path)
relative = paths.filter(lambda path: not path.is_absolute())
devices = st.one_of(
    st.integers(0, 63).map(lambda n: Device(Path(f"/dev/video{n}"))),
    relative.filter(lambda path: path.parts != ()).map(lambda path: Device(Path("/", path))),
)
files = st.one_of(paths, relative.map(lambda path: Path("/dev", path))).filter(lambda path: str(path) != "/").map(File)
words = st.sampled_from(["auto", "demo", "demo:", "null:x", "v4l2", "file:", "rtsp://x"]).map(
    lambda word: File(Path(word))
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("auto", Auto()),
        ("demo:", Demo()),
        ("demo", Demo()),
        ("DEMO:", Demo()),
        ("/dev/video0", Device(Path("/dev/video0"))),
        ("/dev/v4l/by-id/usb-Cam_A-video-index0", Device(Path("/dev/v4l/by-id/usb-Cam_A-video-index0"))),
        ("v4l2:///dev/video0", Device(Path("/dev/video0"))),
        ("v4l2:/dev/video0", Device(Path("/dev/video0"))),
        ("v4l2:HD Webcam", Named("HD Webcam")),
        ("v4l2:", Named("")),
        ("clip.mp4", File(Path("clip.mp4"))),
        ("frames/%04d.png", File(Path("frames/%04d.png"))),
        ("/tmp/100%25.mp4", File(Path("/tmp/100%25.mp4"))),
        ("file:///tmp/a%20b%25.mp4", File(Path("/tmp/a b%.mp4"))),
        ("file://localhost/tmp/a.mp4", File(Path("/tmp/a.mp4"))),
        ("./demo:", File(Path("demo:"))),
        ("./auto", File(Path("auto"))),
        ("/dev/shm/clip.mp4", File(Path("/dev/shm/clip.mp4"))),
    ],
)
def test_a_camera_address_means(text: str, address: CameraAddress) -> None:
    assert parse_camera(text) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("auto", Auto()),
        ("loopback:", Loopback("Virtual BG Camera")),
        ("loopback:Other Camera: 2", Loopback("Other Camera: 2")),
        ("/dev/video9", Device(Path("/dev/video9"))),
        ("v4l2:///dev/video9", Device(Path("/dev/video9"))),
        ("clip.mp4", File(Path("clip.mp4"))),
        ("preview:", Preview(0)),
        ("preview:8080", Preview(8080)),
        ("preview", Preview(0)),
        ("null:", Null()),
    ],
)
def test_an_output_address_means(text: str, address: OutputAddress) -> None:
    assert parse_output(text) == address


@given(st.one_of(st.sampled_from([Auto(), Demo()]), devices, files, words))
def test_a_camera_address_survives_being_written_down(address: CameraAddress) -> None:
    assert parse_camera(str(address)) == address


@given(
    st.one_of(
        st.sampled_from([Auto(), Null()]),
        devices,
        files,
        words,
        texts.filter(lambda text: len(text.encode()) <= 31).map(Loopback),
        st.integers(0, 65535).map(Preview),
    )
)
def test_an_output_address_survives_being_written_down(address: OutputAddress) -> None:
    assert parse_output(str(address)) == address


@given(st.text())
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    for parse in (parse_camera, parse_output):
        with contextlib.suppress(UsageError):
            assert str(parse(text))


def test_a_name_that_is_not_utf8_can_be_said_in_a_url() -> None:
    address = parse_camera("file:///tmp/%ff.mp4")
    assert address == File(Path("/tmp/\udcff.mp4"))
    assert parse_camera(str(address)) == address


def test_an_unknown_scheme_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"there is no gopher:") as caught:
        parse_camera("gopher://camera/1")
    assert "auto, demo:, v4l2:, file:, rtsp:, rtp:, webrtc:, csi:, or a path" in caught.value.hint


def test_a_scheme_of_outputs_is_unknown_among_cameras() -> None:
    with pytest.raises(UsageError, match="camera 'loopback:'"):
        parse_camera("loopback:")


@pytest.mark.parametrize(("text", "meant"), [("previw:", "preview:"), ("loopbak:X", "loopback:"), ("nul:", "null:")])
def test_a_near_miss_is_told_what_it_likely_meant(text: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_output(text)
    assert caught.value.hint == f"did you mean {meant}; the file of that name is ./{text}"


def test_a_file_with_a_colon_in_its_name_is_told_how_to_be_written() -> None:
    with pytest.raises(UsageError) as caught:
        parse_camera("call:monday.mp4")
    assert "./call:monday.mp4" in caught.value.hint
    assert parse_camera("./call:monday.mp4") == File(Path("call:monday.mp4"))


def test_a_label_has_room_for_31_bytes() -> None:
    assert parse_output("loopback:" + "x" * 31) == Loopback("x" * 31)
    with pytest.raises(UsageError, match="too long"):
        parse_output("loopback:" + "é" * 16)


@pytest.mark.parametrize("text", ["preview:http", "preview:65536", "preview:-1", "preview:٣"])
def test_a_preview_wants_a_port(text: str) -> None:
    with pytest.raises(UsageError, match="not a port"):
        parse_output(text)


@pytest.mark.parametrize("text", ["", "a\0b", "demo:x", "file:", "file://server/a.mp4", "file:a.mp4", "file:///%00"])
def test_what_makes_no_sense_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_camera(text)
