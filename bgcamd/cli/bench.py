"""``bgcam bench``: what a frame costs on this machine, stage by stage."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import cv2
import numpy as np

from bgcamd.assets import demo_path
from bgcamd.canvas.background import Plate
from bgcamd.canvas.host import HostCanvas
from bgcamd.cli.options import SizeOption, engine_options, scene_options
from bgcamd.effort import Quality
from bgcamd.errors import InputError
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.matting.engines import Choice
from bgcamd.networks import Networks
from bgcamd.pipeline import Pipeline
from bgcamd.prepare import background_of, prepare
from bgcamd.protocols import Reader
from bgcamd.scene import Colour, PreparedScene, Scene
from bgcamd.settings import SceneChange
from bgcamd.stats import STAGES, Stats
from bgcamd.video.demo import DemoReader
from bgcamd.video.files.images import read_image
from bgcamd.video.files.paths import open_reader

_DISTINCT = 60  # frames that are kept and shown again and again
_WARM_UP = 10


@click.command()
@scene_options()
@engine_options(threads=1)
@click.option(
    "--quality",
    type=click.Choice(["low", "medium", "high"]),
    default="medium",
    show_default=True,
    help="How much work a frame is worth.",
)
@click.option("--still", is_flag=True, help="Look at a frame only where it differs from one before, as live.")
@click.option("--size", type=SizeOption(), default="1280x720", show_default=True, help="Of the frames.")
@click.option("--frames", type=click.IntRange(1), default=300, show_default=True, help="How many are worked on.")
@click.option("--input", "clip", type=click.Path(path_type=Path), help="A clip to work on; the demo if none is named.")
@click.option("--json", "as_json", is_flag=True, help="Print it for machines.")
def bench(
    *,
    change: SceneChange,
    model: str,
    engine: Choice,
    threads: int,
    quality: Quality,
    still: bool,
    size: Size,
    frames: int,
    clip: Path | None,
    as_json: bool,
) -> None:
    """Measure the pipeline on this machine: YUYV frames in, as of a camera, and I420 out.

    The network looks at each frame, unless --still lets it pass over those that differ little from one before.
    Times are of wall clock and CPU, in ms a frame. The frames lie in memory; no camera or output is waited for.
    """
    cv2.setNumThreads(1)
    with ExitStack() as stack:
        running = Networks(engine, threads, size, quality, carry=still).best(model, lambda _: None)
        stack.callback(running.close)
        plate = Plate(size, PixelFormat.I420, BT601)
        scene = prepare(change.applied_to(Scene(Colour()), background_of), plate, wait=True)
        stack.callback(scene.close)
        result = measure(running.pipeline, scene, _raw_frames(clip, size), frames)
        name = running.pipeline.engine.name
    if as_json:
        click.echo(json.dumps({"engine": name, **result}))
    else:
        click.echo(_page(result, f"{name}; {running.why}", size, frames))


def measure(pipeline: Pipeline, scene: PreparedScene, raws: Iterable[Frame], frames: int) -> dict[str, object]:
    """Run ``frames`` frames, over and over the same, and return what ``--json`` prints; times in ms.

    To a background clip they come at 30 a second. CPU is that of all threads, an engine's own among them. On a GPU
    "infer" is what it takes to start a frame's work, "give" to wait for it.
    """
    endless = _timed(itertools.cycle(list(raws)))
    for raw in itertools.islice(endless, _WARM_UP):
        pipeline.run(raw, scene)
    pipeline.stats = Stats(keep=frames, cpu_ns=time.process_time_ns)
    wall, cpu = time.perf_counter(), time.process_time()
    for raw in itertools.islice(endless, frames):
        pipeline.run(raw, scene)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "stages": pipeline.stats.stages(),
        "cpu_ms_per_frame": round(cpu * 1e3 / frames, 3),
        "cpu_ms_not_inference": round(
            cpu * 1e3 / frames - (pipeline.stats.cpu_ms("infer") + pipeline.stats.cpu_ms("look")) / frames, 3
        ),
        "fps": round(frames / wall, 1),
    }


def _timed(frames: Iterator[Frame]) -> Iterator[Frame]:
    for sequence, frame in enumerate(frames):
        frame.captured_ns, frame.sequence = sequence * 1_000_000_000 // 30, sequence
        yield frame


def _raw_frames(clip: Path | None, size: Size) -> Iterator[Frame]:
    """Frames as a camera sends them, YUYV of ``size``."""
    canvas = HostCanvas(size)
    with _reader(clip, size) as reader:
        for frame in itertools.islice(reader, _DISTINCT):
            y, u, v = canvas.take(frame).planes
            packed = np.empty((*y.shape, 2), np.uint8)
            packed[..., 0] = y
            packed[:, 0::2, 1], packed[:, 1::2, 1] = np.repeat(u, 2, axis=0), np.repeat(v, 2, axis=0)
            yield Frame((packed,), PixelFormat.YUYV, size)


def _reader(clip: Path | None, size: Size) -> Reader:
    if clip is not None:
        return open_reader(clip)
    path = demo_path()
    if not path.is_file():
        raise InputError("the demo's picture has not been fetched", "bgcam models fetch --demo, or --input CLIP")
    return DemoReader(read_image(path), size=size)


def _page(result: dict[str, object], engine: str, size: Size, frames: int) -> str:
    stages = result["stages"]
    lines = [f"{engine}, {size}, {frames} frames", "", "ms       wall p50  wall p95   cpu p50"]
    if isinstance(stages, dict):
        for stage in STAGES:
            times = stages[stage]
            lines.append(f"{stage:<8} {times['wall_p50']:8.2f}  {times['wall_p95']:8.2f}  {times['cpu_p50']:8.2f}")
    lines += [
        "",
        f"{result['cpu_ms_per_frame']} ms of CPU a frame, {result['cpu_ms_not_inference']} ms of it not inference",
    ]
    lines.append(f"{result['fps']} frames per second at most")
    return "\n".join(lines)
