"""``bgcam process``: the same pipeline without a daemon, from any input to any outputs."""

from __future__ import annotations

import itertools
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click
import cv2

from bgcamd.cli.options import engine_options, scene_options
from bgcamd.errors import OutputError, UsageError
from bgcamd.frame import Frame
from bgcamd.matting.engines import Choice
from bgcamd.matting.manifest import find_manifest
from bgcamd.paths import DEFAULT_INSTANCE
from bgcamd.prepare import background_of
from bgcamd.process.job import Job
from bgcamd.process.outputs import parse_targets
from bgcamd.scene import Remove, Scene
from bgcamd.service.gallery import PLAIN, files_in, usual_folders
from bgcamd.settings import SceneChange
from bgcamd.streams import check_stream
from bgcamd.video.address import File, parse_camera


@click.command()
@click.argument("input_", metavar="INPUT", type=click.Path())
@click.argument("outputs", metavar="[OUTPUT]...", nargs=-1, type=click.Path())
@scene_options(alpha=True)
@engine_options(threads=0)
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
def process(
    *,
    input_: str,
    outputs: tuple[str, ...],
    change: SceneChange,
    model: str,
    engine: Choice,
    threads: int,
    overwrite: bool,
) -> None:
    """Replace the background of INPUT and write it to each OUTPUT.

    INPUT is a picture, a video, numbered pictures that make a video (frames/%04d.png or a glob), a directory of
    pictures, each for itself; or a camera or a stream, until Ctrl-C: /dev/video0, rtsp://HOST/PATH, rtp://@:5004,
    webrtc://@:8554/input, csi://0.

    OUTPUT is a picture, a video, or a directory (it exists, or ends in "/"), which gets one PNG for each picture or
    frame; or a live one: loopback:, /dev/video10, display://0, webrtc://@:8554/output, rtsp://@:8554/output,
    rtp://HOST:5004. A camera without an OUTPUT is shown on display://0. Without a background the result is
    transparent, as with --remove; live it is black.

    \b
    bgcam process --replace=snow.jpg photo.jpg out.jpg
    bgcam process photo.jpg cutout.png
    bgcam process --blur talk.mp4 blurred.mp4
    bgcam process --alpha photos/ mattes/
    bgcam process --replace=coral.jpg /dev/video0 display://0
    bgcam process --replace=coral.jpg /dev/video0 recording.mp4 webrtc://@:8554/output
    """
    cv2.setNumThreads(1)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("bgcamd.live.capture").setLevel(logging.ERROR)  # the input says the same, or raises it
    source = parse_camera(input_)
    if not outputs and isinstance(source, File):
        raise UsageError(f"{input_} to where?", "name one OUTPUT or more, such as out.png, out.mp4 or display://0")
    targets = parse_targets(outputs or ["display://0"])
    for address in (source, *targets.live):
        check_stream(address)
    scene = change.applied_to(Scene(Remove()), background_of)
    offered = [choice.background for choice in (*files_in(usual_folders(DEFAULT_INSTANCE, None)), *PLAIN[1:3])]
    job = Job(source, targets, scene, find_manifest(model), engine, threads, overwrite, offered)
    stopped = threading.Event()
    with _ended_by_signals(stopped, live=job.live):
        job.run(stopped, _progress, lambda place: click.echo(place, err=True))


@contextmanager
def _ended_by_signals(stopped: threading.Event, *, live: bool) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a terminal that closes end the work after the frame in hand; a second one does at once.

    Nothing half-written stays; what has no end of its own is complete then. An exception raised by the handler itself
    might come up where Python only prints it, and the work would go on.
    """
    came: list[int] = []

    def end(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        came.append(number)
        stopped.set()

    ours = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = [signal.signal(number, end) for number in ours]  # not what nohup has set
    try:
        yield
    except OutputError:
        if not came:
            raise
    finally:
        for number, handler in zip(ours, before, strict=True):
            signal.signal(number, handler)
    if came and not live:
        sys.exit(128 + came[0])


def _progress(frames: Iterable[Frame], count: int | None) -> Iterator[Frame]:
    """A bar with the frame rate and the time left, on a terminal and for more than one frame."""
    start, done = time.monotonic(), 0

    def rate(_: object) -> str:
        return f"{done / max(time.monotonic() - start, 1e-3):.1f} fps"

    endless = itertools.count() if count is None else None
    with click.progressbar(
        endless,
        length=count,
        hidden=count == 1 or not sys.stderr.isatty(),
        show_pos=True,
        item_show_func=rate,
        file=sys.stderr,
    ) as bar:
        for frame in frames:
            yield frame
            done += 1
            bar.update(1, done)
