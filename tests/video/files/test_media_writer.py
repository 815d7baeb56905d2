"""Clips, out: what is written plays back as it was, with its sound, times, colours and alpha."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgcamd.errors import OutputError
from bgcamd.frame import BT601, BT709, JPEG, Frame, PixelFormat, Plane, Size
from bgcamd.video.files.container import Sound
from bgcamd.video.files.media_reader import MediaReader
from bgcamd.video.files.media_writer import MediaWriter

SMALL = Size(64, 48)
VIDEO = ["mp4", "mov", "mkv", "webm", "avi"]
ALPHA = ["mov", "mkv", "webm"]
TEN = Fraction(10)


def i420(size: Size = SMALL, yuv: tuple[int, int, int] = (101, 94, 192), **more: Any) -> Frame:
    halves = (size.height // 2, size.width // 2)
    planes = tuple(
        np.full(shape, value, np.uint8) for shape, value in zip([size[::-1], halves, halves], yuv, strict=True)
    )
    return Frame(planes, PixelFormat.I420, size, **more)


def write(path: Path, frames: Sequence[Frame], **options: Any) -> Path:
    with MediaWriter(path, **{"size": SMALL, "rate": TEN, **options}) as sink:
        for frame in frames:
            sink.write(frame)
    return path


def ten(**more: Any) -> list[Frame]:
    return [i420(captured_ns=index * 100_000_000, **more) for index in range(10)]


def read(path: Path, **options: Any) -> list[Frame]:
    with MediaReader(path, **options) as reader:
        return list(reader)


def with_sound(path: Path, codec: str, seconds: float = 2.0, layout: str = "stereo") -> Path:
    """A clip of a second's pictures and of a tone that begins after a quarter of a second of silence."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libvpx-vp9" if path.suffix == ".webm" else "libx264", rate=10)
        video.width, video.height, video.pix_fmt = *SMALL, "yuv420p"
        audio = output.add_stream(codec, rate=48000)
        audio.codec_context.layout = layout
        for index in range(10):
            picture = av.VideoFrame(*SMALL, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, 10)
            output.mux(video.encode(picture))
        times = np.arange(int(48000 * seconds)) / 48000
        tone = np.where(times < 0.25, 0, np.sin(times * 2 * np.pi * 440) * 0.5).astype(np.float32)
        channels = np.tile(tone, (2 if layout == "stereo" else 1, 1))
        for start in range(0, channels.shape[1], 960):
            part = np.ascontiguousarray(channels[:, start : start + 960])
            sound = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            sound.sample_rate, sound.pts, sound.time_base = 48000, start, Fraction(1, 48000)
            output.mux(audio.encode(sound))
        output.mux([*video.encode(None), *audio.encode(None)])
    return path


def sound_of(path: Path) -> tuple[str, np.ndarray]:
    """Codec and samples of the first channel, at 48 kHz, placed by their time stamps."""
    track = np.zeros(48000 * 4, np.float32)
    with av.open(str(path)) as source:
        stream = source.streams.audio[0]
        resampler = av.AudioResampler("fltp", "stereo", 48000)
        end = 0
        for frame in source.decode(stream):
            for part in resampler.resample(frame):
                start = round(part.pts * part.time_base * 48000)
                samples = part.to_ndarray()[0]
                if start >= 0:
                    end = start + samples.size
                    track[start:end] = samples
        return stream.codec_context.codec.canonical_name, track[:end]


@pytest.mark.parametrize("kind", VIDEO)
def test_every_container_plays_back_all_frames_at_their_times(tmp_path: Path, kind: str) -> None:
    back = read(write(tmp_path / f"a.{kind}", ten()))
    assert [frame.captured_ns for frame in back] == [index * 100_000_000 for index in range(10)]
    for frame in back:
        assert [int(plane[9, 9]) for plane in frame.planes] == pytest.approx([101, 94, 192], abs=3)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{kind}"]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_a_variable_rate_is_kept(tmp_path: Path, kind: str) -> None:
    times = [7_000_000_000 + ms * 1_000_000 for ms in (0, 33, 400, 415, 2000)]
    back = read(write(tmp_path / f"a.{kind}", [i420(captured_ns=time) for time in times]))
    assert [frame.captured_ns for frame in back] == pytest.approx([time - times[0] for time in times], abs=1_000_000)


def test_the_rate_of_television_is_exact(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    frames = [i420(captured_ns=int(index * 1_000_000_000 / rate)) for index in range(30)]
    with MediaReader(write(tmp_path / "a.mp4", frames, rate=rate)) as reader:
        assert reader.rate == rate


def test_two_frames_never_share_a_time(tmp_path: Path) -> None:
    frames = [i420(captured_ns=time) for time in (0, 0, 0, 50_000_000, 40_000_000, 100_000_000)]
    times = [frame.captured_ns for frame in read(write(tmp_path / "a.mp4", frames))]
    assert len(set(times)) == 6
    assert times == sorted(times)


@pytest.mark.parametrize("color", [BT601, BT709])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_the_colour_is_tagged(tmp_path: Path, kind: str, color: Any) -> None:
    path = write(tmp_path / f"a.{kind}", ten(color=color), color=color)
    with av.open(str(path)) as source:
        frame = next(source.decode(video=0))
        assert frame.colorspace == (1 if color is BT709 else 6)
        assert frame.color_range == 1


def test_frames_of_another_colour_are_converted(tmp_path: Path) -> None:
    white = i420(yuv=(255, 128, 128), color=JPEG)
    [back] = read(write(tmp_path / "a.mp4", [white], color=BT709))
    assert back.color == BT709
    assert [int(plane[9, 9]) for plane in back.planes] == pytest.approx([235, 128, 128], abs=1)


@pytest.mark.parametrize("layout", [PixelFormat.GREY, PixelFormat.RGB24, PixelFormat.RGBP])
def test_other_formats_are_converted(tmp_path: Path, layout: PixelFormat) -> None:
    plane = np.full(SMALL[::-1], 255, np.uint8)
    planes = {
        PixelFormat.GREY: (plane,),
        PixelFormat.RGB24: (np.dstack([plane] * 3),),
        PixelFormat.RGBP: (plane,) * 3,
    }[layout]
    [back] = read(write(tmp_path / "a.mp4", [Frame(planes, layout, SMALL)]))
    assert [int(plane[9, 9]) for plane in back.planes] == pytest.approx([235, 128, 128], abs=1)


def test_planar_colours_are_not_mixed_up(tmp_path: Path) -> None:
    planes = tuple(np.full(SMALL[::-1], value, np.uint8) for value in (200, 60, 30))
    [back] = read(write(tmp_path / "a.mp4", [Frame(planes, PixelFormat.RGBP, SMALL)]), format=PixelFormat.RGB24)
    assert np.abs(back.planes[0].astype(int) - [200, 60, 30]).max() <= 4


def ramp(size: Size = SMALL) -> Plane:
    return np.tile(np.linspace(0, 255, size.width).astype(np.uint8), (size.height, 1))


@pytest.mark.parametrize("layout", [PixelFormat.I420, PixelFormat.RGBP])
@pytest.mark.parametrize("kind", ALPHA)
def test_alpha_is_kept(tmp_path: Path, kind: str, layout: PixelFormat) -> None:
    frame = i420(alpha=ramp())
    if layout is PixelFormat.RGBP:
        planes = tuple(np.full(SMALL[::-1], value, np.uint8) for value in (200, 60, 30))
        frame = Frame(planes, layout, SMALL, alpha=ramp())
    with MediaReader(write(tmp_path / f"a.{kind}", [frame] * 3, alpha=True)) as reader:
        assert reader.alpha
        back = list(reader)
    assert len(back) == 3
    for frame in back:
        assert frame.alpha is not None
        assert np.abs(frame.alpha.astype(int) - ramp()).mean() < 3
        assert [int(plane[9, 9]) for plane in frame.planes] == pytest.approx([101, 94, 192], abs=3)


@pytest.mark.parametrize("kind", ["mp4", "avi"])
def test_alpha_is_refused_before_any_work_where_it_would_be_lost(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OutputError, match="can't be transparent") as caught:
        MediaWriter(tmp_path / f"a.{kind}", size=SMALL, rate=TEN, alpha=True)
    assert all(name in caught.value.hint for name in (".webm", ".mov", ".mkv"))


def test_a_frame_without_alpha_is_opaque_where_others_have_it(tmp_path: Path) -> None:
    [back] = read(write(tmp_path / "a.mkv", [i420()], alpha=True))
    assert back.alpha is not None
    assert int(back.alpha.min()) == 255


@pytest.mark.parametrize("layout", [PixelFormat.I420, PixelFormat.RGBP])
def test_what_is_transparent_is_not_shown_by_a_file_that_can_not_be(tmp_path: Path, layout: PixelFormat) -> None:
    nothing = np.zeros(SMALL[::-1], np.uint8)
    frame = i420(alpha=nothing)
    if layout is PixelFormat.RGBP:
        frame = Frame((np.full(SMALL[::-1], 200, np.uint8),) * 3, layout, SMALL, alpha=nothing)
    [back] = read(write(tmp_path / "a.mp4", [frame]))
    assert [int(plane[9, 9]) for plane in back.planes] == pytest.approx([16, 128, 128], abs=1)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(16, 70), height=st.integers(16, 70), kind=st.sampled_from(["mkv", "mp4"]), alpha=st.booleans())
def test_any_size_is_written_even(tmp_path: Path, width: int, height: int, kind: str, alpha: bool) -> None:
    size = Size(width, height)
    noise = np.random.default_rng(width).integers(0, 256, (height, width), np.uint8)
    frame = Frame((noise,) * 3, PixelFormat.RGBP, size, alpha=noise if alpha else None)
    path = tmp_path / f"a.{'mkv' if alpha else kind}"
    [back] = read(write(path, [frame], size=size, alpha=alpha, overwrite=True))
    assert back.size == (width & ~1, height & ~1)
    if alpha:
        assert back.alpha is not None
        np.testing.assert_allclose(back.alpha, noise[: back.size.height, : back.size.width], atol=1)


def test_a_pixel_that_is_not_square_stays_so(tmp_path: Path) -> None:
    with MediaReader(write(tmp_path / "a.mp4", ten(), aspect=Fraction(15, 16))) as reader:
        assert reader.aspect == Fraction(15, 16)


@pytest.mark.parametrize(
    ("source", "codec", "target", "expected"),
    [
        ("mp4", "aac", "mp4", "aac"),
        ("mp4", "aac", "mkv", "aac"),
        ("mkv", "libopus", "webm", "opus"),
        ("webm", "libopus", "mkv", "opus"),
        ("mp4", "aac", "webm", "opus"),
        ("webm", "libopus", "mp4", "aac"),
        ("mkv", "flac", "mov", "aac"),
        ("mp4", "aac", "avi", "mp3"),
    ],
)
def test_the_sound_is_kept_in_step_and_ends_with_the_picture(
    tmp_path: Path, source: str, codec: str, target: str, expected: str
) -> None:
    path = with_sound(tmp_path / f"in.{source}", codec)
    with MediaReader(path) as reader:
        write(tmp_path / f"out.{target}", list(reader), sound=reader.sound)
    name, track = sound_of(tmp_path / f"out.{target}")
    assert name == expected
    assert 0.95 < track.size / 48000 < 1.1
    loud = np.flatnonzero(np.abs(track) > 0.25)
    assert loud[0] / 48000 == pytest.approx(0.25, abs=0.03)
    assert np.abs(track[24000:43000]).max() == pytest.approx(0.5, abs=0.1)
    assert len(read(tmp_path / f"out.{target}")) == 10


@pytest.mark.parametrize("target", ["mp4", "webm"])
def test_one_channel_stays_one(tmp_path: Path, target: str) -> None:
    path = with_sound(tmp_path / "in.mkv", "flac", layout="mono")
    write(tmp_path / f"a.{target}", ten(), sound=Sound(path, Fraction(0)))
    with av.open(str(tmp_path / f"a.{target}")) as source:
        assert source.streams.audio[0].codec_context.layout.nb_channels == 1


def test_copied_sound_is_the_same_to_the_byte(tmp_path: Path) -> None:
    path = with_sound(tmp_path / "in.mp4", "aac")
    write(tmp_path / "out.mp4", ten(), sound=Sound(path, Fraction(0)))
    packets = []
    for name in ("in.mp4", "out.mp4"):
        with av.open(str(tmp_path / name)) as source:
            packets.append(
                [bytes(packet) for packet in source.demux(audio=0) if packet.pts is not None and packet.pts >= 0]
            )
    assert len(packets[1]) > 40
    assert packets[1] == packets[0][: len(packets[1])]


def test_sound_before_the_first_picture_is_left_out(tmp_path: Path) -> None:
    path = with_sound(tmp_path / "in.mkv", "libopus")
    write(tmp_path / "out.mkv", ten(), sound=Sound(path, Fraction(1, 5)))
    _, track = sound_of(tmp_path / "out.mkv")
    assert np.flatnonzero(np.abs(track) > 0.25)[0] / 48000 == pytest.approx(0.05, abs=0.03)


def test_a_clip_without_sound_gets_none(tmp_path: Path) -> None:
    with MediaReader(write(tmp_path / "in.mp4", ten())) as reader:
        assert reader.sound is None
        write(tmp_path / "out.mp4", list(reader), sound=reader.sound)
    with av.open(str(tmp_path / "out.mp4")) as source:
        assert len(source.streams) == 1


def test_an_mp4_begins_with_its_index(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mp4", ten()).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_an_exception_discards_the_file_and_leaves_the_old(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with MediaWriter(target, size=SMALL, rate=TEN, overwrite=True) as sink:
            sink.write(i420())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_of_another_is_not_taken_for_the_files(tmp_path: Path) -> None:
    def broken() -> None:
        with MediaWriter(tmp_path / "a.mp4", size=SMALL, rate=TEN):
            raise OSError("camera gone")

    with pytest.raises(OSError, match="camera gone"):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_no_frame_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there was no frame"):
        write(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 20 kB: as near to a full disk as a test comes without root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("kind", VIDEO)
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (40, *SMALL[::-1]), np.uint8)
    frames = [Frame((plane,), PixelFormat.GREY, SMALL, captured_ns=index) for index, plane in enumerate(noise)]
    with pytest.raises(OutputError, match=rf"can't write .*a\.{kind}: file too large"):
        write(tmp_path / f"a.{kind}", frames)
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    cases = [("a.mp4", "exists"), ("none/a.mp4", "no directory"), ("a.xyz", "unknown kind"), ("a", "unknown kind")]
    for name, message in cases:
        with pytest.raises(OutputError, match=message):
            MediaWriter(tmp_path / name, size=SMALL, rate=TEN)
    with pytest.raises(OutputError, match="too small"):
        MediaWriter(tmp_path / "b.mp4", size=Size(1, 9), rate=TEN)


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a frame is 32x32, not 64x48"):
        write(tmp_path / "a.mp4", [i420(), i420(Size(32, 32))])
    assert list(tmp_path.iterdir()) == []


def test_a_real_clip_goes_through_with_its_sound(tmp_path: Path, data: Path) -> None:
    with (
        MediaReader(data / "clips" / "lp_s18_woman_room_1280x720.mp4") as reader,
        MediaWriter(
            tmp_path / "a.mp4", size=reader.size, rate=reader.rate, color=reader.color, sound=reader.sound
        ) as sink,
    ):
        first = None
        for frame in reader:
            first = first or Frame(tuple(plane.copy() for plane in frame.planes), frame.format, frame.size)
            sink.write(frame)
            if frame.sequence == 29:
                break
    back = read(tmp_path / "a.mp4")
    assert len(back) == 30
    assert first is not None
    assert np.abs(back[0].planes[0].astype(int) - first.planes[0]).mean() < 3
    assert 0.9 < sound_of(tmp_path / "a.mp4")[1].size / 48000 < 1.1
