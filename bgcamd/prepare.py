"""From a scene to one that is ready to be shown: pictures decoded and fitted, clips opened. Slow; never in the loop."""

from __future__ import annotations

from pathlib import Path

from bgcamd.canvas.background import Plate, Still
from bgcamd.canvas.moving import Moving
from bgcamd.errors import InputError
from bgcamd.frame import PixelFormat
from bgcamd.protocols import Reader
from bgcamd.scene import Alpha, Backdrop, Blur, Clip, Colour, Keep, Picture, PreparedScene, Remove, Scene
from bgcamd.video.files.images import MAX_PIXELS, read_image
from bgcamd.video.files.paths import Kind, classify, open_reader

LIVE_PIXELS = 64_000_000  # decoding takes some 15 bytes a pixel, beside a call


def prepare(scene: Scene, plate: Plate, *, holds_alpha: bool = False, wait: bool = False) -> PreparedScene:
    """Make ``scene`` ready for frames of ``plate``'s shape; the caller closes what it gets.

    holds_alpha: the output can be transparent. wait: a background clip keeps step with the frames' own times,
    however long it takes (files), instead of with the clock (live). Raises InputError.
    """
    return PreparedScene(scene, _backdrop(scene, plate, holds_alpha=holds_alpha, wait=wait))


def _backdrop(scene: Scene, plate: Plate, *, holds_alpha: bool, wait: bool) -> Backdrop | None:
    match scene.background:
        case Picture(path):
            return Still(plate.picture(read_image(path, most=MAX_PIXELS if wait else LIVE_PIXELS), scene.fit))
        case Clip(path):
            return Moving(lambda: _clip(path, plate), plate, scene.fit, wait=wait)
        case Colour(rgb):
            return Still(plate.solid(rgb))
        case Remove() if not holds_alpha:
            return Still(plate.solid((0, 0, 0)))
        case Keep() | Remove() | Alpha() | Blur():
            return None


def _clip(path: Path, plate: Plate) -> Reader:
    """Open a clip in the plate's own format, so that nothing has to be converted twice."""
    if plate.format is PixelFormat.I420:
        return open_reader(path, format=PixelFormat.I420, color=plate.color)
    return open_reader(path, format=PixelFormat.RGB24)


def background_of(path: Path, name: str = "") -> Picture | Clip:
    """Say what kind of background a file is, by its content. Raises InputError when it is neither."""
    match classify(path):
        case Kind.IMAGE:
            return Picture(path, name or path.name)
        case Kind.CLIP:
            return Clip(path, name or path.name)
        case kind:
            raise InputError(f"{path} is {kind.value}, no background", "give a picture, a GIF or a video")
