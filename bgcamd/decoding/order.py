"""What the daemon and a decoder say to each other, over a Unix socket that keeps messages apart.

The daemon sends an ``Order`` as JSON, with the file and the memory for the pictures as descriptors. The decoder answers
with JSON, ``{"kind": …}``, ``{"done": true}`` or ``{"error": …, "hint": …}``. While it plays a clip it sends a
``CAME`` for every picture instead, and the daemon a ``FREE`` for every place that may be used again.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from bgcamd.canvas.background import Plate
from bgcamd.frame import Color, PixelFormat, Size
from bgcamd.scene import Fit

MOST_BYTES = 4096
"""A message is no longer."""
_MOST_TEXT = 300
CAME = struct.Struct("<4sIq")
"""b"came", the place, the time in the clip in ns."""
FREE = struct.Struct("<I")
"""The place."""

Job = Literal["kind", "picture", "small", "play"]


@dataclass(frozen=True)
class Order:
    """One job.

    name: what errors call the file.
    size, format, matrix, full_range, fit: the plate and how a picture is laid into it; of "kind" nothing counts.
    places: how many pictures the memory has room for.
    free: the places into which a clip may be decoded at once. begin_ns: the time of its first picture.
    """

    job: Job
    name: str
    size: tuple[int, int] = (2, 2)
    format: str = PixelFormat.I420.value
    matrix: str = "bt601"
    full_range: bool = False
    fit: str = Fit.COVER.value
    places: int = 1
    free: tuple[int, ...] = ()
    begin_ns: int = 0

    def packed(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode()

    @property
    def plate(self) -> Plate:
        """What pictures are laid into."""
        matrix: Literal["bt601", "bt709"] = "bt709" if self.matrix == "bt709" else "bt601"
        return Plate(Size(*self.size), PixelFormat(self.format), Color(matrix, self.full_range))


def order_from(raw: bytes) -> Order:
    """The order that was packed."""
    fields = json.loads(raw)
    return Order(**{**fields, "size": tuple(fields["size"]), "free": tuple(fields["free"])})


def order_for(job: Job, name: str, plate: Plate, fit: Fit) -> Order:
    """An order for pictures on that plate."""
    color = plate.color
    return Order(job, name, plate.size, plate.format.value, color.matrix, color.full_range, fit.value)


def answered(answer: Mapping[str, str]) -> bytes:
    """An answer as it is sent, its texts cut where they are too long."""
    return json.dumps({key: text[:_MOST_TEXT] for key, text in answer.items()}).encode()


def answer_from(raw: bytes) -> dict[str, str]:
    """What a decoder answered, which may be anything: texts of one printable line each. Raises ValueError."""
    try:
        answer = json.loads(raw)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(answer, dict):
        raise ValueError("no object")
    return {key[:20]: _plain(value) for key, value in answer.items()}


def _plain(value: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(value)[:_MOST_TEXT])
