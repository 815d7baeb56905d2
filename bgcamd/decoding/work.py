"""What a decoder does: files that are held open become pictures in memory that was given."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from bgcamd.canvas.background import Plate
from bgcamd.canvas.moving import rounds
from bgcamd.canvas.planes import Planes
from bgcamd.decoding.memory import SMALL
from bgcamd.errors import InputError
from bgcamd.frame import Frame, PixelFormat, Plane
from bgcamd.protocols import Reader
from bgcamd.scene import Fit
from bgcamd.video.files.images import DAMAGE, HINT, brief, decoded, opened, read_image
from bgcamd.video.files.paths import Kind, classify, open_reader

MOST_PIXELS = 64_000_000
"""Of a still picture: decoding takes some 15 bytes a pixel, beside a call."""
MOST_IN_CLIP = 8192 * 4320
"""Pixels of a clip's frame, of which a decoder keeps a dozen."""


class Paces(Protocol):
    """Who says how fast a clip is decoded."""

    def place(self) -> int | None:
        """Wait for a place to decode into; None ends the clip."""

    def came(self, place: int, due_ns: int) -> None:
        """Take note of a picture, and of its time."""


def kind_of(path: Path) -> Kind:
    """Whether it is a picture or a clip. Raises InputError for what is neither."""
    kind = classify(path)
    if kind not in (Kind.IMAGE, Kind.CLIP):
        raise InputError(f"{path} is {kind.value}, no background", "give a picture, a GIF or a video")
    return kind


def picture(path: Path, plate: Plate, fit: Fit, planes: Planes) -> None:
    """Decode a still picture into ``planes``. Raises InputError."""
    plate.lay(read_image(path, most=MOST_PIXELS), fit, planes)


def play(path: Path, plate: Plate, fit: Fit, places: list[Planes], daemon: Paces) -> None:
    """Decode a clip, round after round, as ``daemon`` wants it. Raises InputError."""
    with closing(rounds(lambda: clip_reader(path, plate))) as frames:
        for due_ns, frame in frames:
            if frame.size.width * frame.size.height > MOST_IN_CLIP:
                raise InputError(f"{path} has frames of {frame.size} pixels", "scale it down first")
            if (place := daemon.place()) is None:
                return
            plate.lay(frame, fit, places[place])
            daemon.came(place, due_ns)


def clip_reader(path: Path, plate: Plate) -> Reader:
    """Open a clip in the plate's own format, so that nothing has to be converted twice."""
    if plate.format is PixelFormat.I420:
        return open_reader(path, format=PixelFormat.I420, color=plate.color)
    return open_reader(path, format=PixelFormat.RGB24)


def small(path: Path) -> Planes:
    """The middle of a picture, or of a clip's first frame, as fresh planes of ``SMALL``, R, G, B. Raises InputError."""
    frame = _reduced(path) if kind_of(path) is Kind.IMAGE else _first(path)
    rgb = cv2.resize(_cut(frame.planes[0]), SMALL, interpolation=cv2.INTER_AREA)
    if frame.alpha is not None:  # what is transparent becomes black, as it does when it is shown
        alpha = cv2.resize(_cut(frame.alpha), SMALL, interpolation=cv2.INTER_AREA)
        rgb = cv2.multiply(rgb, cv2.merge([alpha] * 3), scale=1 / 255)
    return tuple(cv2.split(rgb))


def _reduced(path: Path) -> Frame:
    with opened(path, most=MOST_PIXELS) as image:
        try:
            image.draft("RGB", (2 * SMALL.width, 2 * SMALL.height))  # a JPEG is decoded small
            return decoded(image)
        except DAMAGE as error:
            raise InputError(f"can't read {path}: the picture is damaged: {brief(error)}", HINT) from error


def _first(path: Path) -> Frame:
    with open_reader(path, format=PixelFormat.RGB24) as reader:
        for frame in reader:
            rgb = frame.planes[0].copy()
            alpha = None if frame.alpha is None else frame.alpha.copy()
            return Frame((rgb,), PixelFormat.RGB24, frame.size, alpha=alpha)
    raise InputError(f"{path} holds no picture", HINT)


def _cut(plane: Plane) -> Plane:
    """The largest part of ``SMALL``'s shape, from the middle."""
    height, width = plane.shape[:2]
    scale = min(width / SMALL.width, height / SMALL.height)
    wide, high = max(round(SMALL.width * scale), 1), max(round(SMALL.height * scale), 1)
    top, left = (height - high) // 2, (width - wide) // 2
    return np.ascontiguousarray(plane[top : top + high, left : left + wide])
