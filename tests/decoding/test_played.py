"""Clips by another process: the same pictures as in this one, and the last one stays, whatever that process does."""

from __future__ import annotations

import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from mutants import PLATE

from bgcamd.canvas.moving import Moving
from bgcamd.decoding import work
from bgcamd.decoding.clip import Played
from bgcamd.decoding.decoders import Decoders
from bgcamd.errors import InputError
from bgcamd.frame import BT601, Frame, PixelFormat, Plane, Size
from bgcamd.scene import Fit
from bgcamd.video.files.media_writer import MediaWriter

Hostile = Callable[[str], Decoders]
STEP_NS = 40_000_000
_PICTURES = """
asked, fds = order()
memory = mmap.mmap(fds[1], asked["places"] * 4096)
def came(place, due_ns, grey=99):
    memory[place * 4096 : place * 4096 + 3456] = bytes([grey]) * 3456
    sock.send(CAME.pack(b"came", place, asked["begin_ns"] + due_ns))
free = list(asked["free"])
came(free.pop(), 0)
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twenty frames, each of another grey."""
    path = tmp_path / "clip.mp4"
    with MediaWriter(path, size=Size(64, 36), rate=Fraction(25), color=BT601) as writer:
        for number in range(20):
            planes = tuple(np.full(shape, 20 + 10 * number, np.uint8) for shape in ((36, 64), (18, 32), (18, 32)))
            frame = Frame(planes, PixelFormat.I420, Size(64, 36), captured_ns=number * STEP_NS)
            writer.write(frame)
    return path


def shown(played: Played, time_ns: int) -> int:
    """The grey of what is shown, which must be whole."""
    planes = played.planes_at(time_ns)
    assert [plane.shape for plane in planes] == [(36, 64), (18, 32), (18, 32)]
    return int(planes[0][0, 0])


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def played(decoders: Decoders, clip: Path) -> Iterator[Played]:
    with Played(clip, PLATE, Fit.COVER, decoders, pauses_s=(0.01,) * 50) as it:
        yield it


def test_the_pictures_are_those_that_this_process_decodes_when_they_are_due(played: Played, clip: Path) -> None:
    with Moving(lambda: work.clip_reader(clip, PLATE), PLATE, Fit.COVER, wait=True) as here:
        for turn in range(50):  # two rounds and a half
            until(lambda: len(played._ready) > 1)
            there = played.planes_at(turn * STEP_NS)
            assert all(np.array_equal(*pair) for pair in zip(there, here.planes_at(turn * STEP_NS), strict=True))
    assert played.problem == ""


def test_another_picture_is_another_tuple_in_memory_that_was_there_before(played: Played) -> None:
    tuples: list[tuple[Plane, ...]] = []
    for turn in range(40):
        until(lambda: len(played._ready) > 1)
        tuples.append(played.planes_at(turn * STEP_NS))
    assert all(a is not b for a, b in itertools.pairwise(tuples))
    assert played.planes_at(39 * STEP_NS) is tuples[-1]
    assert len({each[0].ctypes.data for each in tuples}) <= 8


def test_it_decodes_no_further_than_is_looked_at(played: Played) -> None:
    until(lambda: len(played._ready) == 7)
    time.sleep(0.1)
    assert len(played._ready) == 7


def test_closing_ends_the_process_and_leaves_nothing_open(decoders: Decoders, clip: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    it = Played(clip, PLATE, Fit.COVER, decoders)
    assert it._decoder is not None
    pid = it._decoder._process.pid
    planes = it.planes_at(0)
    it.close()
    assert not Path(f"/proc/{pid}").exists()
    assert planes[0].max() > 0  # whoever still shows it does not fall
    del it, planes
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(("content", "why"), [(b"hello", "neither a picture nor a video"), (b"", "the file is empty")])
def test_what_is_no_clip_is_told(decoders: Decoders, tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(InputError, match=why):
        Played(tmp_path / "x.mp4", PLATE, Fit.COVER, decoders)


class TestHarm:
    def test_a_process_that_is_killed_again_and_again_never_takes_the_picture_away(self, played: Played) -> None:
        chance, turn = random.Random(1), 0
        for _ in range(12):
            for _ in range(chance.randrange(1, 30)):
                turn += 1
                assert shown(played, turn * STEP_NS) >= 20
                time.sleep(chance.random() * 0.01)
            decoder = played._decoder
            assert decoder is not None
            os.kill(decoder._process.pid, chance.choice((4, 9, 11)))
            until(lambda before=decoder: played._decoder is not before)
        until(lambda: len(played._ready) == 7)
        assert played.problem == ""

    def test_a_crash_is_told_until_pictures_come_again(self, decoders: Decoders, clip: Path) -> None:
        with Played(clip, PLATE, Fit.COVER, decoders, pauses_s=(0.3,)) as it:
            for expected in ("; it is started again", ""):
                assert it._decoder is not None
                os.kill(it._decoder._process.pid, 11)
                until(lambda: "the decoder crashed (signal 11)" in it.problem)
                assert it.problem.endswith(expected)
                if expected:
                    until(lambda: not it.problem)
            before = shown(it, 0)
            assert shown(it, 10**12) >= before  # and no other is started
            assert "can't be decoded: the decoder crashed (signal 11)" in it.problem

    @pytest.mark.parametrize(
        ("then", "why"),
        [
            ("sock.send(CAME.pack(b'came', 99, 1))", "nonsense"),
            ("came(free[0], -1)", "nonsense"),
            ("came(free[0], 1 << 62)", "nonsense"),
            ("came(free.pop(), 9); came(free.pop(), 8)", "nonsense"),
            ("[came(free[0], n) for n in range(9)]", "nonsense"),
            ("sock.send(b'came')", "nonsense"),
            ("sock.send(os.urandom(4096))", "nonsense"),
            ("sock.send(b'{' * 4000)", "nonsense"),
            ('sock.send(b\'{"done": "yes"}\')', "nonsense"),
            ('sock.send(b\'{"error": "it is cursed"}\'); time.sleep(60)', "it is cursed"),
            ('sock.send(b\'{"failed": "KeyError"}\')', r"the decoder failed \(KeyError\)"),
            ("sock.close(); time.sleep(0.1); os._exit(4)", r"the decoder ended \(code 4\)"),
            ("time.sleep(60)", "the decoder gave no picture for 3 s"),
            ("os.abort()", r"the decoder crashed \(signal 6\)"),
        ],
    )
    def test_whatever_it_says_the_last_picture_stays_and_the_reason_is_told(
        self, hostile: Hostile, clip: Path, then: str, why: str
    ) -> None:
        some = hostile(f"{_PICTURES}\ntime.sleep(0.2)\n{then}\ntime.sleep(60)")
        with Played(clip, PLATE, Fit.COVER, some, pauses_s=(), hung_s=3) as it:
            assert shown(it, 0) == 99
            until(lambda: it.problem)
            assert shown(it, 10**10) == 99
            assert re.search(why, it.problem), it.problem

    def test_before_the_first_picture_nothing_is_shown(self, hostile: Hostile, clip: Path) -> None:
        with pytest.raises(InputError, match="can't be decoded: the decoder crashed"):
            Played(clip, PLATE, Fit.COVER, hostile("order(); os.abort()"))

    def test_it_is_started_again_only_so_often(self, hostile: Hostile, clip: Path, tmp_path: Path) -> None:
        some = hostile(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\n{_PICTURES}\ntime.sleep(0.1)\nos.abort()")
        with Played(clip, PLATE, Fit.COVER, some, pauses_s=(0.01, 0.01, 0.01)) as it:
            until(lambda: "can't be decoded" in it.problem)
        assert (tmp_path / "starts").read_text() == "xxxx"

    def test_the_memory_can_not_be_taken_away(self, hostile: Hostile, clip: Path) -> None:
        some = hostile(f"""{_PICTURES}
try:
    os.ftruncate(fds[1], 0)
except PermissionError:
    came(free.pop(), 1, grey=77)
time.sleep(60)
""")
        with Played(clip, PLATE, Fit.COVER, some) as it:
            until(lambda: it._ready)
            assert shown(it, 0) == 99
            assert shown(it, 1) == 77
