from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from bgcamd.errors import InputError, SourceError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.protocols import Source
from bgcamd.video.player import Player

SIZE = Size(4, 2)
MS = 1_000_000


class Clock:
    """Time that moves only when somebody sleeps, or when told to."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def now_ns(self) -> int:
        return self.ns

    def wait(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


class Clip:
    """A reader of one buffer, as decoders have it: each frame overwrites the one before."""

    size = SIZE

    def __init__(
        self,
        times_ms: list[int],
        *,
        rate: int = 25,
        count: int | None = None,
        damaged_at: int | None = None,
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        self.rate = Fraction(rate)
        self.count = count
        self.entered = 0
        self.closed = 0
        self._times_ms = times_ms
        self._damaged_at = damaged_at
        self._on_frame = on_frame
        self._buffer = np.zeros((2, 4), np.uint8)

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed += 1

    def __iter__(self) -> Iterator[Frame]:
        for number, time_ms in enumerate(self._times_ms):
            if number == self._damaged_at:
                raise InputError("clip.mp4 is cut short", "copy it again")
            self._buffer[:] = number
            self._on_frame()
            yield Frame((self._buffer,), PixelFormat.GREY, SIZE, captured_ns=time_ms * MS)
            self._buffer[:] = 255


def played(clip: Clip, clock: Clock) -> Player:
    return Player(lambda: clip, name="clip.mp4", now_ns=clock.now_ns, wait=clock.wait)


def shown(frame: Frame | None) -> int:
    assert frame is not None
    assert (frame.planes[0] == frame.planes[0][0, 0]).all()
    value = int(frame.planes[0][0, 0])
    frame.release()
    return value


def test_frames_come_when_the_clip_gets_to_them() -> None:
    clock = Clock()
    start_ns = clock.ns
    with played(Clip([1000, 1040, 1100, 1120]), clock) as player:
        frames = [player.read(1) for _ in range(4)]
    assert [shown(frame) for frame in frames] == [0, 1, 2, 3]
    assert [frame.captured_ns - start_ns for frame in frames if frame] == [0, 40 * MS, 100 * MS, 120 * MS]
    assert clock.ns == start_ns + 120 * MS


def test_at_its_end_the_clip_is_opened_again_and_the_sequence_goes_on() -> None:
    clock = Clock()
    start_ns = clock.ns
    clip = Clip([0, 40, 80])
    with played(clip, clock) as player:
        frames = [player.read(1) for _ in range(7)]
    assert [shown(frame) for frame in frames] == [0, 1, 2, 0, 1, 2, 0]
    assert [frame.sequence for frame in frames if frame] == list(range(7))
    assert [(frame.captured_ns - start_ns) // MS for frame in frames if frame] == list(range(0, 280, 40))
    assert clip.entered == clip.closed == 3


def test_late_frames_are_skipped_and_leave_a_gap_in_the_sequence() -> None:
    clock = Clock()
    with played(Clip(list(range(0, 800, 40))), clock) as player:
        assert shown(player.read(1)) == 0
        clock.ns += 130 * MS
        frame = player.read(1)
    assert frame is not None
    assert frame.sequence == 3
    assert shown(frame) == 3


def test_after_a_long_pause_the_clip_goes_on_where_it_was() -> None:
    clock = Clock()
    with played(Clip(list(range(0, 800, 40))), clock) as player:
        player.read(1)
        clock.ns += 3600 * 1000 * MS
        frame = player.read(1)
        assert frame is not None
        assert (frame.sequence, frame.captured_ns) == (1, clock.ns)
        assert shown(player.read(1)) == 2


def test_where_decoding_is_slower_than_playing_the_clip_runs_slower() -> None:
    clock = Clock()

    def decode_slowly() -> None:
        clock.ns += 100 * MS

    with played(Clip(list(range(0, 4000, 40)), on_frame=decode_slowly), clock) as player:
        sequence = [frame.sequence for frame in (player.read(1) for _ in range(20)) if frame]
    assert len(sequence) == 20
    assert max(later - earlier for earlier, later in itertools.pairwise(sequence)) <= 2


def test_nothing_comes_before_it_is_due() -> None:
    clock = Clock()
    with played(Clip([0, 150]), clock) as player:
        player.read(1)
        before_ns = clock.ns
        assert player.read(0.1) is None
        assert clock.ns == before_ns + 100 * MS
        assert shown(player.read(1)) == 1


def test_a_frame_lent_stays_as_it_is_while_others_are_read() -> None:
    clock = Clock()
    with played(Clip(list(range(0, 800, 40))), clock) as player:
        kept = player.read(1)
        for expected in range(1, 6):
            assert shown(player.read(1)) == expected
    assert shown(kept) == 0


def test_memory_is_used_again_once_released() -> None:
    clock = Clock()
    addresses = set()
    with played(Clip(list(range(0, 800, 40))), clock) as player:
        for _ in range(12):
            frame = player.read(1)
            assert frame is not None
            addresses.add(frame.planes[0].ctypes.data)
            frame.release()
    assert len(addresses) == 1


def test_a_single_picture_is_decoded_once_and_repeated_at_the_rate_asked_for() -> None:
    clock = Clock()
    decoded = []
    clip = Clip([0], rate=0, count=1, on_frame=lambda: decoded.append(1))
    start_ns = clock.ns
    with Player(lambda: clip, name="a.jpg", rate=Fraction(10), now_ns=clock.now_ns, wait=clock.wait) as player:
        frames = [player.read(1) for _ in range(5)]
        assert player.rate == 10
    assert [shown(frame) for frame in frames] == [0] * 5
    assert [(frame.captured_ns - start_ns) // MS for frame in frames if frame] == [0, 100, 200, 300, 400]
    assert [frame.sequence for frame in frames if frame] == list(range(5))
    assert (len(decoded), clip.entered) == (1, 1)


@pytest.mark.parametrize("times_ms", [[0, 0, 0], [80, 40, 0], [0, 3_600_000, 7_200_000]])
def test_time_stamps_that_make_no_sense_give_way_to_the_rate(times_ms: list[int]) -> None:
    clock = Clock()
    start_ns = clock.ns
    with played(Clip(times_ms), clock) as player:
        frames = [player.read(1) for _ in range(3)]
    assert [(frame.captured_ns - start_ns) // MS for frame in frames if frame] == [0, 40, 80]


def test_it_says_the_size_and_rate_of_the_file() -> None:
    with played(Clip([0, 40], rate=25), Clock()) as player:
        source: Source = player
        assert (source.name, source.size, source.rate) == ("clip.mp4", SIZE, Fraction(25))


def test_alpha_is_copied_with_the_planes() -> None:
    class Cut(Clip):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                frame.alpha = np.full((2, 4), 7, np.uint8)
                yield frame
                frame.alpha[:] = 0

    with played(Cut([0, 40]), Clock()) as player:
        frame = player.read(1)
        player.read(1)
    assert frame is not None
    assert frame.alpha is not None
    assert (frame.alpha == 7).all()


def test_a_file_that_does_not_open_is_a_source_error_with_the_readers_advice() -> None:
    def broken() -> Clip:
        raise InputError("no such file", "look again")

    with pytest.raises(SourceError, match=r"clip.mp4: no such file") as caught:
        Player(broken, name="clip.mp4")
    assert caught.value.hint == "look again"


@pytest.mark.parametrize("count", [None, 0, 1])
def test_a_file_without_a_picture_is_a_source_error(count: int | None) -> None:
    clip = Clip([], count=count)
    with pytest.raises(SourceError, match="no picture"):
        Player(lambda: clip, name="empty.gif")
    assert clip.closed == 1


def test_damage_in_the_middle_is_a_source_error_and_the_reader_is_closed() -> None:
    clip = Clip([0, 40, 80], damaged_at=1)
    with played(clip, Clock()) as player:
        assert shown(player.read(1)) == 0
        with pytest.raises(SourceError, match="cut short"):
            player.read(1)
    assert clip.closed == 1


def test_closing_closes_the_reader() -> None:
    clip = Clip([0, 40, 80])
    with played(clip, Clock()):
        assert clip.closed == 0
    assert clip.closed == 1


def test_a_picture_that_stays_long_is_given_again_meanwhile() -> None:
    clock = Clock()
    start_ns = clock.ns
    with played(Clip([0, 500, 540]), clock) as player:
        frames = [player.read(1) for _ in range(5)]
    assert [shown(frame) for frame in frames] == [0, 0, 0, 1, 2]
    assert [(frame.captured_ns - start_ns) // MS for frame in frames if frame] == [0, 200, 400, 500, 540]
    assert [frame.sequence for frame in frames if frame] == list(range(5))


def test_a_picture_given_again_stays_until_all_its_frames_are_released() -> None:
    clock = Clock()
    with played(Clip([0, 300, 340, 380]), clock) as player:
        first, again = player.read(1), player.read(1)
        assert shown(first) == 0
        assert [shown(player.read(1)) for _ in range(3)] == [1, 2, 3]
        assert shown(again) == 0


def test_stop_ends_a_read_that_waits_and_all_later_ones() -> None:
    with Player(lambda: Clip([0, 9_000]), name="slow.gif") as player:
        assert shown(player.read(60)) == 0
        stopper = threading.Thread(target=player.stop)
        stopper.start()
        while player.read(60) is not None:
            pass
        stopper.join()
        assert player.read(60) is None
