"""Clips, in: every frame, upright, in the colour that is told, and honest about damage."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bgcamd.errors import InputError
from bgcamd.frame import BT601, BT709, Color, Frame, PixelFormat, Size
from bgcamd.video.files.animation import AnimationReader
from bgcamd.video.files.media_reader import MediaReader

SMALL = Size(32, 24)


def clip(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    codec: str = "ffv1",
    pixels: str = "yuv420p",
    rate: int = 10,
    times: Sequence[int] | None = None,
    tags: dict[str, Any] | None = None,
    rotation: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write RGB or RGBA pictures as a clip; times: in ms."""
    height, width, channels = pictures[0].shape
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if channels == 3 else "rgba")
            frame = frame.reformat(
                format=pixels, src_colorspace=5, dst_colorspace=5, src_color_range=2, dst_color_range=1
            )
            frame.pts = times[index] if times else index * 1000 // rate
            frame.time_base = Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def plain(count: int = 3, size: Size = SMALL, colour: tuple[int, ...] = (200, 60, 30)) -> list[np.ndarray]:
    return [np.full((size.height, size.width, len(colour)), colour, np.uint8) for _ in range(count)]


def frames(path: Path, **options: Any) -> list[Frame]:
    with MediaReader(path, **options) as reader:
        return list(reader)


def test_every_frame_comes_in_order_with_its_time(tmp_path: Path) -> None:
    pictures = [np.full((24, 32, 3), value, np.uint8) for value in range(0, 250, 25)]
    path = clip(tmp_path / "a.mp4", pictures, codec="libx264", options={"bf": "3", "qp": "0"})
    with MediaReader(path) as reader:
        assert (reader.size, reader.rate, reader.count) == ((32, 24), 10, 10)
        assert reader.duration == pytest.approx(1.0)
        read = list(reader)
    assert [frame.captured_ns for frame in read] == [index * 100_000_000 for index in range(10)]
    assert [frame.sequence for frame in read] == list(range(10))
    luma = [int(frame.planes[0][5, 5]) for frame in read]
    assert luma == sorted(set(luma))
    assert reader.damage is None


def test_a_variable_rate_is_kept(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", plain(4), times=[500, 540, 900, 1000])
    assert [frame.captured_ns for frame in frames(path)] == [0, 40_000_000, 400_000_000, 500_000_000]


def test_frames_already_as_wanted_are_views_of_the_decoder(tmp_path: Path) -> None:
    [first, *_] = frames(clip(tmp_path / "a.mkv", plain()))
    assert all(not plane.flags.owndata for plane in first.planes)
    assert [plane.shape for plane in first.planes] == [(24, 32), (12, 16), (12, 16)]


def test_frames_stay_valid_after_the_next(tmp_path: Path) -> None:
    read = frames(clip(tmp_path / "a.mkv", [*plain(1, colour=(0, 0, 0)), *plain(5, colour=(255, 255, 255))]))
    assert int(read[0].planes[0].max()) == 16


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "bgr0"])
def test_every_pixel_format_gives_the_same_picture(tmp_path: Path, pixels: str) -> None:
    path = clip(tmp_path / "a.mkv", plain(), pixels=pixels)
    for frame in frames(path, format=PixelFormat.RGB24):
        assert np.abs(frame.planes[0].astype(int) - [200, 60, 30]).max() <= 4
    for frame in frames(path):  # Y, Cb, Cr of that colour by ITU-R BT.601
        assert [int(plane[3, 3]) for plane in frame.planes] == pytest.approx([101, 94, 192], abs=2)


def test_full_range_becomes_limited(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", plain(colour=(255, 255, 255)), codec="mjpeg", pixels="yuvj420p")
    [first, *_] = frames(path)
    assert first.color == BT601
    assert int(first.planes[0][5, 5]) == 235


@pytest.mark.parametrize(("lines", "expected"), [(480, BT601), (720, BT709)])
def test_an_untagged_clip_counts_as_players_count_it(tmp_path: Path, lines: int, expected: Color) -> None:
    with MediaReader(clip(tmp_path / "a.mkv", plain(1, Size(16, lines)))) as reader:
        assert reader.color == expected


def test_a_tagged_matrix_is_the_clips_colour(tmp_path: Path) -> None:
    with MediaReader(clip(tmp_path / "a.mkv", plain(1), tags={"colorspace": 1})) as reader:
        assert reader.color == BT709


def test_another_matrix_is_converted_to_when_asked(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", plain(colour=(255, 0, 0)), tags={"colorspace": 6})
    [first, *_] = frames(path, color=BT709)
    assert first.color == BT709
    # Red in BT.709: Y = 16 + 219 * 0.2126, Cb = 128 - 224 * 0.2126 / 1.8556, Cr = 128 + 112.
    assert [int(plane[3, 3]) for plane in first.planes] == pytest.approx([63, 102, 240], abs=2)


def test_odd_sizes_lose_their_last_column_and_row_in_i420_only(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", plain(1, Size(33, 25)))
    with MediaReader(path) as reader:
        [frame] = list(reader)
    assert reader.size == frame.size == (32, 24)
    assert [plane.shape for plane in frame.planes] == [(24, 32), (12, 16), (12, 16)]
    [frame] = frames(path, format=PixelFormat.RGB24)
    assert frame.planes[0].shape == (25, 33, 3)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_lying_clip_is_set_upright(tmp_path: Path, rotation: int) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24] = 255  # white in the upper left quarter
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))  # players turn it back, counterclockwise
    path = clip(tmp_path / "a.mp4", [stored] * 2, codec="libx264", options={"qp": "0"}, rotation=rotation)
    with MediaReader(path) as reader:
        assert reader.size == (48, 32)
        [first, *_] = list(reader)
    quarters = [first.planes[0][rows, columns] for rows in (8, 24) for columns in (12, 36)]
    assert [int(luma) for luma in quarters] == [235, 16, 16, 16]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.mov", "png", "rgba"),
        ("a.apng", "apng", "rgba"),
    ],
)
def test_alpha_is_found_in_every_codec_that_has_it(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    picture = np.full((64, 64, 4), (200, 60, 30, 255), np.uint8)
    picture[:, :32, 3] = 0
    options = {"auto-alt-ref": "0"} if "vpx" in codec else {}
    path = clip(tmp_path / name, [picture] * 3, codec=codec, pixels=pixels, options=options)
    for wanted in (PixelFormat.I420, PixelFormat.RGB24):
        with MediaReader(path, format=wanted) as reader:
            assert reader.alpha
            [first, *_] = list(reader)
        assert first.alpha is not None
        assert first.alpha.shape == (64, 64)
        assert int(first.alpha[:, :28].max()) <= 2
        assert int(first.alpha[:, 36:].min()) >= 253
        assert first.planes[0].shape == ((64, 64) if wanted is PixelFormat.I420 else (64, 64, 3))


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_a_moving_picture_has_its_times_and_its_transparency(tmp_path: Path, kind: str) -> None:
    pictures = [Image.new("RGBA", (20, 10), (90 * index, 0, 0, 255 if index else 0)) for index in range(3)]
    pictures[0].save(
        tmp_path / f"a.{kind}", save_all=True, append_images=pictures[1:], duration=[100, 250, 5], disposal=2
    )
    with AnimationReader(tmp_path / f"a.{kind}", format=PixelFormat.RGB24) as reader:
        assert (reader.size, reader.count, reader.rate, reader.alpha) == ((20, 10), 3, 10, True)
        read = list(reader)
    assert [frame.captured_ns for frame in read] == [0, 100_000_000, 350_000_000]
    assert read[0].alpha is not None
    assert int(read[0].alpha.max()) == 0
    assert [int(frame.planes[0][5, 5, 0]) for frame in read[1:]] == pytest.approx([90, 180], abs=4)


def test_a_moving_picture_can_be_i420(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (21, 11), (255 * index, 0, 0)) for index in range(2)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], lossless=True)
    with AnimationReader(tmp_path / "a.webp") as reader:
        assert reader.size == (20, 10)
        *_, last = list(reader)
    assert [int(plane[2, 2]) for plane in last.planes] == pytest.approx([81, 90, 240], abs=2)


def test_libavs_gif_has_transparency_too(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (20, 10), (90 * index, 0, 0, 255 if index else 0)) for index in range(3)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100, disposal=2)
    alphas = [frame.alpha for frame in frames(tmp_path / "a.gif")]
    assert [None if alpha is None else int(alpha[5, 5]) for alpha in alphas] == [0, 255, 255]


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48000
        output.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(InputError, match="has no video stream"):
        MediaReader(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.mp4", b"", "empty"),
        ("a.mp4", b"hello " * 100, "neither a picture nor a video"),
        ("a.txt", b"hello\n" * 100, "neither a picture nor a video"),
        ("a.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(200), "neither a picture nor a video"),
    ],
)
def test_what_is_no_video_is_told_in_one_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        MediaReader(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        MediaReader(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="is a directory"):
        MediaReader(tmp_path)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/a.ts", "secret.ts"])
def test_a_playlist_reaches_no_other_place(tmp_path: Path, place: str) -> None:
    clip(tmp_path / "secret.ts", plain(), codec="libx264")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{place}\n#EXT-X-ENDLIST\n"
    (tmp_path / "a.m3u8").write_text(playlist)
    with pytest.raises(InputError, match="neither a picture nor a video"):
        MediaReader(tmp_path / "a.m3u8")


def test_a_name_with_a_colon_is_a_file(tmp_path: Path) -> None:
    clip(tmp_path / "a.mkv", plain()).rename(tmp_path / "rec: 12:30.mkv")
    assert len(frames(tmp_path / "rec: 12:30.mkv")) == 3


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seconds that do not compress well, so that half the file is about half the frames."""
    folder = tmp_path_factory.mktemp("noisy")
    noise = list(np.random.default_rng(7).integers(0, 256, (30, 48, 64, 3), np.uint8))
    faststart = clip(folder / "plain.mp4", noise, codec="libx264")
    with (
        av.open(str(faststart)) as source,
        av.open(str(folder / "a.mp4"), "w", options={"movflags": "+faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return {
        "mkv": clip(folder / "a.mkv", noise, codec="libx264"),
        "mp4": folder / "a.mp4",
        "avi": clip(folder / "a.avi", noise, codec="mjpeg", pixels="yuvj420p"),
    }


@pytest.mark.parametrize("kind", ["mkv", "mp4", "avi"])
def test_a_clip_cut_off_gives_what_is_there_and_says_so(tmp_path: Path, noisy: dict[str, Path], kind: str) -> None:
    data = noisy[kind].read_bytes()
    (tmp_path / f"cut.{kind}").write_bytes(data[: len(data) // 2])
    with MediaReader(tmp_path / f"cut.{kind}") as reader:
        read = list(reader)
    assert 5 <= len(read) < 30
    assert reader.damage is not None
    assert f"cut.{kind}" in reader.damage


@pytest.mark.parametrize("kind", ["mkv", "mp4", "avi"])
def test_a_whole_clip_is_not_called_damaged(noisy: dict[str, Path], kind: str) -> None:
    with MediaReader(noisy[kind]) as reader:
        assert len(list(reader)) == 30
    assert reader.damage is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["mkv", "mp4", "avi"]), data=st.data())
def test_a_damaged_clip_is_read_or_refused_never_more(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], noisy: dict[str, Path], kind: str, data: st.DataObject
) -> None:
    damaged = bytearray(noisy[kind].read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=20)):
        damaged[place] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(damaged)
    try:
        with MediaReader(tmp_path / "a") as reader:
            for frame in reader:
                assert frame.planes[0].shape == (reader.size.height, reader.size.width)
    except InputError:
        pass
    assert capfd.readouterr().err == ""


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", plain(200, Size(320, 240)))
    with MediaReader(path) as reader:
        peaks = []
        tracemalloc.start()
        for index, _ in enumerate(reader):
            if index in {50, 199}:
                peaks.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 50_000


def test_real_clips_are_read_whole(data: Path) -> None:
    with MediaReader(data / "clips" / "lp_s18_woman_room_1280x720.mp4") as reader:
        assert (reader.size, reader.rate, reader.count, reader.color) == ((1280, 720), 30, 282, BT709)
        assert reader.sound is not None
        assert sum(1 for _ in reader) == 282
    assert reader.damage is None
