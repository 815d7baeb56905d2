"""What is carried to a machine without a network arrives whole, in any order, and hides nothing installed there."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
from pathlib import Path

import carried
import pytest


def wheel(folder: Path, name: str, module: str) -> Path:
    """A wheel with one module in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{module}.py", "value = 1\n")
    return path


def pieces(folder: Path, name: str, module: str, count: int) -> list[bytes]:
    """The same as an archive, cut."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text("value = 2\n")
    archive = folder / f"{name}.xz"
    with lzma.open(archive, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        tar.add(folder / f"{module}.py", f"{module}.py")
    data = archive.read_bytes()
    each = -(-len(data) // count)
    return [data[start : start + each] for start in range(0, len(data), each)]


def test_wheels_of_every_load_are_unpacked(tmp_path: Path) -> None:
    wheel(tmp_path / "loads" / "1", "nowhere_one", "nowhere_one")
    wheel(tmp_path / "loads" / "2", "nowhere_two", "nowhere_two")
    carried.keep(tmp_path / "loads", tmp_path / "kept")
    assert carried.unpack(tmp_path / "kept") == []
    assert sorted(path.name for path in (tmp_path / "kept" / "site").iterdir()) == ["nowhere_one.py", "nowhere_two.py"]


def test_what_is_installed_there_is_left_as_it_is(tmp_path: Path) -> None:
    wheel(tmp_path / "loads" / "1", "pytest", "pytest")
    carried.keep(tmp_path / "loads", tmp_path / "kept")
    carried.unpack(tmp_path / "kept")
    assert list((tmp_path / "kept" / "site").iterdir()) == []


def test_pieces_that_come_one_call_after_the_other_are_joined_when_all_are_there(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    cut = pieces(tmp_path / "made", "nowhere_big", "nowhere_big", 3)
    for number, said in ((2, ["nowhere_big: 1 of 3 pieces"]), (1, ["nowhere_big: 2 of 3 pieces"]), (3, [])):
        load = tmp_path / f"call{number}" / "1"
        load.mkdir(parents=True)
        (load / f"nowhere_big.xz.{number:02}-of-03").write_bytes(cut[number - 1])
        carried.keep(load.parent, kept)
        assert carried.unpack(kept) == said
    assert (kept / "site" / "nowhere_big.py").read_text() == "value = 2\n"


def test_programs_are_told_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.delenv("BGCAMD_MODELS", raising=False)
    (tmp_path / "models").mkdir()
    told = carried.environment(tmp_path)
    assert told["PYTHONPATH"].split(":") == [str(carried.CHECKOUT), str(tmp_path / "site"), "/elsewhere"]
    assert told["BGCAMD_MODELS"] == str(tmp_path / "models")


def test_nothing_carried_is_nothing_to_unpack(tmp_path: Path) -> None:
    carried.keep(tmp_path / "no such folder", tmp_path / "kept")
    assert carried.unpack(tmp_path / "kept") == []
