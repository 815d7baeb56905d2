"""bgcam eval: what goes with what, what is printed, and what can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from bgcamd.assets import demo_path
from bgcamd.cli import main


def bgcam(*words: str | Path, code: int = 0, command: str = "eval") -> Result:
    """Run ``bgcam eval``; an error is a line or two, never a traceback."""
    result = CliRunner().invoke(main, [command, *map(str, words)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    if code:
        assert len(result.output.strip().splitlines()) <= 2, result.output
    return result


def judged(*words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bgcam(*words, "--json").stdout)
    return found


def half(columns: int, *, size: tuple[int, int] = (100, 50)) -> Image.Image:
    """The left ``columns`` are person."""
    matte = Image.new("L", size)
    matte.paste(255, (0, 0, columns, size[1]))
    return matte


def folder(path: Path, **mattes: int) -> Path:
    path.mkdir(exist_ok=True)
    for name, columns in mattes.items():
        half(columns).save(path / f"{name}.png")
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return folder(tmp_path / "truth", a=50, b=50)


@pytest.fixture
def mattes(tmp_path: Path) -> Path:
    return folder(tmp_path / "mattes", a=50, b=60)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames in which the demo's portrait moves."""
    path = tmp_path_factory.mktemp("frames")
    with Image.open(demo_path()) as portrait:
        for number, left in enumerate((32, 60, 10)):
            portrait.convert("RGB").crop((left, 0, left + 416, 416)).resize((320, 320)).save(path / f"{number:04d}.png")
    return path


class TestPrints:
    def test_the_means_of_a_set(self, mattes: Path, truth: Path) -> None:
        lines = bgcam(mattes, "--truth", truth).stdout.splitlines()
        assert lines[0] == f"{mattes}, 2 pictures"
        assert lines[2].split() == ["MAD", "MSE", "MADe", "Grad", "Conn", "IoU", "bF", "dtSSD"]
        assert lines[3].split()[:4] == ["mean", "50.00", "50.00", "250.0"]
        assert lines[3].split()[-1] == "–"

    def test_each_picture_if_asked(self, mattes: Path, truth: Path) -> None:
        rows = [line.split() for line in bgcam(mattes, "--truth", truth, "--each").stdout.splitlines()[3:6]]
        assert [row[:2] for row in rows] == [["a", "0.00"], ["b", "100.00"], ["mean", "50.00"]]

    def test_json_of_every_picture_and_the_means(self, mattes: Path, truth: Path) -> None:
        result = judged(mattes, "--truth", truth)
        assert (result["count"], [each["name"] for each in result["pictures"]]) == (2, ["a", "b"])
        assert result["mean"].keys() == {"mad", "mse", "made", "grad", "conn", "iou", "bf", "dtssd"}
        assert result["mean"]["iou"] == pytest.approx((1 + 50 / 60) / 2)
        assert result["mean"]["dtssd"] is None

    def test_that_stills_look_like_a_videos_frames(self, tmp_path: Path) -> None:
        frames = folder(tmp_path / "frames", f0007=50, f0008=50)
        assert f"{frames / 'f%04d.png'}: there is dtSSD" in bgcam(frames, "--truth", frames).stdout


class TestGoTogether:
    def test_files_of_one_name_whatever_the_extension(self, tmp_path: Path, truth: Path) -> None:
        other = folder(tmp_path / "other")
        half(60).save(other / "a.bmp")
        half(50).save(other / "b.webp", lossless=True)
        assert [each["mad"] for each in judged(other, "--truth", truth)["pictures"]] == [100, 0]

    def test_two_single_pictures_of_any_name(self, mattes: Path, truth: Path) -> None:
        assert judged(mattes / "b.png", "--truth", truth / "a.png")["mean"]["mad"] == 100

    def test_the_alpha_of_a_cutout_with_a_grey_matte(self, tmp_path: Path, truth: Path) -> None:
        cutout = Image.new("RGB", (100, 50), (200, 30, 30))
        cutout.putalpha(half(60))
        for name in ("a", "b"):
            cutout.save(folder(tmp_path / "cut") / f"{name}.png")
        assert judged(tmp_path / "cut", "--truth", truth)["mean"]["mad"] == 100

    def test_an_opaque_alpha_leaves_a_grey_matte_as_it_is(self, tmp_path: Path, truth: Path) -> None:
        for name in ("a", "b"):
            half(60).convert("LA").save(folder(tmp_path / "la") / f"{name}.png")
        assert judged(tmp_path / "la", "--truth", truth)["mean"]["mad"] == 100

    def test_numbered_frames_with_a_directory_and_they_are_a_video(self, tmp_path: Path) -> None:
        true = folder(tmp_path / "true", **{"0001": 50, "0002": 50})
        frames = folder(tmp_path / "frames", **{"0001": 50, "0002": 60})
        result = judged(frames / "%04d.png", "--truth", true)
        assert [each["dtssd"] for each in result["pictures"]] == [None, pytest.approx(100 * 0.1**0.5, abs=1e-4)]

    def test_the_frames_of_a_clip_by_order(self, tmp_path: Path) -> None:
        true = folder(tmp_path / "true", **{"0001": 50, "0002": 60, "0003": 70})
        clip(tmp_path / "clip.mkv", 50, 60, 80)
        result = judged(tmp_path / "clip.mkv", "--truth", true)
        assert [round(each["mad"]) for each in result["pictures"]] == [0, 0, 100]
        assert result["pictures"][1]["dtssd"] == pytest.approx(0, abs=0.1)


class TestSheet:
    def test_is_a_picture_to_look_at(self, tmp_path: Path, mattes: Path, truth: Path) -> None:
        bgcam(mattes, "--truth", truth, "--sheet", tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert (sheet.width, sheet.mode) == (1600, "RGB")

    def test_shows_the_pictures_that_are_named(self, tmp_path: Path, mattes: Path, truth: Path) -> None:
        green = folder(tmp_path / "images")
        for name in ("a", "b"):
            Image.new("RGB", (100, 50), (0, 255, 0)).save(green / f"{name}.png")
        bgcam(mattes, "--truth", truth, "--images", green, "--sheet", tmp_path / "sheet.png")
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert (np.asarray(sheet) == (0, 255, 0)).all(axis=-1).any()

    def test_is_not_replaced_unasked(self, tmp_path: Path, mattes: Path, truth: Path) -> None:
        sheet = tmp_path / "sheet.png"
        sheet.write_bytes(b"mine")
        assert "exists" in bgcam(mattes, "--truth", truth, "--sheet", sheet, code=73).output
        assert sheet.read_bytes() == b"mine"
        bgcam(mattes, "--truth", truth, "--sheet", sheet, "--overwrite")
        assert sheet.read_bytes() != b"mine"

    def test_does_not_appear_when_something_is_wrong(self, tmp_path: Path, mattes: Path, truth: Path) -> None:
        half(50, size=(80, 50)).save(mattes / "b.png")
        before = set(tmp_path.iterdir())
        bgcam(mattes, "--truth", truth, "--sheet", tmp_path / "sheet.png", code=66)
        assert set(tmp_path.iterdir()) == before


class TestRefuses:
    def test_a_matte_without_truth(self, mattes: Path, truth: Path) -> None:
        (truth / "b.png").unlink()
        assert f"{mattes / 'b.png'} has no partner in {truth}" in bgcam(mattes, "--truth", truth, code=66).output

    def test_a_truth_without_matte(self, mattes: Path, truth: Path) -> None:
        (mattes / "a.png").unlink()
        assert f"{truth / 'a.png'} has no partner in {mattes}" in bgcam(mattes, "--truth", truth, code=66).output

    def test_a_matte_of_another_size(self, mattes: Path, truth: Path) -> None:
        half(50, size=(80, 50)).save(mattes / "b.png")
        told = bgcam(mattes, "--truth", truth, code=66).output
        assert f"{mattes / 'b.png'} is 80x50, but {truth / 'b.png'} is 100x50" in told

    def test_a_frame_of_another_size(self, tmp_path: Path) -> None:
        frames = folder(tmp_path / "frames", **{"0001": 50, "0002": 50})
        half(50, size=(80, 50)).save(frames / "0002.png")
        told = bgcam(frames / "%04d.png", "--truth", frames, code=66).output
        assert "0002.png is 80x50" in told

    def test_a_picture_of_another_size_than_its_matte(self, tmp_path: Path, mattes: Path, truth: Path) -> None:
        small = folder(tmp_path / "images")
        for name in ("a", "b"):
            Image.new("RGB", (10, 10)).save(small / f"{name}.jpg")
        words = ["--truth", truth, "--images", small, "--sheet", tmp_path / "sheet.png"]
        assert f"{small / 'a.jpg'} is 10x10" in bgcam(mattes, *words, code=66).output

    def test_a_clip_that_is_shorter_than_the_truth(self, tmp_path: Path) -> None:
        true = folder(tmp_path / "true", **{"0001": 50, "0002": 60, "0003": 70})
        clip(tmp_path / "clip.mkv", 50, 60)
        told = bgcam(tmp_path / "clip.mkv", "--truth", true, code=66).output
        assert f"{tmp_path / 'clip.mkv'} ends after 2 pictures, {true} does not" in told

    def test_a_photo_as_a_matte(self, mattes: Path, truth: Path) -> None:
        Image.new("RGB", (100, 50), (20, 60, 200)).save(mattes / "a.png")
        assert f"{mattes / 'a.png'} is a colour picture" in bgcam(mattes, "--truth", truth, code=66).output

    def test_two_files_of_one_name(self, mattes: Path, truth: Path) -> None:
        half(50).save(mattes / "a.bmp")
        assert "have one name" in bgcam(mattes, "--truth", truth, code=66).output

    def test_a_missing_number(self, tmp_path: Path) -> None:
        frames = folder(tmp_path / "frames", **{"0001": 50, "0003": 50})
        assert "0002.png is missing" in bgcam(frames / "%04d.png", "--truth", frames, code=66).output

    def test_a_damaged_picture(self, mattes: Path, truth: Path) -> None:
        (mattes / "b.png").write_bytes(b"no picture")
        assert str(mattes / "b.png") in bgcam(mattes, "--truth", truth, code=66).output

    def test_what_is_not_there(self, tmp_path: Path, truth: Path) -> None:
        assert str(tmp_path / "none") in bgcam(tmp_path / "none", "--truth", truth, code=66).output
        assert str(tmp_path / "none") in bgcam(truth, "--truth", tmp_path / "none", code=66).output

    def test_pictures_without_a_sheet_to_show_them_on(self, mattes: Path, truth: Path) -> None:
        assert "--images" in bgcam(mattes, "--truth", truth, "--images", truth, code=64).output

    def test_an_edge_for_mattes_that_are_made_already(self, mattes: Path, truth: Path) -> None:
        told = bgcam(mattes, "--truth", truth, "--feather=3", code=64).output
        assert told == "Error: --feather is for the mattes of a model\nHint: with --model\n"

    def test_a_sheet_that_is_no_picture(self, tmp_path: Path, mattes: Path, truth: Path) -> None:
        told = bgcam(mattes, "--truth", truth, "--sheet", tmp_path / "sheet.txt", code=73).output
        assert "unknown kind of picture" in told

    def test_an_unknown_model(self, mattes: Path, truth: Path) -> None:
        assert "nosuch" in bgcam(mattes, "--truth", truth, "--model", "nosuch", code=66).output


@pytest.mark.model
class TestModel:
    def test_makes_the_mattes_that_process_makes(self, tmp_path: Path, frames: Path) -> None:
        bgcam("--alpha", frames, f"{tmp_path}/", command="process")
        result = judged(frames, "--truth", tmp_path, "--model", "selfie")
        assert (result["count"], result["mean"]["mad"]) == (3, 0)
        assert ", selfie on cpu" in result["set"]

    def test_sees_numbered_frames_one_after_the_other_as_process_does(self, tmp_path: Path, frames: Path) -> None:
        bgcam("--alpha", "--model", "rvm", frames / "%04d.png", f"{tmp_path}/", command="process")
        assert judged(frames / "%04d.png", "--truth", tmp_path, "--model", "rvm")["mean"]["mad"] == 0
        assert judged(frames, "--truth", tmp_path, "--model", "rvm")["mean"]["mad"] > 0

    def test_draws_the_edge_as_process_does(self, tmp_path: Path, frames: Path) -> None:
        edge = ("--feather=40", "--shift", "-20", "--threshold=60", "--smooth=0")
        bgcam("--alpha", *edge, frames / "%04d.png", f"{tmp_path}/", command="process")
        assert judged(frames / "%04d.png", "--truth", tmp_path, "--model", "selfie", *edge)["mean"]["mad"] == 0
        assert judged(frames / "%04d.png", "--truth", tmp_path, "--model", "selfie")["mean"]["mad"] > 0

    def test_shows_its_pictures_on_the_sheet(self, tmp_path: Path, frames: Path) -> None:
        mattes, sheets = folder(tmp_path / "mattes"), [tmp_path / "model.png", tmp_path / "mattes.png"]
        bgcam("--alpha", frames, f"{mattes}/", command="process")
        bgcam(frames, "--truth", mattes, "--model", "selfie", "--sheet", sheets[0])
        bgcam(mattes, "--truth", mattes, "--images", frames, "--sheet", sheets[1])
        assert sheets[0].read_bytes() == sheets[1].read_bytes()


def clip(path: Path, *columns: int) -> None:
    """Mattes as a lossless clip."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25, width=100, height=50, pix_fmt="gray")
        for each in columns:
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.asarray(half(each)), format="gray")))
        out.mux(video.encode(None))
