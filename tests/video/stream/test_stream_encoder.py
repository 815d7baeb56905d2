"""H.264 for live streams, and the encoder beside the loop."""

from __future__ import annotations

import itertools
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec import CodecContext
from hypothesis import given
from hypothesis import strategies as st
from stream_pictures import RATE, SIZE, number_of, picture

from bgcamd.errors import SinkError
from bgcamd.frame import BT709, Frame, PixelFormat, Size
from bgcamd.video.files.container import color_of
from bgcamd.video.files.swscale import samples
from bgcamd.video.stream.encoder import Coded, Encoder, _Clock, nal_units
from bgcamd.video.stream.encoding import Encoding


def decoded(*coded: Coded) -> list[av.VideoFrame]:
    decoder = CodecContext.create("h264", "r")
    frames = [frame for one in coded for frame in decoder.decode(av.Packet(one.data))]
    return [*frames, *decoder.decode(None)]


def as_frame(frame: av.VideoFrame) -> Frame:
    planes = tuple(samples(frame, index) for index in range(3))
    return Frame(planes, PixelFormat.I420, Size(frame.width, frame.height), color=color_of(frame))


def kinds(coded: Coded) -> set[int]:
    return {unit[0] & 31 for unit in nal_units(coded.data)}


class TestEncoder:
    def test_each_frame_comes_out_at_once_and_shows_what_went_in(self) -> None:
        encoder = Encoder(SIZE, RATE)
        coded = [encoder.encode(picture(number)) for number in range(5)]
        assert all(one.data for one in coded)
        assert [number_of(as_frame(frame)) for frame in decoded(*coded)] == [0, 1, 2, 3, 4]

    def test_the_colour_is_tagged_as_what_it_is(self) -> None:
        (frame,) = decoded(Encoder(SIZE, RATE).encode(picture(1)))
        assert (frame.colorspace, frame.color_range, frame.format.name) == (6, 1, "yuv420p")

    def test_a_frame_of_another_colour_is_converted(self) -> None:
        grey = np.full((96, 128), 126, np.uint8)
        red = Frame(
            (grey, np.full((48, 64), 90, np.uint8), np.full((48, 64), 200, np.uint8)),
            PixelFormat.I420,
            SIZE,
            color=BT709,
        )
        (frame,) = decoded(Encoder(SIZE, RATE).encode(red))
        assert abs(int(samples(frame, 0)[48, 64]) - 126) > 4

    def test_a_grey_frame_is_taken_too(self) -> None:
        (frame,) = decoded(
            Encoder(SIZE, RATE).encode(Frame((np.full((96, 128), 255, np.uint8),), PixelFormat.GREY, SIZE))
        )
        assert abs(int(samples(frame, 0)[48, 64]) - 235) <= 2

    def test_a_key_frame_comes_when_it_is_asked_for_with_the_parameter_sets_before_it(self) -> None:
        encoder = Encoder(SIZE, RATE)
        coded = [encoder.encode(picture(number), key=number == 3) for number in range(5)]
        assert [one.key for one in coded] == [True, False, False, True, False]
        assert {5, 7, 8} <= kinds(coded[3])
        assert [number_of(as_frame(frame)) for frame in decoded(*coded[3:])] == [3, 4]

    def test_a_key_frame_comes_every_two_seconds(self) -> None:
        encoder = Encoder(SIZE, Fraction(5))
        keys = [encoder.encode(picture(number)).key for number in range(21)]
        assert [number for number, key in enumerate(keys) if key] == [0, 10, 20]

    def test_the_parameter_sets_are_known_before_the_first_frame(self) -> None:
        encoder = Encoder(SIZE, RATE)
        assert [unit[0] & 31 for unit in encoder.parameters] == [7, 8]
        assert set(encoder.parameters) <= set(nal_units(encoder.encode(picture(0)).data))

    def test_noise_does_not_exceed_the_bits_that_fit_the_size(self) -> None:
        size, random = Size(640, 480), np.random.default_rng(0)
        encoder = Encoder(size, RATE)
        sizes = []
        for number in range(60):
            planes = [random.integers(0, 256, shape, dtype=np.uint8) for shape in ((480, 640), (240, 320), (240, 320))]
            frame = Frame(tuple(planes), PixelFormat.I420, size, captured_ns=number * 33_333_333)
            sizes.append(len(encoder.encode(frame).data))
        allowed = 640 * 480 * 30 * 0.12 / 8  # bytes a second
        assert sum(sizes[-30:]) < 1.5 * allowed

    def test_the_last_column_and_row_of_an_odd_size_are_left_out(self) -> None:
        encoder = Encoder(Size(129, 97), RATE)
        (frame,) = decoded(encoder.encode(picture(3, Size(129, 97))))
        assert (frame.width, frame.height) == encoder.size == SIZE

    def test_a_frame_of_another_size_is_refused(self) -> None:
        with pytest.raises(SinkError, match="64x64: the stream is 128x96"):
            Encoder(SIZE, RATE).encode(picture(0, Size(64, 64)))

    def test_without_x264_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str, mode: str) -> None:
            raise av.codec.codec.UnknownCodecError(name)

        monkeypatch.setattr("bgcamd.video.stream.encoder.CodecContext", type("Without", (), {"create": missing}))
        with pytest.raises(SinkError, match=r"this build of PyAV can't encode H\.264"):
            Encoder(SIZE, RATE)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=2, max_size=20))
def test_the_time_of_a_picture_is_always_later_than_the_one_before(times: list[tuple[int, int]]) -> None:
    clock = _Clock()
    ticks = [clock.ticks(captured, now) for captured, now in times]
    assert all(later > earlier for earlier, later in itertools.pairwise(ticks))


def test_the_time_of_a_picture_is_as_even_as_the_cameras_however_late_it_comes() -> None:
    clock = _Clock()
    ticks = [clock.ticks(1000 + n * 33_000_000, 5_000_000_000 + n * 33_000_000 + n % 3 * 7_000_000) for n in range(9)]
    assert {later - earlier for earlier, later in itertools.pairwise(ticks)} == {2970}


def test_a_clip_that_starts_anew_does_not_stop_the_time() -> None:
    clock = _Clock()
    before = clock.ticks(60_000_000_000, 100_000_000_000)
    assert clock.ticks(0, 100_040_000_000) - before == 3600


def test_a_picture_that_is_shown_again_and_again_is_of_the_time_when_it_is_shown() -> None:
    clock = _Clock()
    ticks = [clock.ticks(7_000_000, 5_000_000_000 + number * 100_000_000) for number in range(5)]
    assert [later - earlier for earlier, later in itertools.pairwise(ticks)] == [9000] * 4


class TestEncoding:
    def test_the_newest_frame_wins_and_the_writer_never_waits(self) -> None:
        go, begun, seen = threading.Event(), threading.Event(), []

        def hand_on(coded: Coded) -> None:
            seen.append(coded)
            begun.set()
            assert go.wait(10)

        with Encoding(SIZE, RATE, hand_on) as encoding:
            encoding.put(picture(1))
            assert begun.wait(10)
            for number in (2, 3, 4):
                encoding.put(picture(number))
            go.set()
            while len(seen) < 2:
                threading.Event().wait(0.001)
        assert [number_of(as_frame(frame)) for frame in decoded(*seen)] == [1, 4]

    def test_what_goes_wrong_is_raised_by_a_later_write(self) -> None:
        with Encoding(SIZE, RATE, lambda coded: None) as encoding:
            encoding.put(picture(1, Size(64, 64)))
            while encoding._error is None:
                threading.Event().wait(0.001)
            with pytest.raises(SinkError, match="64x64"):
                encoding.put(picture(2))

    def test_key_frames_that_are_asked_for_again_and_again_do_not_crowd_out_the_rest(self) -> None:
        seen: list[Coded] = []
        with Encoding(SIZE, RATE, seen.append) as encoding:
            for number in range(30):
                encoding.want_key()
                count = len(seen)
                encoding.put(picture(number))
                while len(seen) == count:
                    threading.Event().wait(0.001)
                if seen[-1].ticks - seen[0].ticks > 90_000 // 5:
                    break
        assert [coded.key for coded in seen].count(True) == 1
