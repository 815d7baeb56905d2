"""What is not inference, against the inference; and what taking a frame costs in each format of a camera.

python tests/bench/stages.py [--rounds N] [--frames N]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import cv2
from measuring import HD, as_sent, demo_frames, show, spread, write_picture

from bgcamd.canvas.host import HostCanvas
from bgcamd.frame import Frame, PixelFormat, Size

SIZES = ("640x480", "1280x720", "1920x1080")
QUALITIES = ("low", "medium", "high")


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured, in turn.")
@click.option("--frames", default=200, show_default=True, help="In each measurement.")
def main(rounds: int, frames: int) -> None:
    """Measure the stages in turn, round after round, each in a process of its own, and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        picture = write_picture(Path(folder) / "picture.png", Size(1920, 1080))
        backgrounds = {"picture": ["--replace", str(picture)], "colour": ["--color", "#00b140"], "blur": ["--blur"]}
        cases = [(size, name) for size in SIZES for name in backgrounds]
        runs: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
        for _ in range(rounds):
            for size, name in cases:
                runs[size, name].append(_bench(frames, "--size", size, *backgrounds[name]))
    rows = [(*case, *_columns(runs[case])) for case in cases]
    head = ("size", "background", "CPU a frame", "inference", "not inference", "not inference / inference")
    show(f"ms of CPU a frame, one thread: median (min..max) of {rounds} rounds of {frames} frames", head, rows)
    show_qualities(rounds, frames, picture_size=Size(1280, 720))
    show_takes(rounds, frames)


def show_qualities(rounds: int, frames: int, picture_size: Size) -> None:
    """Measure what each quality costs, before a colour, and `rvm`."""
    cases = [("selfie", quality) for quality in QUALITIES] + [("rvm", "medium")]
    runs: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in range(rounds):
        for model, quality in cases:
            options = ("--size", str(picture_size), "--model", model, "--quality", quality, "--engine", "cpu")
            runs[model, quality].append(_bench(frames if model == "selfie" else frames // 4, *options))
    rows = [(*case, *_columns(runs[case])) for case in cases]
    head = ("model", "quality", "CPU a frame", "inference", "not inference", "not inference / inference")
    show(f"ms of CPU a frame of {picture_size}, by quality", head, rows)


def _bench(frames: int, *options: str) -> tuple[float, float]:
    """CPU ms a frame: in all, and of what is not inference."""
    command = [sys.executable, "-c", "from bgcamd.cli import main; main()", "bench", "--json", "--frames", str(frames)]
    found = json.loads(subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True).stdout)
    return found["cpu_ms_per_frame"], found["cpu_ms_not_inference"]


def _columns(runs: list[tuple[float, float]]) -> tuple[str, ...]:
    return (
        spread(whole for whole, _ in runs),
        spread(whole - rest for whole, rest in runs),
        spread(rest for _, rest in runs),
        spread(rest / (whole - rest) for whole, rest in runs),
    )


def show_takes(rounds: int, frames: int) -> None:
    """Measure ``Canvas.take`` alone."""
    cv2.setNumThreads(1)
    canvas = HostCanvas(HD)
    formats = (PixelFormat.I420, PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.MJPG)
    sent = {each: [as_sent(frame, each) for frame in demo_frames(HD, 30)] for each in formats}
    times: dict[PixelFormat, list[float]] = {each: [] for each in formats}
    for _ in range(rounds):
        for each in formats:
            times[each].append(_take_ms(canvas, sent[each], frames))
    rows = [(each.name, spread(times[each], 3)) for each in formats]
    show(f"ms of CPU to take a frame of {HD}, by the camera's format (MJPG: 4:2:0, quality 90)", ("", "take"), rows)


def _take_ms(canvas: HostCanvas, sent: list[Frame], frames: int) -> float:
    for frame in sent[:5]:
        canvas.take(frame)
    before = time.thread_time_ns()
    for number in range(frames):
        canvas.take(sent[number % len(sent)])
    return (time.thread_time_ns() - before) / frames / 1e6


if __name__ == "__main__":
    main()
