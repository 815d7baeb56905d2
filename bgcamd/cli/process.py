"""``bgcam process``: the same pipeline over files, every frame in order, no daemon."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import cv2

from bgcamd.canvas.host import HostCanvas
from bgcamd.cli.options import engine_options, scene_options
from bgcamd.effort import Governor
from bgcamd.errors import InputError, OutputError
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Size
from bgcamd.matting.engines import Choice, open_engine
from bgcamd.matting.manifest import find_manifest
from bgcamd.pipeline import Pipeline, fit_to
from bgcamd.prepare import background_of, prepare
from bgcamd.protocols import Engine
from bgcamd.scene import PreparedScene, Remove, Scene
from bgcamd.settings import SceneChange
from bgcamd.video.files.paths import FileReader, FileWriter, Kind, holds_alpha, open_reader, open_writer, output_kind


@click.command()
@click.argument("input_", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path())
@scene_options(alpha=True)
@engine_options(threads=0)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there already.")
def process(
    *, input_: Path, output: str, change: SceneChange, model: str, engine: Choice, threads: int, overwrite: bool
) -> None:
    """Replace the background of INPUT and write OUTPUT.

    INPUT is a picture, a video, numbered pictures that make a video (frames/%04d.png or a glob), or a directory of
    pictures, each for itself. OUTPUT is a picture, a video, or a directory (it exists, or ends in "/"), which gets
    one PNG for each picture or frame. Without a background the result is transparent, as with --remove.

    \b
    bgcam process --replace=snow.jpg photo.jpg out.jpg
    bgcam process photo.jpg cutout.png
    bgcam process --blur talk.mp4 blurred.mp4
    bgcam process --alpha photos/ mattes/
    """
    cv2.setNumThreads(1)
    _end_tidily()
    scene = change.applied_to(Scene(Remove()), background_of)
    alpha = isinstance(scene.background, Remove)
    video_out = output_kind(output) is Kind.CLIP
    manifest = find_manifest(model)
    with ExitStack() as stack:
        reader = open_reader(input_, format=PixelFormat.I420 if video_out else PixelFormat.RGB24)
        stack.enter_context(reader)
        if alpha and not holds_alpha(output):  # said after what is wrong with INPUT: the two may be in the wrong order
            raise _opaque(output)
        size = fit_to(None, reader.size) if video_out and reader.size else None
        writer = open_writer(output, reader, size=size, alpha=alpha, overwrite=overwrite)
        network = stack.enter_context(open_engine(manifest, engine, threads, size=reader.size)[0])
        studio = Studio(scene, network, still_passes=manifest.still_passes, alpha=alpha, video=video_out, reader=reader)
        stack.callback(studio.close)
        with writer:
            _work(reader, writer, studio)
    _complain(reader, output)


def _end_tidily() -> None:
    """Let SIGTERM, and a terminal that closes, end the work as Ctrl-C does: nothing half-written stays."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wishes
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def _opaque(output: str) -> OutputError:
    kinds = ".webm, .mov or .mkv" if output_kind(output) is Kind.CLIP else ".png or .webp"
    return OutputError(
        f"{output} can't be transparent", f"write {kinds}, or choose a background: --replace, --blur, --color"
    )


class Studio:
    """A pipeline for frames of whatever size comes next; a directory's pictures may each have another."""

    def __init__(
        self, scene: Scene, engine: Engine, *, still_passes: int, alpha: bool, video: bool, reader: FileReader
    ) -> None:
        self._scene, self._engine, self._alpha = scene, engine, alpha
        self._still = reader.size is None
        self._passes = still_passes if self._still else 1
        self._format = PixelFormat.I420 if video else PixelFormat.RGBP
        self._color: Color = getattr(reader, "color", BT601)
        self._ready: tuple[Pipeline, PreparedScene] | None = None

    def close(self) -> None:
        """Free the background; the engine is borrowed."""
        if self._ready is not None:
            self._ready[1].close()

    def run(self, frame: Frame) -> Frame:
        """Return the result for one frame, valid until the next call."""
        pipeline, scene = self._fitting(fit_to(None, frame.size) if self._format is PixelFormat.I420 else frame.size)
        if self._still:
            pipeline.forget()
        return pipeline.run(frame, scene, passes=self._passes)

    def _fitting(self, size: Size) -> tuple[Pipeline, PreparedScene]:
        if self._ready is None or self._ready[0].canvas.size != size:
            self.close()
            canvas = HostCanvas(size, self._format, color=self._color, holds_alpha=self._alpha)
            scene = prepare(self._scene, canvas.plate, holds_alpha=self._alpha, wait=True)
            governor = Governor("high") if self._still else None
            self._ready = Pipeline(canvas, self._engine, governor=governor), scene
        return self._ready


def _work(reader: FileReader, writer: FileWriter, studio: Studio) -> None:
    with _progress(reader.count) as step:
        for frame in reader:
            writer.write(studio.run(frame))
            step()


@contextmanager
def _progress(count: int | None) -> Iterator[Callable[[], None]]:
    """A bar with the frame rate and the time left, on a terminal and for more than one frame."""
    start, done = time.monotonic(), 0

    def rate(_: object) -> str:
        return f"{done / max(time.monotonic() - start, 1e-3):.1f} fps"

    hidden = count == 1 or not sys.stderr.isatty()
    with click.progressbar(length=count, hidden=hidden, show_pos=True, item_show_func=rate, file=sys.stderr) as bar:

        def step() -> None:
            nonlocal done
            done += 1
            bar.update(1, done)

        yield step


def _complain(reader: FileReader, output: str) -> None:
    """What could be read has been written; what could not is still an error."""
    if reader.damage:
        raise InputError(reader.damage, f"what could be read is in {output}")
