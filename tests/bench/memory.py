"""Memory over 10,000 frames while the scene changes every 500.

python tests/bench/memory.py [--frames N]
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import cv2
from measuring import HD, as_sent, demo_frames, held, resident_mb, show, write_clip, write_picture

from bgcamd.canvas.background import Plate
from bgcamd.canvas.host import HostCanvas
from bgcamd.frame import BT601, PixelFormat, Size
from bgcamd.matting.engines import open_engine
from bgcamd.matting.manifest import find_manifest
from bgcamd.pipeline import Pipeline
from bgcamd.prepare import prepare
from bgcamd.scene import Blur, Clip, Colour, Fit, Picture, Remove, Scene

_EACH = 500
_FIRST = 1000


@click.command()
@click.option("--frames", default=10_000, show_default=True)
def main(frames: int) -> None:
    """Run the frames and print what the process holds: at the first 1000, then after each round of all scenes."""
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(open_engine(find_manifest("selfie"), "cpu", 1)[0])
        pipeline = Pipeline(HostCanvas(HD), engine)
        sent = [as_sent(frame, PixelFormat.YUYV) for frame in demo_frames(HD, 30)]
        scenes = _scenes(folder)
        rows: list[tuple[object, ...]] = []
        for done in range(0, frames, _EACH):
            with ExitStack() as scene_stack:
                scene = prepare(next(scenes), Plate(HD, PixelFormat.I420, BT601))
                scene_stack.callback(scene.close)
                for raw in itertools.islice(itertools.cycle(sent), _EACH):
                    raw.captured_ns = time.monotonic_ns()  # the clip goes on with the clock
                    pipeline.run(raw, scene)
            count = done + _EACH
            if count == _FIRST or (count - _FIRST) % (_EACH * _SCENES) == 0 or count >= frames:
                rows.append((count, f"{resident_mb():.1f}", *held()))
    show(
        f"what the process holds, {HD}, another scene every {_EACH} frames",
        ("frames", "RSS MB", "fds", "threads"),
        rows,
    )
    click.echo(f"\nmost ever: {resident_mb(field='VmHWM'):.1f} MB")


_SCENES = 6


def _scenes(folder: Path) -> Iterator[Scene]:
    """All kinds, over and over."""
    picture = write_picture(folder / "picture.png", Size(4000, 3000))
    clip = write_clip(folder / "clip.mp4", Size(640, 360), 60)
    kinds = (Picture(picture), Blur(), Clip(clip), Colour(), Picture(picture), Remove())
    scenes = [Scene(kind, Fit.COVER, mirror=number == 4) for number, kind in enumerate(kinds)]
    return itertools.cycle(scenes)


if __name__ == "__main__":
    main()
