"""How good the mattes are, plain and as they are drawn: photos, a clip, and the clip's man small in a larger room.

python tests/bench/mattes.py [--data FOLDER] [--frames N]; FOLDER holds photos/NAME/{images,truth} and
video_truth/NAME/{frames,alpha}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import click
import cv2
import numpy as np
from measuring import show

from bgcamd.canvas.host import HostCanvas
from bgcamd.effort import Governor
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.matting.engines import open_engine
from bgcamd.matting.manifest import Manifest, find_manifest
from bgcamd.pipeline import Pipeline
from bgcamd.protocols import Engine
from bgcamd.quality.score import METRICS, Score
from bgcamd.scene import USUAL_EDGE, Alpha, Edge, PreparedScene, Scene
from bgcamd.video.files.images import read_image

_SMALL = 0.4  # the man's size in the larger room to that in his own
Pairs = Iterator[tuple[Plane, Plane]]


@dataclass(frozen=True)
class Way:
    """How mattes are made. plain: the network's answer for the whole frame, enlarged, and nothing else."""

    title: str
    model: str
    looks: int = 1
    plain: bool = False

    @property
    def manifest(self) -> Manifest:
        """The model, without what is done about its weaknesses where it is to be plain."""
        shipped = find_manifest(self.model)
        if not self.plain:
            return shipped
        return replace(
            shipped, input=replace(shipped.input, follow=False), output=replace(shipped.output, softness=1.0)
        )

    @property
    def edge(self) -> Edge:
        """Steady in time, or each frame for itself."""
        return Edge(smooth=0) if self.plain else USUAL_EDGE


WAYS = (
    Way("selfie, plain", "selfie", plain=True),
    Way("selfie", "selfie"),
    Way("selfie, 2 looks", "selfie", looks=2),
    Way("rvm, plain", "rvm", plain=True),
    Way("rvm", "rvm"),
)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"), show_default=True)
@click.option("--frames", default=180, show_default=True, help="Of a clip.")
def main(data: Path, frames: int) -> None:
    """Print a table for each set that is there."""
    cv2.setNumThreads(1)
    sets = [*_photos(data), *_clips(data)]
    if not sets:
        raise click.ClickException(f"no pictures with true mattes in {data}")
    for title, folder, video, small in sets:
        rows = []
        for way in WAYS:
            with open_engine(way.manifest, "cpu", 1)[0] as engine:
                pairs = islice(_smaller(_pairs(folder)) if small else _pairs(folder), frames)
                rows.append([way.title, *_figures(engine, way, pairs, video=video)])
        show(title, ["", *(metric.title for metric in METRICS)], rows)


def _photos(data: Path) -> list[tuple[str, Path, bool, bool]]:
    return [(f"photos, {f.name}", f, False, False) for f in sorted(data.glob("photos/*")) if (f / "truth").is_dir()]


def _clips(data: Path) -> list[tuple[str, Path, bool, bool]]:
    clips = [folder for folder in sorted(data.glob("video_truth/*")) if (folder / "alpha").is_dir()]
    return [(f"clip, {f.name}{', small' * small}", f, True, small) for f in clips for small in (False, True)]


def _pairs(folder: Path) -> Pairs:
    """Pictures, RGB, and their true mattes."""
    images, truth = ("images", "truth") if (folder / "images").is_dir() else ("frames", "alpha")
    for image in sorted((folder / images).iterdir()):
        true = read_image(folder / truth / f"{image.stem}.png")
        yield read_image(image).planes[0], true.planes[0] if true.format is PixelFormat.GREY else true.planes[0][..., 0]


def _smaller(pairs: Pairs) -> Pairs:
    """The person small before another wall: grey, with a door, and moving slowly to the right."""
    for number, (picture, true) in enumerate(pairs):
        height, width = true.shape
        size = Size(int(width * _SMALL), int(height * _SMALL))
        room = np.full((height, width, 3), (150, 146, 138), np.uint8)
        room[height // 5 :, width * 3 // 5 : width * 4 // 5] = (104, 78, 58)
        alpha = np.zeros_like(true)
        person, share = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (picture, true))
        part = np.s_[height - size.height :, width // 5 + number // 2 : width // 5 + number // 2 + size.width]
        weight = share[..., None].astype(np.float32) / 255
        room[part] = np.rint(room[part] * (1 - weight) + person * weight)
        alpha[part] = share
        yield room, alpha


def _figures(engine: Engine, way: Way, pairs: Pairs, *, video: bool) -> list[str]:
    score = Score(video=video)
    scene = PreparedScene(Scene(Alpha(), edge=way.edge))
    pipeline: Pipeline | None = None
    for number, (picture, true) in enumerate(pairs):
        size = Size(picture.shape[1], picture.shape[0])
        if pipeline is None or not video:
            governor = Governor("high") if way.looks == 2 else None
            pipeline = Pipeline(HostCanvas(size, PixelFormat.RGBP), engine, governor=governor)
            pipeline.forget()
        passes = 1 if video or (way.plain and not way.manifest.states) else way.manifest.still_passes
        done = pipeline.run(Frame((picture,), PixelFormat.RGB24, size), scene, passes=passes)
        score.add(str(number), done.planes[0], true)
    means = score.means()
    return ["–" if (value := means[metric.key]) is None else f"{value:.{metric.digits}f}" for metric in METRICS]


if __name__ == "__main__":
    main()
