"""Manifests: the shipped ones, the user's own, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgcamd.errors import ModelError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Input, Manifest, all_manifests, find_manifest
from bgcamd.paths import shipped

OWN = """
    name = "mine"
    title = "My network"
    licence = "none of your business"
    file = "mine.onnx"
    [input]
    name = "x"
    size = [64, 48]
    order = "bgr"
    mean = [1, 2, 3]
    [output]
    alpha = "y"
"""


def own(folder: Path, text: str = OWN) -> Manifest:
    path = folder / "mine.toml"
    path.write_text(text)
    return find_manifest(str(path))


class TestShipped:
    def test_models_are_those_that_the_manual_names(self) -> None:
        assert [each.name for each in all_manifests()] == ["rvm", "selfie", "selfie-landscape", "u2net", "u2netp"]

    @pytest.mark.parametrize("path", sorted(shipped("models").glob("*.toml")), ids=lambda path: path.stem)
    def test_one_is_named_as_its_file_and_fetched_by_hash(self, path: Path) -> None:
        manifest = find_manifest(path.stem)
        assert manifest.name == path.stem
        assert manifest.asset is not None

    def test_rvm_says_its_licence_when_fetched(self) -> None:
        assert "GPL" in find_manifest("rvm").licence
        assert "GNU GPL" in find_manifest("rvm").notice


class TestOwn:
    def test_one_is_read_by_its_path(self, tmp_path: Path) -> None:
        manifest = own(tmp_path)
        assert (manifest.name, manifest.input.order, manifest.input.mean) == ("mine", "bgr", (1.0, 2.0, 3.0))

    def test_file_lies_beside_the_manifest(self, tmp_path: Path) -> None:
        assert own(tmp_path).path() == tmp_path / "mine.onnx"

    def test_one_in_the_working_folder_needs_no_slash(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        own(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert find_manifest("mine.toml").path() == Path("mine.onnx")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"mine.onnx"', '"mine.onnx"\nconvert = { source = "tflite" }', "convert needs an asset"),
            ('file = "mine.onnx"', "", "asset or file must be given"),
            ('"mine"', '"My Network"', "name must be of a-z"),
            ("size = [64, 48]", "", "input.size or long_side must be given, and not both"),
            (
                "size = [64, 48]",
                "size = [64, 48]\nlong_side = 3",
                "input.size or long_side must be given, and not both",
            ),
            ("size = [64, 48]", "size = [64, 0]", "input.size, long_side and multiple must be 1 to 8192"),
            ("size = [64, 48]", "size = [64, 48]\nstd = [1, 0, 1]", "input.std must not be 0"),
            ('"bgr"', '"rbg"', "input.order must be 'rgb' or 'bgr'"),
            ("[output]", "[output]\nchanel = 1", "output.chanel is not a known key"),
            ("[input]", "[input]\nscale = 'min'", "input.scale must be 'max', not 'min'"),
            ("[input]", "[input]\nscale = 0.0", "input.scale must not be 0"),
            ("[output]", "[output]\nsoftness = 0", "output.softness must be 1 to 100"),
            ("[input]", "still_passes = 0\n[input]", "still_passes must be 1 to 100"),
        ],
    )
    def test_one_that_is_wrong_is_refused_by_key(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        assert old in OWN
        with pytest.raises(ModelError) as caught:
            own(tmp_path, OWN.replace(old, new))
        assert f"mine.toml: {message}" in caught.value.message


class TestUnknown:
    def test_name_is_answered_with_the_likely_one_and_all(self) -> None:
        with pytest.raises(ModelError, match="unknown model 'selfi'") as caught:
            find_manifest("selfi")
        assert caught.value.hint.startswith("did you mean selfie? there are rvm, selfie")

    def test_path_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"none\.toml: can't be read: No such file"):
            find_manifest(str(tmp_path / "none.toml"))


class TestInput:
    def test_of_one_size_is_that_whatever_the_frame(self) -> None:
        assert Input("x", size=(256, 144)).spec(Size(1080, 1920)).size == Size(256, 144)

    @pytest.mark.parametrize(
        ("frame", "fitted"),
        [
            ((1280, 720), (640, 360)),
            ((720, 1280), (360, 640)),
            ((320, 240), (640, 480)),
            ((641, 363), (640, 364)),
            ((3000, 10), (640, 64)),
        ],
    )
    def test_of_any_size_keeps_the_aspect(self, frame: tuple[int, int], fitted: tuple[int, int]) -> None:
        assert Input("x", long_side=640, multiple=4).spec(Size(*frame)).size == Size(*fitted)

    def test_scale_max_leaves_the_factor_to_the_canvas(self) -> None:
        spec = Input("x", size=(2, 2), scale="max").spec(Size(9, 9))
        assert spec.scale_to_max


def test_a_changed_asset_is_not_served_from_an_older_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path))
    assert find_manifest("rvm").path() == tmp_path / "rvm-88d45312.onnx"
