"""What the measurements share: real frames in every format of a camera, what a process holds, and tables."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import click
import cv2
import numpy as np

from bgcamd.assets import demo_path
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.video.demo import DemoReader
from bgcamd.video.files.images import read_image
from bgcamd.video.files.media_writer import MediaWriter

HD = Size(1280, 720)


def demo_frames(size: Size, count: int) -> Iterator[Frame]:
    """The first frames of the demo, I420; each valid until the next."""
    return itertools.islice(DemoReader(read_image(demo_path()), size=size), count)


def as_sent(frame: Frame, format: PixelFormat) -> Frame:  # noqa: A002 - the field's standard name
    """An I420 frame as a camera of that format would send it, in memory of its own."""
    return Frame(_PACKED[format](*frame.planes), format, frame.size)


def _yuyv(y: Plane, u: Plane, v: Plane) -> tuple[Plane, ...]:
    packed = np.empty((*y.shape, 2), np.uint8)
    packed[..., 0] = y
    packed[:, 0::2, 1], packed[:, 1::2, 1] = np.repeat(u, 2, axis=0), np.repeat(v, 2, axis=0)
    return (packed,)


def _nv12(y: Plane, u: Plane, v: Plane) -> tuple[Plane, ...]:
    return y.copy(), np.stack((u, v), axis=2)


def _i420(y: Plane, u: Plane, v: Plane) -> tuple[Plane, ...]:
    return y.copy(), u.copy(), v.copy()


def _mjpg(y: Plane, u: Plane, v: Plane) -> tuple[Plane, ...]:
    block = np.concatenate([plane.reshape(-1, y.shape[1]) for plane in (y, u, v)])
    bgr = cv2.cvtColor(block, cv2.COLOR_YUV2BGR_I420)
    return (cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].reshape(-1),)


_PACKED: dict[PixelFormat, Callable[[Plane, Plane, Plane], tuple[Plane, ...]]] = {
    PixelFormat.YUYV: _yuyv,
    PixelFormat.NV12: _nv12,
    PixelFormat.I420: _i420,
    PixelFormat.MJPG: _mjpg,
}


def write_picture(path: Path, size: Size) -> Path:
    """A picture with something in it everywhere; return its path."""
    seeds = np.random.default_rng(1).integers(0, 256, (size.height // 40, size.width // 40, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(seeds, size, interpolation=cv2.INTER_CUBIC))
    return path


def write_clip(path: Path, size: Size, frames: int) -> Path:
    """The first frames of the demo as a file, 30 a second; return its path."""
    with MediaWriter(path, size=size, rate=Fraction(30)) as sink:
        for frame in demo_frames(size, frames):
            sink.write(frame)
    return path


def resident_mb(pid: int | str = "self", field: str = "VmRSS") -> float:
    """MB (10**6 bytes) of memory that a process holds; ``VmHWM`` for the most that it ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"/proc/{pid}/status has no {field}")


def held(pid: int | str = "self") -> tuple[int, ...]:
    """How many file descriptors and threads a process has."""
    return tuple(sum(1 for _ in Path(f"/proc/{pid}/{kind}").iterdir()) for kind in ("fd", "task"))


def spread(values: Iterable[float], digits: int = 2) -> str:
    """The median, with the least and the largest of the runs."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):.{digits}f} ({ordered[0]:.{digits}f}..{ordered[-1]:.{digits}f})"


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown, as docs/benchmarks.md has it."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    click.echo("\n".join(["", title, "", *lines]))
