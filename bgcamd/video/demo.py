"""The camera for machines without one: a photograph, seen as a hand-held webcam would."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.frame import BT601, Frame, PixelFormat, Plane, Size

_HD = Size(1280, 720)
_PART = 0.95
"""The part of the largest window of the frame's shape that is seen at rest; the remainder is room to sway."""


class DemoReader:
    """A clip that loops without a seam: a photograph under a gentle sway, turn and zoom. The same every time.

    Yields I420 BT.601 frames in memory that the next one overwrites.

    Parameters
    ----------
    picture: RGB24; a portrait, the head in its upper half. Not needed after this returns.
    size: of the frames.
    rate: frames per second.
    seconds: the length of the clip.

    Raises
    ------
    ValueError: the picture is not RGB24.
    """

    def __init__(self, picture: Frame, *, size: Size = _HD, rate: Fraction = Fraction(30), seconds: int = 20) -> None:
        if picture.format is not PixelFormat.RGB24:
            raise ValueError(f"the demo's picture is {picture.format.name}, not RGB24")
        self.size = size
        self.rate = rate
        self.count = int(seconds * rate)
        self._photo, self._rest = _fitted(picture.planes[0], size)
        chroma = ((size.height + 1) // 2, (size.width + 1) // 2)
        self._planes: tuple[Plane, ...] = tuple(
            np.empty(shape, np.uint8) for shape in ((size.height, size.width), chroma, chroma)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.count):
            luma = self._view(number / self.count)
            for source, target, matrix in zip(
                self._photo, self._planes, (luma, _halved(luma), _halved(luma)), strict=True
            ):
                cv2.warpAffine(
                    source,
                    matrix,
                    (target.shape[1], target.shape[0]),
                    dst=target,
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                )
            captured_ns = int(number * 1_000_000_000 / self.rate)
            yield Frame(
                self._planes, PixelFormat.I420, self.size, color=BT601, captured_ns=captured_ns, sequence=number
            )

    def _view(self, phase: float) -> NDArray[np.float64]:
        """Frame to photograph, 2x3, at a phase of 0..1: waves that all close after one pass."""
        turn = 2 * math.pi * phase
        across = 0.55 * math.sin(2 * turn) + 0.35 * math.sin(5 * turn + 1)
        down = 0.5 * math.sin(3 * turn + 2) + 0.35 * math.sin(7 * turn)
        angle = math.radians(0.35) * math.sin(3 * turn + 0.5)
        zoom = 1 - 0.012 * (1 - math.cos(turn))
        sway = 0.012 * self.size.width
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        x, y = (self.size.width - 1) / 2, (self.size.height - 1) / 2
        left, top = self._rest
        return np.array(
            [
                [cos, -sin, left + x + sway * across - cos * x + sin * y],
                [sin, cos, top + y + sway * 0.6 * down - sin * x - cos * y],
            ]
        )


def _fitted(rgb: Plane, size: Size) -> tuple[tuple[Plane, Plane, Plane], tuple[float, float]]:
    """Scale the photograph once, so that no frame has to: its I420 planes, and where a frame lies at rest."""
    height, width = rgb.shape[:2]
    scale = max(size.width / width, size.height / height) / _PART
    scaled = tuple(2 * math.ceil(side * scale / 2) for side in (width, height))
    large = cv2.resize(rgb, scaled, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    # OpenCV takes each chroma sample from one pixel of four; here that pixel holds the mean of the four.
    half = cv2.resize(large, (scaled[0] // 2, scaled[1] // 2), interpolation=cv2.INTER_AREA)
    meaned = cv2.resize(half, scaled, interpolation=cv2.INTER_NEAREST)
    luma = cv2.cvtColor(large, cv2.COLOR_RGB2YUV_I420)[: scaled[1]]
    chroma = cv2.cvtColor(meaned, cv2.COLOR_RGB2YUV_I420)[scaled[1] :]
    blue, red = chroma.reshape(2, scaled[1] // 2, scaled[0] // 2)
    spare_x = scaled[0] - size.width
    room_above = size.height * (1 / _PART - 1) / 2
    return (luma, blue, red), (spare_x / 2, room_above)


def _halved(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same view for planes of half the size, whose samples lie between those of luma: x = 2 x' + 0.5."""
    halved = matrix.copy()
    halved[:, 2] = (matrix[:, 0] * 0.5 + matrix[:, 1] * 0.5 + matrix[:, 2] - 0.5) / 2
    return halved
