"""What a path stands for, and which pairs of input and output go together."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bgcamd.errors import InputError, OutputError
from bgcamd.frame import PixelFormat
from bgcamd.video.files.animation import AnimationReader
from bgcamd.video.files.image_writer import ImageWriter
from bgcamd.video.files.media_reader import MediaReader
from bgcamd.video.files.media_writer import MediaWriter
from bgcamd.video.files.paths import Kind, classify, holds_alpha, open_reader, open_writer, output_kind
from bgcamd.video.files.sequence import SequenceReader, StillsReader
from bgcamd.video.files.sequence_writer import PicturesWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of each: still, moving picture, clip, numbered pictures, directory, and what is none."""
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    for name in ("still.png", "001.png", "002.png"):
        red.save(tmp_path / name)
    (tmp_path / "album").mkdir()
    red.save(tmp_path / "album" / "a.jpg")
    red.save(tmp_path / "album" / "b.png")
    red.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("RGB", (16, 16), (0, 0, 255))])
    red.save(tmp_path / "still.gif")
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=10)
        stream.width = stream.height = 16
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((24, 16), 100, np.uint8), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (tmp_path / "notes.txt").write_text("neither\n" * 50)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "reader"),
    [
        ("still.png", Kind.IMAGE, StillsReader),
        ("still.gif", Kind.IMAGE, StillsReader),
        ("moving.gif", Kind.CLIP, AnimationReader),
        ("clip.mkv", Kind.CLIP, MediaReader),
        ("%03d.png", Kind.SEQUENCE, SequenceReader),
        ("0*.png", Kind.SEQUENCE, SequenceReader),
        ("album", Kind.DIRECTORY, StillsReader),
    ],
)
def test_an_input_is_what_it_holds(folder: Path, name: str, kind: Kind, reader: type) -> None:
    assert classify(folder / name) is kind
    with open_reader(folder / name) as opened:
        assert isinstance(opened, reader)
        frames = list(opened)
    assert len(frames) == opened.count
    assert all(folder in path.parents for path in opened.files)


def test_the_content_decides_not_the_extension(folder: Path) -> None:
    (folder / "clip.mkv").rename(folder / "clip.png")
    (folder / "still.png").rename(folder / "still.mp4")
    assert classify(folder / "clip.png") is Kind.CLIP
    assert classify(folder / "still.mp4") is Kind.IMAGE


def test_a_file_whose_name_looks_like_a_pattern_is_itself(folder: Path) -> None:
    for name in ("100%d.png", "a[1].png"):
        (folder / "still.png").rename(folder / name)
        assert classify(folder / name) is Kind.IMAGE
        (folder / name).rename(folder / "still.png")


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.png", "no such file"), ("notes.txt", "neither a picture nor a video"), ("none/", "no such file")],
)
def test_what_can_not_be_read_is_told(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        classify(folder / name)


def test_a_pipe_is_refused_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.mp4")
    with pytest.raises(InputError, match="not a regular file"):
        classify(folder / "pipe.mp4")


@pytest.mark.parametrize(
    ("name", "kind", "alpha"),
    [
        ("a.png", Kind.IMAGE, True),
        ("A.JPG", Kind.IMAGE, False),
        ("a.mp4", Kind.CLIP, False),
        ("a.webm", Kind.CLIP, True),
        ("f%04d.png", Kind.SEQUENCE, True),
        ("f%04d.jpg", Kind.SEQUENCE, False),
        ("new/", Kind.DIRECTORY, True),
        ("album", Kind.DIRECTORY, True),
    ],
)
def test_an_output_is_what_its_name_says(folder: Path, name: str, kind: Kind, alpha: bool) -> None:
    assert output_kind(f"{folder}/{name}") is kind
    assert holds_alpha(f"{folder}/{name}") is alpha


def test_an_unknown_extension_lists_the_known(folder: Path) -> None:
    with pytest.raises(OutputError, match=r"\.jpg.*\.mp4.*\.png"):
        output_kind(folder / "a.xyz")


@pytest.mark.parametrize(
    ("source", "target", "writer", "made"),
    [
        ("still.png", "out.jpg", ImageWriter, ["out.jpg"]),
        ("still.png", "out/", PicturesWriter, ["out/still.png"]),
        ("album", "out/", PicturesWriter, ["out/a.png", "out/b.png"]),
        ("clip.mkv", "out.mp4", MediaWriter, ["out.mp4"]),
        ("clip.mkv", "out/", PicturesWriter, ["out/0000.png", "out/0001.png", "out/0002.png"]),
        ("moving.gif", "out.mkv", MediaWriter, ["out.mkv"]),
        ("%03d.png", "out.webm", MediaWriter, ["out.webm"]),
        ("%03d.png", "f%d.jpg", PicturesWriter, ["f0.jpg", "f1.jpg"]),
    ],
)
def test_frames_go_from_input_to_output(folder: Path, source: str, target: str, writer: type, made: list[str]) -> None:
    before = {path for path in folder.rglob("*") if path.is_file()}
    with open_reader(folder / source) as reader, open_writer(f"{folder}/{target}", reader) as sink:
        assert isinstance(sink, writer)
        for frame in reader:
            sink.write(frame)
    after = {path for path in folder.rglob("*") if path.is_file()}
    assert sorted(str(path.relative_to(folder)) for path in after - before) == made


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("clip.mkv", "out.png", "is a picture, but .* is a video"),
        ("album", "out.png", "is one picture, but .*album holds 2"),
        ("still.png", "out.mp4", "is a video, but .* is not"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(folder: Path, source: str, target: str, message: str) -> None:
    with open_reader(folder / source) as reader, pytest.raises(OutputError, match=message) as caught:
        open_writer(folder / target, reader)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("still.png", "still.png"),
        ("still.png", "album/../still.png"),
        ("still.png", "link.png"),
        ("still.png", "hard.png"),
        ("clip.mkv", "clip.mkv"),
        ("still.png", "./"),
        ("album", "album"),
        ("%03d.png", "%03d.png"),
    ],
)
def test_the_input_is_never_replaced(folder: Path, source: str, target: str) -> None:
    (folder / "link.png").symlink_to("still.png")
    os.link(folder / "still.png", folder / "hard.png")
    with open_reader(folder / source) as reader, pytest.raises(OutputError, match="is the input itself"):
        open_writer(f"{folder}/{target}", reader, overwrite=True)


def test_an_existing_output_needs_overwrite(folder: Path) -> None:
    (folder / "out.mp4").write_bytes(b"old")
    with open_reader(folder / "clip.mkv") as reader:
        with pytest.raises(OutputError, match="exists") as caught:
            open_writer(folder / "out.mp4", reader)
        assert "--overwrite" in caught.value.hint
        with open_writer(folder / "out.mp4", reader, overwrite=True) as sink:
            for frame in reader:
                sink.write(frame)
    assert classify(folder / "out.mp4") is Kind.CLIP


def test_clips_come_in_the_format_asked_for(folder: Path) -> None:
    for name in ("clip.mkv", "moving.gif"):
        with open_reader(folder / name, format=PixelFormat.RGB24) as reader:
            assert {frame.format for frame in reader} == {PixelFormat.RGB24}
        with open_reader(folder / name) as reader:
            assert {frame.format for frame in reader} == {PixelFormat.I420}
