"""The folder of fetched weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from bgcamd import assets
from bgcamd.assets import Asset
from bgcamd.errors import ModelError
from bgcamd.matting.manifest import Convert, Manifest
from bgcamd.matting.store import check_model, fetch_model, is_intact, is_sealed, sealed

CONTENT = b"w" * 300


@pytest.fixture
def fetchable(plain: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A manifest whose asset is CONTENT, and a cache folder of the test's own."""
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    asset = Asset("p", "1", "0" * 64, 1, "m", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    return replace(plain, file=None, asset=asset)


def store_as(manifest: Manifest, content: bytes) -> Path:
    manifest.path().parent.mkdir(exist_ok=True)
    manifest.path().write_bytes(content)
    return manifest.path()


class TestCheckModel:
    def test_returns_the_path_of_what_is_there(self, fetchable: Manifest) -> None:
        path = store_as(fetchable, CONTENT)
        assert check_model(fetchable) == path

    def test_of_what_is_not_fetched_says_how_to(self, fetchable: Manifest) -> None:
        with pytest.raises(ModelError, match="plain is not fetched") as caught:
            check_model(fetchable)
        assert caught.value.hint == "bgcam models fetch plain"

    @pytest.mark.parametrize("converted", [False, True])
    def test_finds_a_truncated_file(self, fetchable: Manifest, converted: bool) -> None:
        manifest = replace(fetchable, convert=Convert("tflite")) if converted else fetchable
        store_as(manifest, (sealed(CONTENT) if converted else CONTENT)[:-1])
        with pytest.raises(ModelError, match="is damaged") as caught:
            check_model(manifest)
        assert caught.value.hint == "bgcam models fetch plain"

    def test_finds_an_empty_file(self, fetchable: Manifest) -> None:
        store_as(fetchable, b"")
        with pytest.raises(ModelError, match="is damaged"):
            check_model(fetchable)

    def test_of_a_folder_says_so(self, fetchable: Manifest) -> None:
        fetchable.path().mkdir(parents=True)
        with pytest.raises(ModelError, match=r"can't read .*: Is a directory"):
            check_model(fetchable)

    def test_of_a_users_own_file_that_is_missing_names_it(self, plain: Manifest) -> None:
        with pytest.raises(ModelError, match=r"there is no network\.onnx"):
            check_model(plain)


class TestFetchModel:
    @pytest.fixture(autouse=True)
    def fetched(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """Stand in for ``assets.fetch``, and tell what was fetched."""
        targets: list[Path] = []

        def fetch(asset: Asset, target: Path, **options: object) -> None:
            targets.append(target)

        monkeypatch.setattr(assets, "fetch", fetch)
        return targets

    def test_brings_what_is_missing(self, fetchable: Manifest, fetched: list[Path]) -> None:
        assert fetch_model(fetchable)
        assert fetched == [fetchable.path()]

    def test_leaves_what_is_intact(self, fetchable: Manifest, fetched: list[Path]) -> None:
        store_as(fetchable, CONTENT)
        assert not fetch_model(fetchable)
        assert fetched == []

    def test_brings_what_has_one_wrong_bit_again(self, fetchable: Manifest, fetched: list[Path]) -> None:
        store_as(fetchable, b"W" + CONTENT[1:])
        assert fetch_model(fetchable)
        assert fetched == [fetchable.path()]

    def test_of_a_users_own_file_only_looks_at_it(self, plain: Manifest, tmp_path: Path, fetched: list[Path]) -> None:
        mine = replace(plain, file=str(tmp_path / "mine.onnx"))
        with pytest.raises(ModelError, match="there is no"):
            fetch_model(mine)
        (tmp_path / "mine.onnx").touch()
        assert not fetch_model(mine)
        assert fetched == []


class TestSeal:
    def test_leaves_the_file_an_onnx_file(self, mean_model: Path) -> None:
        model = onnx.load_from_string(sealed(mean_model.read_bytes()))
        onnx.checker.check_model(model)
        (entry,) = model.metadata_props
        assert (entry.key, entry.value) == ("sha256", hashlib.sha256(mean_model.read_bytes()).hexdigest())

    @pytest.mark.parametrize("position", [0, 150, 299, 310, -1])
    def test_is_broken_by_one_wrong_bit(self, position: int) -> None:
        file = bytearray(sealed(CONTENT))
        assert is_sealed(bytes(file))
        file[position] ^= 1
        assert not is_sealed(bytes(file))

    def test_is_not_on_a_file_without(self) -> None:
        assert not is_sealed(b"")
        assert not is_sealed(CONTENT)

    def test_makes_a_converted_file_verifiable(self, fetchable: Manifest) -> None:
        manifest = replace(fetchable, convert=Convert("tflite"))
        store_as(manifest, sealed(CONTENT))
        assert is_intact(manifest)
        store_as(manifest, b"W" + sealed(CONTENT)[1:])
        check_model(manifest)  # the cheap look does not see it
        assert not is_intact(manifest)
