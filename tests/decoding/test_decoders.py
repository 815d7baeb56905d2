"""Still pictures by another process: the same as in this one, and whatever that process does, this one goes on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mutants import CLIPS, PLATE, ask, mutants
from PIL import Image

from bgcamd import prepare
from bgcamd.canvas.background import Plate
from bgcamd.decoding import decoders as pool
from bgcamd.decoding import helper, work
from bgcamd.decoding.decoders import Decoders
from bgcamd.decoding.helper import Helper
from bgcamd.errors import InputError
from bgcamd.frame import BT709, PixelFormat, Size
from bgcamd.scene import Clip, Fit, Picture, Scene

Hostile = Callable[[str], Decoders]
RED = (220, 30, 40)


@pytest.fixture
def red(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30), RED).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def processes(decoders: Decoders) -> list[int]:
    """Those that wait for work."""
    return [each._process.pid for _, each in decoders._idle]


def test_a_picture_is_the_same_as_if_it_were_decoded_here(decoders: Decoders, whole: list[Path]) -> None:
    for plate in (PLATE, Plate(Size(33, 20), PixelFormat.RGBP, BT709)):
        for path in whole[:4]:
            here = prepare.prepare(Scene(Picture(path), Fit.CONTAIN), plate)
            there = decoders.picture(path, plate, Fit.CONTAIN)
            assert here.backdrop is not None
            assert all(np.array_equal(*pair) for pair in zip(there, here.backdrop.planes_at(0), strict=True))
            assert there[0].base is not None
            assert there[0].base.size == sum(plane.size for plane in there)


def test_of_every_format_the_kind_and_a_small_picture_are_told(decoders: Decoders, whole: list[Path]) -> None:
    for path in whole:
        expected = Clip if path.suffix in CLIPS else Picture
        assert decoders.background_of(path, "mine") == expected(path, "mine")
        assert all(np.array_equal(*pair) for pair in zip(decoders.small(path), work.small(path), strict=True))
    assert len(processes(decoders)) == 1


def test_what_is_wrong_with_a_file_is_told_as_if_it_were_decoded_here(decoders: Decoders, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (tmp_path / "b.txt").write_text("hello")
    (tmp_path / "c.png").write_bytes(b"")
    for name in ("a.png", "b.txt", "c.png", "none.png", "."):
        with pytest.raises(InputError) as here:
            prepare.prepare(Scene(Picture(tmp_path / name)), PLATE)
        with pytest.raises(InputError) as there:
            decoders.picture(tmp_path / name, PLATE, Fit.COVER)
        assert str(there.value) == str(here.value)


def test_a_picture_of_too_many_pixels_is_refused(decoders: Decoders, tmp_path: Path) -> None:
    Image.new("1", (8001, 8001)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"declares 8001x8001 pixels; at most 64 million are read"):
        decoders.picture(tmp_path / "x.png", PLATE, Fit.COVER)


def test_the_sender_of_a_file_can_not_change_the_picture_any_more(decoders: Decoders, red: Path) -> None:
    planes = decoders.picture(red, PLATE, Fit.COVER)
    before = [plane.copy() for plane in planes]
    red.write_bytes(b"gone")
    assert all(np.array_equal(*pair) for pair in zip(planes, before, strict=True))


class TestHarm:
    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("order(); os.kill(os.getpid(), 11)", r"the decoder crashed \(signal 11\)"),
            ("order(); os._exit(3)", r"the decoder ended \(code 3\)"),
            ("order(); sock.send(b'\\xff' * 99)", "the decoder talked nonsense"),
            ("order(); sock.send(b'[' * 4096)", "the decoder talked nonsense"),
            ("order(); sock.send(b'[1]')", "the decoder talked nonsense"),
            ('order(); sock.send(b\'{"failed": "KeyError: 1"}\')', r"the decoder failed \(KeyError: 1\)"),
            ("order(); time.sleep(60)", "the decoder did not end within 0.5 s"),
            ("order(); sock.close(); time.sleep(60)", "the decoder went silent"),
            ("os.abort()", r"the decoder crashed \(signal 6\)"),
        ],
    )
    def test_is_told_in_a_line_and_the_process_ended(
        self, hostile: Hostile, red: Path, monkeypatch: pytest.MonkeyPatch, code: str, why: str
    ) -> None:
        monkeypatch.setattr(pool, "WORK_S", 0.5 if "60" in code else 20)
        monkeypatch.setattr(helper, "_GONE_S", 0.5 if "60" in code else 5)
        some = hostile(code)
        with pytest.raises(InputError, match=rf"^{red} can't be decoded: {why}"):
            some.picture(red, PLATE, Fit.COVER)
        assert processes(some) == []

    def test_its_words_are_one_short_printable_line(self, hostile: Hostile, red: Path) -> None:
        some = hostile("order(); sock.send(json.dumps({'error': 'a\\nb\\x1b[31m' + 'x' * 3000, 'hint': [1]}).encode())")
        with pytest.raises(InputError) as told:
            some.picture(red, PLATE, Fit.COVER)
        assert told.value.message.startswith("a b [31mxxx")
        assert len(told.value.message) == 300
        assert told.value.hint == "[1]"

    def test_the_memory_can_not_be_taken_away_and_changes_nothing_later(self, hostile: Hostile, red: Path) -> None:
        some = hostile("""
            _, (_, memory) = order()
            for size in (0, 1 << 30):
                try:
                    os.ftruncate(memory, size)
                except PermissionError:
                    pass
                else:
                    os.abort()
            mapped = mmap.mmap(memory, 64 * 36 * 3 // 2)
            sock.send(b'{"done": "yes"}')
            while True:
                mapped[:] = os.urandom(len(mapped))
        """)
        planes = some.picture(red, PLATE, Fit.COVER)
        before = [plane.copy() for plane in planes]
        time.sleep(0.05)
        assert all(np.array_equal(*pair) for pair in zip(planes, before, strict=True))

    def test_by_a_mutant_of_any_format_is_none(self, decoders: Decoders, whole: list[Path], tmp_path: Path) -> None:
        stills = [path.read_bytes() for path in whole if path.suffix not in CLIPS[3:]]
        for turn, (_, content) in enumerate(mutants(stills, 150, seed=7)):
            (tmp_path / "mutant").write_bytes(content)
            assert "can't be decoded" not in ask(decoders, tmp_path / "mutant", turn)


class TestProcesses:
    def test_one_is_kept_for_the_next_file_and_ended_when_there_is_none(self, red: Path) -> None:
        with Decoders(idle_s=0.3) as some:
            for _ in range(3):
                some.picture(red, PLATE, Fit.COVER)
            (pid,) = processes(some)
            deadline = time.monotonic() + 10
            while Path(f"/proc/{pid}").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert some.background_of(red) == Picture(red, "red.png")

    def test_it_is_started_beside_whoever_expects_it(self, decoders: Decoders, red: Path) -> None:
        decoders.expect()
        decoders.expect()
        some = decoders.picture(red, PLATE, Fit.COVER)
        assert len(some) == 3
        assert len(processes(decoders)) == 1

    def test_only_two_decode_at_a_time(self, hostile: Hostile, red: Path) -> None:
        some = hostile('order(); time.sleep(0.3); sock.send(b\'{"kind": "IMAGE"}\')')
        threads = [threading.Thread(target=some.background_of, args=(red,)) for _ in range(6)]
        most = 0
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, children())
            time.sleep(0.02)
        assert 1 <= most <= 3  # one may just have been started while another ends

    def test_one_that_died_while_it_waited_is_replaced(self, decoders: Decoders, red: Path) -> None:
        decoders.picture(red, PLATE, Fit.COVER)
        os.kill(processes(decoders)[0], 9)
        time.sleep(0.1)
        assert decoders.background_of(red) == Picture(red, "red.png")

    def test_one_that_can_not_be_started_is_told(self, red: Path) -> None:
        def none() -> Helper:
            raise OSError(12, "Cannot allocate memory")

        with (
            Decoders(start=none) as some,
            pytest.raises(InputError, match="no decoder can be started: Cannot allocate"),
        ):
            some.background_of(red)

    def test_one_that_an_earlier_file_has_harmed_is_no_fault_of_the_next(self, hostile: Hostile, red: Path) -> None:
        some = hostile('order(); sock.send(b\'{"kind": "IMAGE"}\'); order(); os.abort()')
        assert [some.background_of(red) for _ in range(4)] == [Picture(red, "red.png")] * 4

    def test_all_end_with_the_daemon(self, red: Path) -> None:
        with Decoders() as some:
            some.background_of(red)
            (pid,) = processes(some)
        assert not Path(f"/proc/{pid}").exists()

    def test_nothing_is_left_open(self, decoders: Decoders, red: Path) -> None:
        decoders.picture(red, PLATE, Fit.COVER)
        before = open_files()
        for _ in range(5):
            decoders.picture(red, PLATE, Fit.COVER)
        assert open_files() == before


def children() -> int:
    """Processes that this one has started and that still run."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        found += len((task / "children").read_text().split())
    return found


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
