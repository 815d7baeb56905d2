"""Which program reads a CSI camera on this machine, and how it is asked for I420 without gaps.

=============================  ==================  =========================================================
what                           where               rows of its buffers
=============================  ==================  =========================================================
GStreamer, nvarguscamerasrc    Jetson              nvvidconv copies them into GStreamer's own I420
rpicam-vid, libcamera-vid      Raspberry Pi OS     written as they are: Y rounded up to 64 bytes, U and V to 32
GStreamer, libcamerasrc        any with libcamera  videoconvert copies them into GStreamer's own I420
=============================  ==================  =========================================================

GStreamer's own I420 rounds each plane's rows up to 4 bytes. So where the width is a multiple of 64 and the height is
even, none of them leaves a gap: other sizes are not asked for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, JPEG, Size
from bgcamd.video.csi.child import PIPE, Program

_STEP = 64
_ASK_S = 20.0  # GStreamer's first start looks at all its plug-ins
_CAM_LINE = re.compile(r"\s*\d+: .*\(([^()]+)\)\s*")


def without_gaps(size: Size) -> Size:
    """The size next to this whose rows no program pads."""
    return Size(max(_STEP, (size.width + _STEP // 2) // _STEP * _STEP), max(2, size.height & ~1))


def find_program(number: int, size: Size, fps: Fraction) -> Program:
    """What to start for a camera. Raises SourceError where there is nothing."""
    for way in (_argus, _rpicam, _libcamera):
        program = way(number, size, fps)
        if program is not None:
            return program
    raise SourceError(
        f"csi://{number}: there is no program here that reads a CSI camera",
        "Raspberry Pi: apt install rpicam-apps; Jetson: JetPack has it; "
        "else: apt install gstreamer1.0-tools gstreamer1.0-libcamera",
    )


def _argus(number: int, size: Size, fps: Fraction) -> Program | None:
    if not _has_element("nvarguscamerasrc"):
        return None
    source = ["nvarguscamerasrc", f"sensor-id={number}"]
    kept = ["!", f"video/x-raw(memory:NVMM),{_caps(size, fps)}", "!", "nvvidconv"]
    return _gstreamer([*source, *kept], f"video/x-raw,format=I420,{_caps(size, fps)}", size)


def _rpicam(number: int, size: Size, fps: Fraction) -> Program | None:
    path = shutil.which("rpicam-vid") or shutil.which("libcamera-vid")
    if path is None:
        return None
    picture = ["--width", str(size.width), "--height", str(size.height), "--framerate", f"{float(fps):.6g}"]
    out = ["--codec", "yuv420", "--flush", "--timeout", "0", "--nopreview", "--verbose", "0", "--output", "-"]
    return Program([path, "--camera", str(number), *picture, *out], size, JPEG)  # it asks libcamera for sYCC


def _libcamera(number: int, size: Size, fps: Fraction) -> Program | None:
    if not _has_element("libcamerasrc"):
        return None
    source = ["libcamerasrc", *([f"camera-name={_camera_name(number)}"] if number else [])]
    newest = ["queue", "leaky=downstream", "max-size-buffers=1"]
    start = [*source, "!", f"video/x-raw,{_caps(size, fps)}", "!", *newest, "!", "videoconvert"]
    # HD is BT.709 to GStreamer, where nothing else is said; videoconvert changes the colours, too.
    return _gstreamer(start, f"video/x-raw,format=I420,{_caps(size, fps)},colorimetry=bt601", size)


def _gstreamer(start: list[str], caps: str, size: Size) -> Program:
    """Pictures go by a pipe of their own: nvarguscamerasrc talks on the standard output."""
    pipeline = [*start, "!", caps, "!", "fdsink", f"fd={PIPE}", "sync=false"]
    return Program(["gst-launch-1.0", "--quiet", *pipeline], size, BT601)


def _caps(size: Size, fps: Fraction) -> str:
    return f"width={size.width},height={size.height},framerate={fps.numerator}/{fps.denominator}"


def _has_element(name: str) -> bool:
    """Whether GStreamer is here, with this element."""
    inspected = _asked("gst-inspect-1.0", "--exists", name)
    return inspected is not None and inspected.returncode == 0 and shutil.which("gst-launch-1.0") is not None


def _camera_name(number: int) -> str:
    """The name of libcamera's camera of a number; its tool counts from 1. Raises SourceError."""
    listed = _asked("cam", "--list")
    lines = listed.stdout.splitlines() if listed is not None else []
    names = [match[1] for line in lines if (match := _CAM_LINE.fullmatch(line))]
    if number < len(names):
        return names[number]
    hint = (
        f"there are {len(names)}, counted from 0" if names else "apt install libcamera-tools, which knows the cameras"
    )
    raise SourceError(f"csi://{number}: libcamera knows no such camera", hint)


def _asked(*command: str) -> subprocess.CompletedProcess[str] | None:
    """What a program answers; None where it is not there or does not end."""
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
