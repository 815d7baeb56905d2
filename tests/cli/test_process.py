"""bgcam process on a real person: pictures, clips, sequences, directories, and what can be wrong with them."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from bgcamd.assets import demo_path
from bgcamd.cli import main

BLUE = (20, 60, 200)


def bgcam(*words: str | Path, code: int = 0) -> Result:
    """Run ``bgcam process``; an error is a line or two, never a traceback."""
    result = CliRunner().invoke(main, ["process", *map(str, words)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if code:
        assert len(result.output.strip().splitlines()) <= 2, result.output
    return result


@pytest.fixture(scope="module")
def person() -> Image.Image:
    """The demo's portrait, 320x320: the face is in its middle, the upper left corner is a flag."""
    with Image.open(demo_path()) as portrait:
        return portrait.convert("RGB").crop((32, 0, 448, 416)).resize((320, 320))


@pytest.fixture
def photo(tmp_path: Path, person: Image.Image) -> Path:
    person.save(tmp_path / "photo.jpg", quality=95)
    return tmp_path / "photo.jpg"


@pytest.fixture
def clip(tmp_path: Path, person: Image.Image) -> Path:
    """A second of the portrait, 15 frames, with a tone."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=15, width=320, height=320, pix_fmt="yuv420p")
        sound = out.add_stream("aac", rate=44100, layout="mono")
        for _ in range(15):
            out.mux(video.encode(av.VideoFrame.from_image(person)))
        tone = (np.sin(np.arange(44100) * 0.06) * 8000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.sample_rate = 44100
        out.mux(sound.encode(frame))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return path


@pytest.fixture
def backdrop(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 36), BLUE).save(tmp_path / "blue.png")
    return tmp_path / "blue.png"


def pixels(path: Path, mode: str = "RGB") -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode)).astype(int)


def mode_of(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


def is_before_blue(picture: np.ndarray, slack: int = 10) -> bool:
    """Whether the corner is blue and the face is not."""
    corner, face = picture[:40, :40], picture[75:125, 125:170]
    return bool(np.abs(corner - BLUE).max() <= slack and np.abs(face - BLUE).max(axis=-1).min() > 60)


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def test_a_picture_gets_another_background(tmp_path: Path, photo: Path, backdrop: Path) -> None:
    bgcam("--replace", backdrop, photo, tmp_path / "out.png")
    out = pixels(tmp_path / "out.png")
    assert is_before_blue(out)
    assert (out[75:125, 125:170] == pixels(photo)[75:125, 125:170]).all()


def test_without_a_background_the_result_is_transparent_with_straight_colour(tmp_path: Path, photo: Path) -> None:
    bgcam(photo, tmp_path / "out.png")
    out = pixels(tmp_path / "out.png", "RGBA")
    assert (out[:40, :40, 3] == 0).all()
    assert (out[75:125, 125:170, 3] == 255).all()
    assert (out[..., :3] == pixels(photo))[out[..., 3] == 255].all()
    assert (out[:40, :40, :3] == 0).all()  # the room is not there, not even unseen


def test_the_matte_alone_is_8_bit_grey(tmp_path: Path, photo: Path) -> None:
    bgcam("--alpha", photo, tmp_path / "out.png")
    assert mode_of(tmp_path / "out.png") == "L"
    bgcam(photo, tmp_path / "cut.png")
    assert (pixels(tmp_path / "out.png", "L") == pixels(tmp_path / "cut.png", "RGBA")[..., 3]).all()


@pytest.mark.parametrize("turned", [3, 6, 8])
def test_a_photo_that_the_camera_held_askew_comes_out_upright(tmp_path: Path, person: Image.Image, turned: int) -> None:
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = turned
    person.transpose(turns[turned]).save(tmp_path / "askew.jpg", exif=exif, quality=95)
    bgcam("--color", "#143cc8", tmp_path / "askew.jpg", tmp_path / "out.png")
    assert is_before_blue(pixels(tmp_path / "out.png"))


def test_mirror_flips_the_person_and_not_the_background(tmp_path: Path, photo: Path) -> None:
    Image.fromarray(np.repeat(np.uint8([[BLUE], [(250, 250, 0)]]), 9, axis=0).transpose(1, 0, 2)).save(
        tmp_path / "sides.png"
    )
    bgcam("--replace", tmp_path / "sides.png", "--mirror", photo, tmp_path / "out.png")
    bgcam("--mirror", "--alpha", photo, tmp_path / "mirrored.png")
    bgcam("--alpha", photo, tmp_path / "plain.png")
    assert np.abs(pixels(tmp_path / "out.png")[:40, :40] - BLUE).max() <= 10
    difference = np.abs(pixels(tmp_path / "mirrored.png", "L")[:, ::-1] - pixels(tmp_path / "plain.png", "L"))
    assert difference.mean() < 6


def test_the_edge_is_drawn_as_asked(tmp_path: Path, photo: Path) -> None:
    def matte(*edge: str) -> np.ndarray:
        bgcam("--alpha", *edge, "--overwrite", photo, tmp_path / "out.png")
        return pixels(tmp_path / "out.png", "L")

    plain = matte()
    assert (matte("--shift=100") > 127).sum() > (plain > 127).sum() > (matte("--shift", "-100") > 127).sum()
    assert (matte("--threshold=10") > 127).sum() > (matte("--threshold=90") > 127).sum()
    soft = matte("--feather=100")
    assert ((soft > 9) & (soft < 246)).sum() > 2 * ((plain > 9) & (plain < 246)).sum()


def test_a_clip_keeps_its_frames_its_times_and_its_sound(tmp_path: Path, clip: Path, backdrop: Path) -> None:
    bgcam("--replace", backdrop, clip, tmp_path / "out.mp4")
    seen = frames(tmp_path / "out.mp4")
    assert len(seen) == 15
    assert all(is_before_blue(frame, slack=16) for frame in seen)
    with av.open(str(tmp_path / "out.mp4")) as out, av.open(str(clip)) as source:
        assert [stream.codec_context.name for stream in out.streams] == ["h264", "aac"]
        assert float(out.streams.video[0].average_rate or 0) == pytest.approx(15, abs=0.1)
        assert out.duration == pytest.approx(source.duration, abs=100_000)


@pytest.mark.parametrize("name", ["out.webm", "out.mov", "out.mkv"])
def test_a_transparent_clip_goes_into_a_container_that_holds_alpha(tmp_path: Path, clip: Path, name: str) -> None:
    bgcam(clip, tmp_path / name)
    bgcam(tmp_path / name, f"{tmp_path}/frames/")
    shown = pixels(tmp_path / "frames" / "0003.png", "RGBA")
    assert shown[:40, :40, 3].max() < 20
    assert shown[75:125, 125:170, 3].min() > 235


def test_a_sequence_is_a_video_in_and_out(tmp_path: Path, person: Image.Image) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        person.save(tmp_path / "in" / f"{number + 7:04d}.png")
    bgcam("--color", "#143cc8", tmp_path / "in" / "%04d.png", tmp_path / "out.mp4")
    assert len(frames(tmp_path / "out.mp4")) == 3
    bgcam("--color", "#143cc8", tmp_path / "in" / "%04d.png", f"{tmp_path}/out/")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0000.png", "0001.png", "0002.png"]
    assert is_before_blue(pixels(tmp_path / "out" / "0002.png"))


def test_several_outputs_get_the_same_frames_each_of_them_all(tmp_path: Path, clip: Path, backdrop: Path) -> None:
    bgcam("--replace", backdrop, clip, tmp_path / "out.mp4", f"{tmp_path}/frames/", tmp_path / "n_%02d.jpg", "null:")
    assert len(frames(tmp_path / "out.mp4")) == 15
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == [f"{n:04d}.png" for n in range(15)]
    assert len(list(tmp_path.glob("n_*.jpg"))) == 15
    assert is_before_blue(pixels(tmp_path / "frames" / "0007.png"), slack=16)


def test_a_sequence_a_directory_and_a_clip_keep_their_number_and_their_order(tmp_path: Path) -> None:
    shades = [20 * number + 10 for number in range(11)]  # 10 after 9, not after 1
    (tmp_path / "in").mkdir()
    for number, shade in enumerate(shades):
        Image.new("RGB", (64, 48), (shade,) * 3).save(tmp_path / "in" / f"p{number}.png")

    def seen(pattern: str) -> list[int]:
        return [int(pixels(tmp_path / (pattern % number))[24, 32, 0]) for number in range(len(shades))]

    bgcam("--keep", tmp_path / "in" / "p%d.png", tmp_path / "out.mp4", tmp_path / "s_%i.png", f"{tmp_path}/frames/")
    bgcam("--keep", tmp_path / "out.mp4", tmp_path / "again_%02d.png")
    bgcam("--keep", tmp_path / "in", f"{tmp_path}/stills/")
    for pattern in ("s_%i.png", "frames/%04d.png", "again_%02d.png", "stills/p%d.png"):
        assert np.abs(np.array(seen(pattern)) - shades).max() <= 3, pattern
    assert len(frames(tmp_path / "out.mp4")) == len(list(tmp_path.glob("again_*"))) == len(shades)
    assert len(list((tmp_path / "stills").iterdir())) == len(list((tmp_path / "frames").iterdir())) == len(shades)


def test_one_output_that_can_not_be_written_leaves_none_of_the_others(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "there.mp4").write_text("precious")
    bgcam("--blur", clip, tmp_path / "out.mp4", f"{tmp_path}/frames/", tmp_path / "there.mp4", code=73)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "there.mp4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_input_ends_by_a_signal_with_all_that_was_written(tmp_path: Path, number: signal.Signals) -> None:
    words = ["process", "--color=lime", "demo:", str(tmp_path / "out.mp4"), f"{tmp_path}/frames/"]
    with subprocess.Popen([sys.executable, "-c", "from bgcamd.cli import main; main()", *words]) as work:
        while len(list(tmp_path.glob("frames/*")) or list(tmp_path.glob(".frames*/*"))) < 10:
            assert work.poll() is None
            time.sleep(0.05)
        work.send_signal(number)
        assert work.wait(20) == 0
    seen = frames(tmp_path / "out.mp4")
    assert len(seen) == len(list((tmp_path / "frames").iterdir())) >= 10
    assert np.abs(seen[5][:20, :20] - (0, 255, 0)).max() <= 16


def test_a_directorys_pictures_of_any_size_keep_their_names(tmp_path: Path, person: Image.Image) -> None:
    (tmp_path / "in").mkdir()
    person.save(tmp_path / "in" / "large.jpg", quality=95)
    person.resize((201, 133)).save(tmp_path / "in" / "small.webp")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    said = bgcam("--color", "#143cc8", tmp_path / "in", f"{tmp_path}/out/", code=66)
    assert "1 of 3 pictures can't be read" in said.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["large.png", "small.png"]
    assert pixels(tmp_path / "out" / "small.png").shape == (133, 201, 3)


def test_a_clip_as_background_moves(tmp_path: Path, clip: Path) -> None:
    with av.open(str(tmp_path / "moving.mp4"), "w") as out:
        video = out.add_stream("libx264", rate=15, width=320, height=320, pix_fmt="yuv420p")
        for shade in range(0, 240, 40):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.full((320, 320, 3), shade, np.uint8), format="rgb24")))
        out.mux(video.encode(None))
    bgcam("--replace", tmp_path / "moving.mp4", clip, tmp_path / "out.mp4")
    corners = [int(frame[:40, :40].mean()) for frame in frames(tmp_path / "out.mp4")]
    wanted = [40 * (n % 6) for n in range(15)]
    assert np.abs(np.array(corners) - wanted).max() <= 6


def test_an_output_that_exists_is_replaced_only_when_asked(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "out.png").write_text("precious")
    assert "--overwrite" in bgcam(photo, tmp_path / "out.png", code=73).output
    assert (tmp_path / "out.png").read_text() == "precious"
    bgcam("--overwrite", photo, tmp_path / "out.png")
    assert mode_of(tmp_path / "out.png") == "RGBA"


def huge_png(path: Path) -> None:
    """A PNG whose header declares 50,000 x 50,000 pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data + b"\0\0\0\0IDAT\x35\xaf\x06\x1e")


def make_bad(folder: Path, kind: str) -> Path:
    path = folder / f"bad.{'mp4' if kind in ('truncated', 'silent film') else 'png'}"
    if kind == "huge":
        huge_png(path)
    elif kind == "truncated":
        path.write_bytes((folder / "clip.mp4").read_bytes()[:2000])
    elif kind == "silent film":
        with av.open(str(path), "w") as out:
            sound = out.add_stream("aac", rate=44100, layout="mono")
            out.mux(sound.encode(None))
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"hello, I am not a picture")
    return path


@pytest.mark.parametrize("kind", ["not a picture", "empty", "missing", "huge", "truncated", "silent film"])
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, clip: Path, kind: str) -> None:
    bad = make_bad(tmp_path, kind)
    (tmp_path / "out").mkdir()
    said = bgcam("--blur", bad, tmp_path / "out" / "x.mp4", code=66)
    assert bad.name in said.output
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["not a picture", "empty", "huge"])
def test_a_bad_background_is_one_line_and_leaves_nothing(tmp_path: Path, photo: Path, kind: str) -> None:
    bad = make_bad(tmp_path, kind)
    assert bad.name in bgcam("--replace", bad, photo, tmp_path / "out.png", code=66).output
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--blur", "photo.jpg", "photo.jpg"], 73, "the input itself"),
        (["photo.jpg", "none/out.png"], 73, "no directory"),
        (["photo.jpg", "out.jpg"], 73, "can't be transparent"),
        (["clip.mp4", "out.mp4"], 73, "can't be transparent"),
        (["photo.jpg", "out.xyz"], 73, "unknown kind"),
        (["--blur", "clip.mp4", "out.png"], 73, "is a video"),
        (["--model", "selfy", "photo.jpg", "out.png"], 66, "did you mean selfie"),
        (["--blur", "--keep", "photo.jpg", "out.png"], 64, "at once"),
        (["--replace", "none.jpg", "photo.jpg", "out.png"], 64, "none.jpg"),
    ],
)
def test_what_makes_no_sense_is_said_before_any_work(
    clip: Path, photo: Path, words: list[str], code: int, said: str
) -> None:
    before = sorted(photo.parent.iterdir())
    with contextlib.chdir(photo.parent):
        assert said in bgcam(*words, code=code).output
    assert sorted(photo.parent.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written_is_said(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    assert "permission" in bgcam(photo, tmp_path / "out" / "x.png", code=73).output
    photo.chmod(0)
    assert "permission" in bgcam(photo, tmp_path / "x.png", code=66).output


def test_numbered_pictures_of_an_odd_size_become_a_video_of_an_even_one(tmp_path: Path, backdrop: Path) -> None:
    for number in range(3):
        Image.new("RGB", (65, 49), (90, 90, 90)).save(tmp_path / f"{number:02d}.png")
    bgcam(f"--replace={backdrop}", tmp_path / "%02d.png", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert (made.streams.video[0].width, made.streams.video[0].height) == (64, 48)


def test_arguments_in_the_wrong_order_are_told_of_the_input_that_is_not_there(tmp_path: Path, photo: Path) -> None:
    assert "cutout.png: no such file" in bgcam(tmp_path / "cutout.png", photo, code=66).output
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_what_is_neither_picture_nor_clip_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "neither a picture nor a video" in bgcam(tmp_path / "notes.txt", tmp_path / "o.png", code=66).output


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory, person: Image.Image) -> Path:
    """A minute and more: seconds of work."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25, width=320, height=320, pix_fmt="yuv420p")
        for _ in range(2000):
            out.mux(video.encode(av.VideoFrame.from_image(person)))
        out.mux(video.encode(None))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_leaves_nothing_half_written(
    tmp_path: Path, long_clip: Path, number: signal.Signals
) -> None:
    words = ["process", "--blur", str(long_clip), str(tmp_path / "out.mp4")]
    with subprocess.Popen([sys.executable, "-c", "from bgcamd.cli import main; main()", *words]) as work:
        while not list(tmp_path.iterdir()):
            assert work.poll() is None
            time.sleep(0.01)
        work.send_signal(number)
        assert work.wait(20) == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_an_output_is_asked_where_to_go(photo: Path) -> None:
    assert "to where?" in bgcam("--blur", photo, code=64).output
