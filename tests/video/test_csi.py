from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, JPEG, Frame, PixelFormat, Size
from bgcamd.protocols import Source
from bgcamd.video.csi import CsiSource
from bgcamd.video.csi.child import Child, Program
from bgcamd.video.csi.programs import without_gaps
from bgcamd.video.stream_address import Csi

SIZE = Size(64, 4)
Add = Callable[[str, str], None]

FRAMES = """
def frame(luma):
    return bytes([luma]) * (64 * 4) + bytes([100]) * 64 + bytes([200]) * 64
"""
ENDLESS = """
while True:
    out.write(frame(80)); out.flush(); time.sleep(0.01)
"""
TO_STDOUT = "out = sys.stdout.buffer\n"
TO_FD = 'out = open(int(next(a for a in sys.argv if a.startswith("fd=")).removeprefix("fd=")), "wb")\n'
INSPECT = "sys.exit(sys.argv[1:] != ['--exists', {element!r}])"


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Add:
    """Adds programs, written in Python, to a PATH that holds nothing else; each notes how it was called."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def add_one(name: str, text: str) -> None:
        file = tmp_path / name
        note = f"open({str(file)!r} + '.called', 'w').write('\\n'.join(sys.argv[1:]))\n"
        file.write_text(f"#!{sys.executable}\nimport sys, time\n" + note + FRAMES + textwrap.dedent(text))
        file.chmod(0o755)

    return add_one


def calls(tmp_path: Path, name: str) -> list[str]:
    return (tmp_path / f"{name}.called").read_text().split("\n")


def newest(source: Source) -> Frame:
    frame = source.read(10)
    assert frame is not None
    return frame


def read_on(source: Source) -> None:
    while True:
        if (frame := source.read(10)) is not None:
            frame.release()


def open_it(number: int = 0, size: Size | None = SIZE, fps: Fraction | None = None) -> CsiSource:
    return CsiSource(Csi(number), size=size, fps=fps)


def test_without_any_program_one_line_says_what_to_install(add: Add) -> None:
    with pytest.raises(SourceError, match="no program here") as caught:
        open_it(3)
    assert caught.value.message.startswith("csi://3")
    assert "rpicam-apps" in caught.value.hint


def test_a_raspberry_pi_s_camera_is_read_through_rpicam_vid(add: Add, tmp_path: Path) -> None:
    add("rpicam-vid", TO_STDOUT + ENDLESS)
    with open_it(1, fps=Fraction(25)) as source:
        frame = newest(source)
        assert (source.name, source.size, source.rate) == ("csi://1 (rpicam-vid)", SIZE, 25)
        assert (frame.format, frame.size, frame.color) == (PixelFormat.I420, SIZE, JPEG)
        assert [(plane.shape, set(plane.flat)) for plane in frame.planes] == [
            ((4, 64), {80}),
            ((2, 32), {100}),
            ((2, 32), {200}),
        ]
        frame.release()
    arguments = " ".join(calls(tmp_path, "rpicam-vid"))
    for wanted in ("--camera 1", "--width 64 --height 4", "--framerate 25", "--codec yuv420", "--output -"):
        assert wanted in arguments


def test_the_older_name_of_that_program_is_known(add: Add) -> None:
    add("libcamera-vid", TO_STDOUT + ENDLESS)
    with open_it() as source:
        assert source.name == "csi://0 (libcamera-vid)"


def test_a_jetson_s_camera_comes_first_and_by_a_pipe_of_its_own(add: Add, tmp_path: Path) -> None:
    add("gst-inspect-1.0", INSPECT.format(element="nvarguscamerasrc"))
    add("gst-launch-1.0", "print('GST_ARGUS: says a lot')\nsys.stdout.flush()\n" + TO_FD + ENDLESS)
    add("rpicam-vid", "sys.exit(1)")
    with open_it(2) as source:
        frame = newest(source)
        assert set(frame.planes[0].flat) == {80}
        assert frame.color == BT601
        frame.release()
    pipeline = " ".join(calls(tmp_path, "gst-launch-1.0"))
    assert "nvarguscamerasrc sensor-id=2 ! video/x-raw(memory:NVMM),width=64,height=4,framerate=30/1" in pipeline


def test_libcamera_s_element_is_the_last_resort(add: Add, tmp_path: Path) -> None:
    add("gst-inspect-1.0", INSPECT.format(element="libcamerasrc"))
    add("gst-launch-1.0", TO_FD + ENDLESS)
    with open_it() as source:
        newest(source).release()
    assert "camera-name" not in " ".join(calls(tmp_path, "gst-launch-1.0"))


def test_libcamera_s_cameras_are_chosen_by_the_names_that_cam_lists(add: Add, tmp_path: Path) -> None:
    add("gst-inspect-1.0", INSPECT.format(element="libcamerasrc"))
    add("gst-launch-1.0", TO_FD + ENDLESS)
    add(
        "cam",
        "print('Available cameras:\\n1: imx219 (/base/soc/imx219@10)\\n2: External camera \\'ov\\' (/base/ov@36)')",
    )
    with open_it(1) as source:
        newest(source).release()
    assert "camera-name=/base/ov@36" in calls(tmp_path, "gst-launch-1.0")
    with pytest.raises(SourceError, match="no such camera") as caught:
        open_it(2)
    assert "there are 2" in caught.value.hint


def test_what_the_program_complains_of_is_told(add: Add) -> None:
    add("rpicam-vid", "print('Preparing\\nERROR: *** no cameras available ***\\nbye', file=sys.stderr)\nsys.exit(255)")
    with pytest.raises(SourceError, match=r"csi://0 \(rpicam-vid\).*no cameras available"):
        open_it()


def test_a_program_that_ends_later_is_told_by_read(add: Add) -> None:
    add(
        "rpicam-vid",
        TO_STDOUT + "for _ in range(3):\n    out.write(frame(1)); out.flush(); time.sleep(0.05)\n"
        "print('the cable came loose', file=sys.stderr)",
    )
    with open_it() as source, pytest.raises(SourceError, match="the cable came loose"):
        read_on(source)


def test_a_program_that_can_t_be_started_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "rpicam-vid"
    broken.write_text("#!/nowhere\n")
    broken.chmod(0o755)
    with pytest.raises(SourceError, match="can't be started: No such file"):
        Child(Program([str(broken)], SIZE))


def test_the_newest_frame_wins_and_memory_is_used_again(add: Add) -> None:
    add(
        "rpicam-vid",
        TO_STDOUT + "n = 0\nwhile True:\n    n += 1\n    out.write(frame(n % 256)); out.flush(); time.sleep(0.002)\n",
    )
    with open_it() as source:
        seen = []
        memory = set()
        for _ in range(30):
            time.sleep(0.005)
            frame = newest(source)
            seen.append(frame.sequence)
            memory.add(frame.planes[0].ctypes.data)
            frame.release()
    assert seen == sorted(set(seen))
    assert seen[-1] - seen[0] > len(seen)
    assert len(memory) < 6


def test_a_frame_keeps_its_picture_while_it_is_held(add: Add) -> None:
    add(
        "rpicam-vid",
        TO_STDOUT + "n = 0\nwhile True:\n    n += 1\n    out.write(frame(n % 256)); out.flush(); time.sleep(0.002)\n",
    )
    with open_it() as source:
        held = newest(source)
        before = held.planes[0].copy()
        for _ in range(5):
            newest(source).release()
        assert np.array_equal(held.planes[0], before)
    assert np.array_equal(held.planes[0], before)
    held.release()


def test_closing_interrupts_the_program_which_may_put_the_camera_away(add: Add, tmp_path: Path) -> None:
    text = """
    try:
        while True:
            out.write(frame(80)); out.flush(); time.sleep(0.01)
    except KeyboardInterrupt:
        open(sys.argv[0] + '.tidy', 'w').close()
    """
    add(
        "rpicam-vid",
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + TO_STDOUT + textwrap.dedent(text),
    )
    source = open_it()
    source.close()
    source.close()
    assert (tmp_path / "rpicam-vid.tidy").exists()


def test_a_program_that_does_not_heed_is_killed(add: Add, tmp_path: Path) -> None:
    add(
        "rpicam-vid",
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "open(sys.argv[0] + '.pid', 'w').write(str(os.getpid()))\n" + TO_STDOUT + ENDLESS,
    )
    open_it().close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "rpicam-vid.pid").read_text()), 0)


@given(st.builds(Size, st.integers(1, 5000), st.integers(1, 5000)))
def test_a_size_without_gaps_is_near_what_was_asked(size: Size) -> None:
    found = without_gaps(size)
    assert (found.width % 64, found.height % 2) == (0, 0)
    assert abs(found.width - size.width) <= max(32, 64 - size.width)
    assert abs(found.height - size.height) <= 1


@pytest.mark.parametrize("size", [Size(640, 480), Size(1280, 720), Size(1920, 1080), Size(3840, 2160)])
def test_the_usual_sizes_are_given_as_asked(size: Size) -> None:
    assert without_gaps(size) == size
