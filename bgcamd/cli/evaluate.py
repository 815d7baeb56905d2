"""``bgcam eval``: how good mattes are, those of files or of a model, by true ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import cv2

from bgcamd.cli.options import engine_options, matte_options
from bgcamd.errors import InputError, UsageError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.matting.engines import Choice, open_engine
from bgcamd.matting.manifest import find_manifest
from bgcamd.prepare import background_of
from bgcamd.process.studio import Studio
from bgcamd.quality.score import LEGEND, METRICS, Score, Scores
from bgcamd.quality.series import Series, matte_of, together
from bgcamd.quality.sheet import Sheet
from bgcamd.scene import Alpha, Scene
from bgcamd.settings import SceneChange
from bgcamd.video.files.image_writer import ImageWriter

_ROWS = 6  # of the sheet: the worst pictures, or the worst frame of each of so many stretches of a clip

Matter = Callable[[Frame, str], Plane]
"""What gives a picture's matte; the text is what messages call the picture."""
Judged = tuple[Plane | None, Plane, Plane]
"""The picture in RGB if it is known, the matte, and the truth."""


@click.command("eval")
@click.argument("pred", metavar="PRED", type=click.Path(path_type=Path))
@click.option("--truth", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The true mattes.")
@engine_options(threads=0, usual=False)
@matte_options
@click.option("--each", is_flag=True, help="Print the figures of every picture, too.")
@click.option("--json", "as_json", is_flag=True, help="Print it for machines, with every picture.")
@click.option(
    "--sheet", metavar="FILE", type=click.Path(path_type=Path), help="Draw the six worst there, to be looked at."
)
@click.option(
    "--images", metavar="DIR", type=click.Path(path_type=Path), help="What PRED are the mattes of, for the sheet."
)
@click.option("--overwrite", is_flag=True, help="Replace the sheet if it is there already.")
def evaluate(
    *,
    pred: Path,
    truth: Path,
    model: str | None,
    engine: Choice,
    threads: int,
    change: SceneChange,
    each: bool,
    as_json: bool,
    sheet: Path | None,
    images: Path | None,
    overwrite: bool,
) -> None:
    """Judge the mattes PRED, or those that --model makes of the pictures PRED, by true ones.

    PRED and DIR are a directory, numbered pictures that make a video (mattes/%04d.png or a glob), a clip, or one
    picture. A matte is grey, or the alpha of what is transparent. Files go together by name without extension,
    frames of a clip by order; one without a partner, or of another size, is an error.

    A model sees what it sees in bgcam process --alpha: of a video one frame after the other, of a directory each
    picture for itself. Of a video there is dtSSD, too.

    \b
    bgcam eval mattes/ --truth truth/
    bgcam eval mattes/%04d.png --truth truth/ --json
    bgcam eval photos/ --truth truth/ --model rvm --sheet rvm.png
    """
    cv2.setNumThreads(1)
    if images is not None and (sheet is None or model is not None):
        raise UsageError("--images is for the sheet of mattes", "with --sheet and without --model")
    if change.edge and model is None:
        raise UsageError(f"--{next(iter(change.edge))} is for the mattes of a model", "with --model")
    with ExitStack() as stack:
        drawing = None if sheet is None else ImageWriter(sheet, overwrite=overwrite)
        given = stack.enter_context(Series(pred))
        followers = [stack.enter_context(Series(path)) for path in (truth, images) if path is not None]
        for follower in followers:
            follower.follow(given)
        title: str = str(pred)
        matte: Matter = matte_of
        if model is not None:
            title, matte = _model(stack, model, engine, threads, given, change=change)
        score, board = Score(video=given.video), Sheet(_ROWS)
        _judge(_judged(given, followers, matte, made=model is not None), given, score, board if drawing else None)
        if drawing is not None:
            _draw(board, stack.enter_context(drawing))
    click.echo(_as_json(title, truth, score) if as_json else _page(title, score, each=each, hint=_hint(given)))


def _model(
    stack: ExitStack, model: str, engine: Choice, threads: int, given: Series, *, change: SceneChange
) -> tuple[str, Matter]:
    """The set's title, and what makes a picture's matte as ``bgcam process --alpha`` does."""
    manifest = find_manifest(model)
    network = stack.enter_context(open_engine(manifest, engine, threads, size=given.reader.size)[0])
    scene = change.applied_to(Scene(Alpha()), background_of)
    passes = manifest.still_passes if given.reader.size is None else None
    studio = Studio(scene, network, format=PixelFormat.RGBP, still_passes=passes)
    stack.callback(studio.close)

    def matte(frame: Frame, _label: str) -> Plane:
        return studio.run(frame).planes[0]

    return f"{given.path}, {network.name}", matte


def _judged(given: Series, followers: list[Series], matte: Matter, *, made: bool) -> Iterator[Judged]:
    for index, (frame, true, *picture) in enumerate(together(given, *followers)):
        label, judge = given.label(index), followers[0].label(index)
        shown = picture[0] if picture else frame if made or frame.alpha is not None else None
        alpha, truth = matte(frame, label), matte_of(true, judge)
        _same_size(label, alpha, judge, truth)
        if shown is not None:
            _same_size(label, alpha, followers[-1].label(index), shown.planes[0])
        yield None if shown is None else shown.planes[0], alpha, truth


def _same_size(label: str, one: Plane, other_label: str, other: Plane) -> None:
    if one.shape[:2] != other.shape[:2]:
        sizes = [Size(plane.shape[1], plane.shape[0]) for plane in (one, other)]
        raise InputError(f"{label} is {sizes[0]}, but {other_label} is {sizes[1]}", "the two must have one size")


def _judge(judged: Iterator[Judged], given: Series, score: Score, board: Sheet | None) -> None:
    stretch = max((given.count or 0) // _ROWS, 1) if given.video else 1
    hidden = given.count == 1 or not sys.stderr.isatty()
    with click.progressbar(judged, length=given.count, hidden=hidden, show_pos=True, file=sys.stderr) as bar:
        for index, (picture, alpha, true) in enumerate(bar):
            name = given.name(index)
            scores = score.add(name, alpha, true)
            if board is not None:
                badness = scores["mad"] if scores["made"] is None else scores["made"]
                caption = "   ".join([name, *_figures(scores, named=True)])
                board.add(index // stretch, caption, badness or 0, picture=picture, alpha=alpha, true=true)


def _draw(board: Sheet, drawing: ImageWriter) -> None:
    sheet = board.draw()
    drawing.write(Frame((sheet,), PixelFormat.RGB24, Size(sheet.shape[1], sheet.shape[0])))


def _as_json(title: str, truth: Path, score: Score) -> str:
    """The set, how many pictures, the means, and every picture; null where a metric has no value."""
    result = {
        "set": title,
        "truth": str(truth),
        "count": len(score.pictures),
        "mean": _rounded(score.means()),
        "pictures": [{"name": name, **_rounded(scores)} for name, scores in score.pictures.items()],
    }
    return json.dumps(result)


def _rounded(scores: Scores) -> Scores:
    return {key: None if value is None else round(value, 6) for key, value in scores.items()}


def _page(title: str, score: Score, *, each: bool, hint: str) -> str:
    count = len(score.pictures)
    rows = {**(score.pictures if each else {}), "mean": score.means()}
    wide = max(map(len, rows))
    lines = [f"{title}, {count} picture{'s' * (count != 1)}", ""]
    lines.append(" ".join([" " * wide, *(f"{metric.title:>8}" for metric in METRICS)]))
    lines += [
        " ".join([f"{name:<{wide}}", *(f"{figure:>8}" for figure in _figures(row))]) for name, row in rows.items()
    ]
    return "\n".join([*lines, "", LEGEND, *([hint] if hint else [])])


def _figures(scores: Scores, *, named: bool = False) -> list[str]:
    """Each metric as text, "–" where it has no value; or only those that have, with their names."""
    values = [(metric, scores[metric.key]) for metric in METRICS]
    if named:
        return [f"{metric.title} {value:.{metric.digits}f}" for metric, value in values if value is not None]
    return ["–" if value is None else f"{value:.{metric.digits}f}" for metric, value in values]


def _hint(given: Series) -> str:
    pattern = given.as_frames()
    return f"Frames of one video? Then say so, {pattern}: there is dtSSD, too." if pattern else ""
