"""Numbered pictures as a video, directories picture by picture, and the same on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bgcamd.errors import InputError, OutputError, UsageError
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.video.files.images import read_image
from bgcamd.video.files.numbering import NumberedPath, is_numbered, pictures_in
from bgcamd.video.files.sequence import SequenceReader, StillsReader
from bgcamd.video.files.sequence_writer import sequence_writer, stills_writer


def pictures(folder: Path, *names: str, size: tuple[int, int] = (4, 2)) -> None:
    """Write grey pictures; each is as bright as its place in ``names``."""
    for index, name in enumerate(names):
        Image.new("RGB", size, (index,) * 3).save(folder / name)


def grey(value: int, alpha: bool = False, sequence: int = 0) -> Frame:
    plane = np.full((2, 4), value, np.uint8)
    return Frame((plane,), PixelFormat.GREY, Size(4, 2), alpha=plane if alpha else None, sequence=sequence)


def values(frames: Sequence[Frame]) -> list[int]:
    return [int(frame.planes[0][0, 0, 0]) for frame in frames]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_numbered_pictures_are_a_video(tmp_path: Path) -> None:
    pictures(tmp_path, "0007.png", "0008.png", "0009.png")
    with SequenceReader(tmp_path / "%04d.png", rate=Fraction(25)) as reader:
        assert (reader.size, reader.rate, reader.count, reader.damage) == ((4, 2), 25, 3, None)
        assert (reader.color, reader.alpha) == (BT601, False)
        frames = list(reader)
    assert values(frames) == [0, 1, 2]
    assert [frame.captured_ns for frame in frames] == [0, 40_000_000, 80_000_000]
    assert [frame.sequence for frame in frames] == [0, 1, 2]


def test_numbers_without_zeros_come_in_order_of_value(tmp_path: Path) -> None:
    pictures(tmp_path, *[f"f{number}.png" for number in range(1, 13)])
    assert values(list(SequenceReader(tmp_path / "f%d.png"))) == list(range(12))


def test_a_gap_ends_the_sequence_and_is_told(tmp_path: Path) -> None:
    pictures(tmp_path, "0.png", "1.png", "3.png", "4.png")
    reader = SequenceReader(tmp_path / "%d.png")
    assert values(list(reader)) == [0, 1]
    assert reader.damage is not None
    assert "2.png is missing: 2 later pictures" in reader.damage


def test_files_of_another_number_of_digits_are_no_part(tmp_path: Path) -> None:
    pictures(tmp_path, "0001.png", "2.png", "0002.png.png", "x0002.png", "00003.png")
    assert [path.name for path in SequenceReader(tmp_path / "%04d.png").files] == ["0001.png"]


def test_a_glob_is_sorted_by_the_value_of_its_numbers(tmp_path: Path) -> None:
    pictures(tmp_path, "a2.png", "a10.png", "a1.png", "b1.png")
    reader = SequenceReader(tmp_path / "a*.png")
    assert [path.name for path in reader.files] == ["a1.png", "a2.png", "a10.png"]


def test_all_pictures_of_a_video_must_have_one_size(tmp_path: Path) -> None:
    pictures(tmp_path, "0.png", "1.png")
    pictures(tmp_path, "2.png", size=(8, 8))
    with pytest.raises(InputError, match=r"2\.png is 8x8, but 0\.png is 4x2"):
        list(SequenceReader(tmp_path / "%d.png"))


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, "0.png")
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"1\.png: the file is empty"):
        list(SequenceReader(tmp_path / "%d.png"))


@pytest.mark.parametrize("name", ["%d.png", "*.png", "none/%d.png"])
def test_a_pattern_without_files_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        SequenceReader(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "%d-%d.png", "%s.png", "%4.2f.png", "50%.png", "%%d.png"])
def test_other_names_are_no_patterns(name: str) -> None:
    assert not is_numbered(name)
    with pytest.raises(UsageError):
        NumberedPath(Path(name))


@given(
    before=st.text("ab.%-(", max_size=3), digits=st.integers(0, 6), after=st.text("xy%+", max_size=2),
    number=st.integers(0, 10**7),
)  # fmt: skip
def test_every_number_is_found_under_the_name_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, before: str, digits: int, after: str, number: int
) -> None:
    field = f"%0{digits}d" if digits else "%d"
    pattern = tmp_path_factory.mktemp("n") / f"{before.replace('%', '%%')}{field}{after.replace('%', '%%')}.png"
    numbered = NumberedPath(pattern)
    assert numbered[number].name == f"{before}{number:0{digits}d}{after}.png"
    numbered[number].touch()
    assert numbered.numbers() == [number]


def test_a_directory_is_read_picture_by_picture_in_natural_order(tmp_path: Path) -> None:
    pictures(tmp_path, "2.png", "10.jpg", ".hidden.png")
    pictures(tmp_path, "B.png", size=(7, 7))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    reader = StillsReader(pictures_in(tmp_path))
    assert (reader.size, reader.rate, reader.count) == (None, 0, 3)
    assert [path.name for path in reader.files] == ["2.png", "10.jpg", "B.png"]
    assert [(tuple(frame.size), frame.sequence) for frame in reader] == [((4, 2), 0), ((4, 2), 1), ((7, 7), 2)]


def test_a_picture_that_cannot_be_read_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "2.png").write_bytes(b"damaged")
    reader = StillsReader(pictures_in(tmp_path))
    assert [frame.sequence for frame in reader] == [0, 2]
    assert reader.damage is not None
    assert reader.damage.startswith("1 of 3 pictures can't be read; the first: can't read")
    assert "2.png" in reader.damage


def test_where_no_picture_can_be_read_the_first_says_why(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"damaged")
    (tmp_path / "2.png").touch()
    with pytest.raises(InputError, match=r"1\.png"):
        list(StillsReader(pictures_in(tmp_path)))


def test_a_directory_without_pictures_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures found"):
        pictures_in(tmp_path)


def test_frames_are_written_numbered_from_0(tmp_path: Path) -> None:
    with sequence_writer(tmp_path / "out" / "f%03d.png") as sink:
        for value in range(3):
            sink.write(grey(value, sequence=value))
    assert names(tmp_path / "out") == ["f000.png", "f001.png", "f002.png"]
    assert values([read_image(path) for path in sorted((tmp_path / "out").iterdir())]) == [0, 1, 2]


def test_results_of_pictures_keep_their_base_names(tmp_path: Path) -> None:
    with stills_writer(tmp_path / "out", [Path("in/one.jpg"), Path("in/two.webp")], alpha=True) as sink:
        sink.write(grey(1, alpha=True))
        sink.write(grey(2, sequence=1))
    assert names(tmp_path / "out") == ["one.png", "two.png"]
    assert read_image(tmp_path / "out" / "one.png").alpha is not None


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.jpg and a\.webp would both become"):
        stills_writer(tmp_path, [Path("in/a.jpg"), Path("in/a.webp")])


def test_existing_pictures_are_replaced_only_when_asked(tmp_path: Path) -> None:
    pictures(tmp_path, "0000.png", "0001.png", "a.png")
    with pytest.raises(OutputError, match=r"0000\.png and 1 more exist"):
        sequence_writer(tmp_path / "%04d.png")
    with pytest.raises(OutputError, match=r"a\.png exist"):
        stills_writer(tmp_path, [Path("in/a.jpg")])
    with stills_writer(tmp_path, [Path("in/a.jpg")], overwrite=True) as sink:
        sink.write(grey(99))
    assert values([read_image(tmp_path / "a.png")]) == [99]


def test_a_directory_is_made_but_not_its_parents(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no directory"):
        sequence_writer(tmp_path / "none" / "out" / "%04d.png")
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(OutputError, match="there is no directory"):
        sequence_writer(tmp_path / "out" / "%04d.png")


def test_breaking_off_keeps_what_is_complete_and_no_empty_directory(tmp_path: Path) -> None:
    def broken(count: int) -> None:
        with sequence_writer(tmp_path / "out" / "%d.png") as sink:
            for value in range(count):
                sink.write(grey(value, sequence=value))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken(0)
    assert names(tmp_path) == []
    with pytest.raises(KeyboardInterrupt):
        broken(2)
    assert names(tmp_path / "out") == ["0.png", "1.png"]


def test_alpha_is_refused_before_any_work_where_it_would_be_lost(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be transparent"):
        sequence_writer(tmp_path / "%04d.jpg", alpha=True)
