"""Small pictures of real files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bgcamd.decoding import work
from bgcamd.decoding.memory import SMALL
from bgcamd.errors import InputError
from bgcamd.frame import Plane
from bgcamd.scene import Clip, Picture
from bgcamd.service import thumbnails
from bgcamd.service.thumbnails import Thumbnails


def rgb(jpeg: bytes) -> Plane:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (SMALL.height, SMALL.width, 3)
    return decoded[..., ::-1]


@pytest.mark.parametrize("size", [(1600, 900), (300, 1200), (4000, 30), (1, 1)])
@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_any_shape_is_filled_from_its_middle(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, 40, 60)).save(tmp_path / name, quality=95)
    assert np.abs(rgb(Thumbnails(work.small).of(Picture(tmp_path / name))) - (200.0, 40, 60)).max() < 6


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    Image.new("RGBA", (320, 180), (255, 255, 255, 0)).save(tmp_path / "x.png")
    assert rgb(Thumbnails(work.small).of(Picture(tmp_path / "x.png"))).max() < 6


def test_of_a_clip_it_is_the_first_frame(tmp_path: Path) -> None:
    first, *rest = (Image.new("RGB", (64, 36), colour) for colour in ((0, 0, 255), (255, 0, 0)))
    first.save(tmp_path / "x.gif", save_all=True, append_images=rest, duration=100)
    assert np.abs(rgb(Thumbnails(work.small).of(Clip(tmp_path / "x.gif"))) - (0.0, 0, 255)).max() < 8


def test_one_is_made_once_and_anew_when_the_file_is_another(tmp_path: Path) -> None:
    made: list[Path] = []
    some, file = Thumbnails(lambda path: (made.append(path), work.small(path))[1]), tmp_path / "x.png"
    for colour in ("red", "blue"):
        Image.new("RGB", (320, 180 if colour == "red" else 90), colour).save(file)
        assert some.of(Picture(file)) == some.of(Picture(file))
    assert made == [file, file]


def test_only_so_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_KEPT", 2)
    some = Thumbnails(work.small)
    for number in range(4):
        Image.new("RGB", (32, 18)).save(tmp_path / f"{number}.png")
        some.of(Picture(tmp_path / f"{number}.png"))
    assert len(some._made) == 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_can_not_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(InputError):
        Thumbnails(work.small).of(Picture(tmp_path / "x.png"))
    with pytest.raises(InputError, match="can't read"):
        Thumbnails(work.small).of(Picture(tmp_path / "none.png"))
