"""The life of plans on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bgcamd.frame import Size
from bgcamd.matting.tensorrt.cache import PlanCache, PlanKey

KEY = PlanKey(
    model="rvm",
    model_sha256="aa",
    network="",
    size=Size(640, 360),
    half=True,
    runtime="tensorrt",
    version="10.16.1.11",
    gpu="NVIDIA GeForce RTX 4060 Ti",
    capability=(8, 9),
    driver=13000,
)


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "gpu")


def plan_file(folder: Path, key: PlanKey = KEY) -> Path:
    return folder / "gpu" / f"{key.name}.plan"


def never() -> None:
    raise AssertionError("nobody else builds")


def made(cache: PlanCache, plan: bytes = b"plan", key: PlanKey = KEY) -> bytes:
    return cache.make(key, lambda: plan, never)


def refuse() -> bytes:
    raise AssertionError("it was built already")


class TestFinding:
    def test_a_plan_that_was_made(self, cache: PlanCache, tmp_path: Path) -> None:
        assert cache.find(KEY) is None
        assert made(cache) == b"plan"
        assert cache.find(KEY) == b"plan"
        assert cache.make(KEY, refuse, never) == b"plan"
        assert plan_file(tmp_path).name.startswith("rvm-640x360-fp16-tensorrt-nvidia-geforce-rtx-4060-ti-")

    @pytest.mark.parametrize(
        "change",
        [
            {"model": "selfie"},
            {"model_sha256": "bb"},
            {"network": "other constants"},
            {"size": Size(640, 480)},
            {"half": False},
            {"runtime": "tensorrt-rtx"},
            {"version": "10.16.2.1"},
            {"gpu": "NVIDIA GeForce RTX 4070"},
            {"capability": (8, 6)},
            {"driver": 13010},
        ],
    )
    def test_nothing_where_anything_that_it_hangs_on_is_another(self, cache: PlanCache, change: dict[str, Any]) -> None:
        made(cache)
        assert cache.find(replace(KEY, **change)) is None

    @pytest.mark.parametrize("damage", [b"", b"x", b"plan", b"plam" + b"\0" * 32])
    def test_nothing_where_the_file_is_damaged_so_that_it_is_made_again(
        self, cache: PlanCache, tmp_path: Path, damage: bytes
    ) -> None:
        made(cache)
        plan_file(tmp_path).write_bytes(damage)
        assert cache.find(KEY) is None
        assert made(cache, b"new") == b"new"
        assert cache.find(KEY) == b"new"

    @pytest.mark.parametrize("position", [0, 3, 4, 35])
    def test_nothing_where_one_bit_has_flipped(self, cache: PlanCache, tmp_path: Path, position: int) -> None:
        made(cache)
        content = bytearray(plan_file(tmp_path).read_bytes())
        content[position] ^= 1
        plan_file(tmp_path).write_bytes(content)
        assert cache.find(KEY) is None

    def test_nothing_any_more_after_it_was_dropped(self, cache: PlanCache) -> None:
        made(cache)
        cache.write(f"{KEY.name}.jit", b"compiled")
        cache.drop(KEY)
        cache.drop(KEY)
        assert cache.find(KEY) is None
        assert cache.read(f"{KEY.name}.jit") is None


class TestReplacing:
    def test_removes_what_an_older_version_made_for_the_same_use(self, cache: PlanCache, tmp_path: Path) -> None:
        old, new = replace(KEY, version="10.13.0.1"), KEY
        made(cache, key=old)
        cache.write(f"{old.name}.jit", b"compiled")
        made(cache, key=new)
        assert cache.find(old) is None
        assert cache.read(f"{old.name}.jit") is None
        assert cache.find(new) == b"plan"

    @pytest.mark.parametrize(
        "change",
        [
            {"model": "rvm-2"},
            {"size": Size(360, 640)},
            {"half": False},
            {"runtime": "tensorrt-rtx"},
            {"gpu": "NVIDIA GeForce RTX 4060"},
        ],
    )
    def test_leaves_what_is_of_another_use(self, cache: PlanCache, change: dict[str, Any]) -> None:
        other = replace(KEY, **change)
        made(cache, b"other", other)
        made(cache)
        made(cache, b"other", replace(other, version="11.4.0"))
        assert cache.find(KEY) == b"plan"

    def test_keeps_the_old_one_when_the_build_fails(self, cache: PlanCache) -> None:
        old = replace(KEY, version="10.13.0.1")
        made(cache, key=old)
        with pytest.raises(ZeroDivisionError):
            cache.make(KEY, lambda: b"%d" % (1 // 0), never)
        assert cache.find(old) == b"plan"
        assert made(cache) == b"plan"  # the lock was given back


class TestFolderThatCannotBeWritten:
    def test_only_means_that_nothing_is_kept(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        cache = PlanCache(tmp_path / "file" / "gpu")
        assert made(cache) == b"plan"
        assert cache.find(KEY) is None
        assert not cache.write("x", b"y")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_is_still_read(self, cache: PlanCache, tmp_path: Path) -> None:
        made(cache)
        (tmp_path / "gpu").chmod(0o555)
        assert cache.find(KEY) == b"plan"
        assert made(cache, b"other", replace(KEY, half=False)) == b"other"


BUILDER = """
import sys, time
from pathlib import Path
from bgcamd.matting.tensorrt.cache import PlanCache
sys.path.insert(0, {here!r})
from test_plan_cache import KEY
folder, me = Path({folder!r}), sys.argv[1]

def build():
    (folder / (me + ".builds")).touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return me.encode()

def waiting():
    (folder / (me + ".waits")).touch()

print(PlanCache(folder / "gpu").make(KEY, build, waiting).decode())
"""


class TestTwoProcesses:
    @pytest.fixture
    def start(self, tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
        code = BUILDER.format(here=str(Path(__file__).parent), folder=str(tmp_path))

        def run(name: str) -> subprocess.Popen[str]:
            return subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True)

        return run

    def until(self, path: Path, process: subprocess.Popen[str]) -> None:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)

    def test_one_builds_and_the_other_takes_it(
        self, start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
    ) -> None:
        with start("first") as first:
            self.until(tmp_path / "first.builds", first)
            with start("second") as second:
                self.until(tmp_path / "second.waits", second)
                (tmp_path / "go").touch()
                assert (second.communicate()[0], first.communicate()[0]) == ("first\n", "first\n")
        assert not (tmp_path / "second.builds").exists()

    def test_the_other_builds_when_the_one_was_killed(
        self, start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
    ) -> None:
        with start("first") as first:
            self.until(tmp_path / "first.builds", first)
            with start("second") as second:
                self.until(tmp_path / "second.waits", second)
                first.send_signal(signal.SIGKILL)
                self.until(tmp_path / "second.builds", second)
                (tmp_path / "go").touch()
                assert second.communicate()[0] == "second\n"

    def test_waiting_can_be_ended(
        self, start: Callable[[str], subprocess.Popen[str]], cache: PlanCache, tmp_path: Path
    ) -> None:
        with start("first") as first:
            self.until(tmp_path / "first.builds", first)
            with pytest.raises(AssertionError, match="nobody else"):
                made(cache)
            (tmp_path / "go").touch()
            assert first.communicate()[0] == "first\n"
