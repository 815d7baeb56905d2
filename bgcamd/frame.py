"""What moves through the program: sizes, formats, frames, what a network sees and what it answers.

A ``Frame`` is borrowed memory: whoever took it calls ``release()`` when done, once, and does not touch the
planes after that. All samples are uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Tensor: TypeAlias = Any
"""What a canvas and an engine hand each other: arrays of NumPy on the CPU, ``cuda.gpu.DeviceArray`` on a GPU. A
pipeline needs two of a kind."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class Region(NamedTuple):
    """A rectangle of a frame, in pixels; all even, but for the end of a frame of an odd size."""

    left: int
    top: int
    width: int
    height: int


GLANCE = Size(160, 90)
"""The size of the small alpha by which the person is followed, whatever the frame's aspect."""


class Change(NamedTuple):
    """How a picture differs from one before it.

    most: the largest change of any part of it, 0..255; 255 where that is not known.
    cut: whether nearly all of it is another: a cut in a film, or the light switched on; False where not known.
    """

    most: int
    cut: bool


UNKNOWN_CHANGE = Change(255, cut=False)


class PixelFormat(Enum):
    """How a frame's planes are laid out; the value is the FourCC that V4L2 uses where there is one.

    w, h are the frame's size; cw = (w + 1) // 2, ch = (h + 1) // 2.
    """

    I420 = "YU12"
    """Y (h, w), U (ch, cw), V (ch, cw); with two more planes, see ``Frame.alpha``."""
    NV12 = "NV12"
    """Y (h, w), UV interleaved (ch, cw, 2)."""
    YUYV = "YUYV"
    """one plane (h, w, 2): Y in channel 0, U and V in turn in channel 1; w is even."""
    MJPG = "MJPG"
    """one plane (n,): a whole JPEG file of n bytes."""
    GREY = "GREY"
    """one plane (h, w)."""
    RGB24 = "RGB3"
    """one plane (h, w, 3)."""
    RGBP = "RGBP:planar"
    """R, G, B, each (h, w): full-resolution planes for stills (no V4L2 FourCC)."""


@dataclass(frozen=True)
class Color:
    """How YUV samples stand for colours: the matrix, and whether Y uses 0..255 or 16..235."""

    matrix: Literal["bt601", "bt709"] = "bt601"
    full_range: bool = False


BT601 = Color()
"""What webcams send and what readers of a virtual camera assume."""
BT709 = Color("bt709")
"""What HD video files hold."""
JPEG = Color("bt601", full_range=True)
"""What JPEG holds; also the nominal colour of RGB frames, where it says nothing."""


class Frame:
    """One picture, as planes of uint8.

    Attributes
    ----------
    planes: the arrays that ``format`` describes; the source's memory, valid until ``release()``.
    size: width and height; also for MJPG, where it is what the source announced.
    color: the meaning of YUV samples; ignored for RGB24, RGBP and GREY.
    alpha: None, or one more plane (h, w), straight (not premultiplied), 255 = opaque.
    captured_ns: live sources: CLOCK_MONOTONIC of the exposure; files: time from the start of the clip. ns.
    sequence: counts up by one per frame that the source made, so that a gap shows dropped frames.
    """

    __slots__ = ("_release", "alpha", "captured_ns", "color", "format", "planes", "sequence", "size")

    def __init__(
        self,
        planes: tuple[Plane, ...],
        format: PixelFormat,  # noqa: A002 - the field's standard name
        size: Size,
        *,
        color: Color = BT601,
        alpha: Plane | None = None,
        captured_ns: int = 0,
        sequence: int = 0,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.planes = planes
        self.format = format
        self.size = size
        self.color = color
        self.alpha = alpha
        self.captured_ns = captured_ns
        self.sequence = sequence
        self._release = release

    def release(self) -> None:
        """Give the memory back to who owns it; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to see: an NCHW tensor of shape (1, 3, height, width), float32, or float16 with ``half``.

    A pixel p of 0..255 in channel c becomes ``(p * scale - mean[c]) / std[c]``; with ``scale_to_max`` the
    factor is 1 / the largest sample of the picture instead (as U²-Net was trained), 0 for a black one.
    Channels are R, G, B, or B, G, R with ``bgr``. Only a GPU's engine asks for ``half``.
    """

    size: Size
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False
    scale_to_max: bool = False
    half: bool = False


@dataclass(frozen=True)
class Matte:
    """A network's answer.

    alpha: float32 (h, w), 0..1, 1 = person, at the network's own size; the engine's memory, valid until
        its next ``infer``. NaN where the network gave no number.
    softness: how many times wider its outline is than the true edge; what ``Canvas.refine`` makes up for.
    foreground: None, or float32 (3, h, w), R, G, B in 0..1: the person's own colour, as some networks give.
    """

    alpha: Tensor
    softness: float = 1.0
    foreground: Tensor | None = None
