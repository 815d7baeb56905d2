"""From a scene to one that is ready to be shown: pictures decoded and fitted, clips opened. Slow; never in the loop."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from bgcamd.canvas.background import Plate, Still
from bgcamd.canvas.moving import Moving
from bgcamd.canvas.planes import Planes
from bgcamd.decoding.clip import Played
from bgcamd.decoding.decoders import Decoders
from bgcamd.decoding.work import clip_reader, kind_of
from bgcamd.errors import InputError
from bgcamd.scene import Alpha, Backdrop, Blur, Clip, Colour, Fit, Keep, Picture, PreparedScene, Remove, Scene
from bgcamd.video.files.images import read_image
from bgcamd.video.files.paths import Kind

_log = logging.getLogger(__name__)


def prepare(
    scene: Scene, plate: Plate, *, holds_alpha: bool = False, wait: bool = False, decoders: Decoders | None = None
) -> PreparedScene:
    """Make ``scene`` ready for frames of ``plate``'s shape; the caller closes what it gets.

    holds_alpha: the output can be transparent. wait: a background clip keeps step with the frames' own times,
    however long it takes (files), instead of with the clock (live). decoders: read pictures and clips, live; without
    them this process does, which is for files of whoever started it. Raises InputError.
    """
    return PreparedScene(scene, _backdrop(scene, plate, decoders, holds_alpha=holds_alpha, wait=wait))


def prepare_first(scene: Scene, plate: Plate, decoders: Decoders) -> PreparedScene:
    """The daemon's first scene. A saved picture that can no longer be shown gives way to a blur: never the room."""
    try:
        return prepare(scene, plate, decoders=decoders)
    except InputError as error:
        _log.warning("%s; the background is blurred instead", error)
        return prepare(replace(scene, background=Blur()), plate)


def _backdrop(
    scene: Scene, plate: Plate, decoders: Decoders | None, *, holds_alpha: bool, wait: bool
) -> Backdrop | None:
    match scene.background:
        case Picture(path):
            return Still(decoders.picture(path, plate, scene.fit) if decoders else _picture(path, plate, scene.fit))
        case Clip(path) if decoders:
            return Played(path, plate, scene.fit, decoders)
        case Clip(path):
            return Moving(lambda: clip_reader(path, plate), plate, scene.fit, wait=wait)
        case Colour(rgb):
            return Still(plate.solid(rgb))
        case Remove() if not holds_alpha:
            return Still(plate.solid((0, 0, 0)))
        case Keep() | Remove() | Alpha() | Blur():
            return None


def _picture(path: Path, plate: Plate, fit: Fit) -> Planes:
    return plate.picture(read_image(path), fit)


def background_of(path: Path, name: str = "") -> Picture | Clip:
    """Say what kind of background a file is, by its content. Raises InputError when it is neither."""
    kind = kind_of(path)
    return Picture(path, name or path.name) if kind is Kind.IMAGE else Clip(path, name or path.name)
