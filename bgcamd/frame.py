"""What moves through the program: sizes, formats, frames, and the protocols of those who handle them.

A ``Frame`` is borrowed memory: whoever took it calls ``release()`` when done, once, and does not touch the
planes after that. All samples are uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bgcamd.scene import Edge, PreparedScene

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


class _Closing(Protocol):
    """A resource is a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Source(_Closing, Protocol):
    """A live camera, or what stands in for one."""

    @property
    def name(self) -> str:
        """What a person would call it, for ``status``."""

    @property
    def size(self) -> Size:
        """The size of its frames."""

    @property
    def rate(self) -> Fraction:
        """Frames per second, nominal."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not yet read, waiting at most ``timeout_s``; None when none came.

        Raises SourceError when the camera is lost; the source is then of no more use but to be closed.
        """


class Reader(_Closing, Protocol):
    """A file, or a set of files, whose frames are all read, in order, once.

    Each frame is valid until the next is asked for, or until released.
    """

    @property
    def size(self) -> Size | None:
        """The size of its frames; None where they may differ (a directory of pictures)."""

    @property
    def rate(self) -> Fraction:
        """Frames per second, nominal; 0 for stills."""

    @property
    def count(self) -> int | None:
        """How many frames there are, as far as is known beforehand."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame. Raises InputError where the input is damaged."""


class Sink(_Closing, Protocol):
    """Where finished frames go.

    Leaving the context without an exception completes the output; leaving it with one discards what was
    written (a file appears whole or not at all).
    """

    @property
    def name(self) -> str:
        """What a person would call it, for ``status``."""

    def write(self, frame: Frame) -> None:
        """Take one frame; the planes are copied or consumed before this returns.

        Raises SinkError (live outputs, temporary) or OutputError (files).
        """


@runtime_checkable
class Watched(Protocol):
    """A sink that knows whether anybody sees what it is given; of any other, somebody may always be."""

    @property
    def watched(self) -> bool:
        """Whether anybody looks now; asked ten times a second, by the thread that writes."""


class Canvas(Protocol):
    """Pixels, in the one working format and size that the canvas was made for. One frame at a time.

    All arrays returned belong to the canvas and are valid until the same verb is called again.
    colours_edges: whether soft pixels get the person's own colour, without the old room's.
    """

    colours_edges: bool

    @property
    def size(self) -> Size:
        """The size of its frames."""

    def take(self, raw: Frame, *, mirror: bool = False) -> Frame:
        """Bring a source's frame, of any format and size, into the working planes; ``raw`` is released once copied."""

    def moved(self) -> int:
        """The largest change of any part of the picture taken last since ``refine``, 0..255; 255 where not known."""

    def look(self, region: Region | None) -> None:
        """Say what of the frames ``shrink`` shows the network from now on; None for all. Not part of recorded work."""

    def shrink(self, frame: Frame, spec: InputSpec, *, mirrored: bool = False) -> Tensor:
        """Return what the network sees, (1, 3, h, w)."""

    def keep(self, matte: Matte) -> None:
        """Keep a matte, the answer to a mirrored look, so that ``refine`` joins it with the next one."""

    def glance(self, matte: Matte) -> None:
        """Add a matte, the answer to an unmirrored look, to what ``glanced`` will tell of this frame. As ``refine``."""

    def refine(self, matte: Matte, frame: Frame, edge: Edge = ...) -> Tensor:
        """Return the alpha, uint8 (height, width), 255 = person, times the frame's own alpha if it has one.

        ``matte`` is the network's answer to what ``shrink`` returned last, which may serve as a guide; beyond what
        it looked at nobody is. What was seen is remembered from frame to frame, to be steady, until ``forget``. Of
        a matte that is not what it must be nothing is shown: EngineError, raised here or by ``give``.
        """

    def glanced(self) -> Plane:
        """Return who was seen in the frame given last: uint8 of ``GLANCE``'s shape, the most of all glances; ours."""

    def forget(self) -> None:
        """The next frame has nothing to do with the last."""

    def compose(self, frame: Frame, alpha: Tensor, scene: PreparedScene) -> Frame:
        """Return the picture that viewers see."""

    def give(self, done: Frame) -> Frame:
        """Return ``done`` in memory that a sink can read."""


class Engine(_Closing, Protocol):
    """A network that tells who is in front; keeps its recurrent state from frame to frame."""

    @property
    def name(self) -> str:
        """Model and runtime, as in "selfie on cpu (onnxruntime 1.32.0)"."""

    @property
    def follows(self) -> bool:
        """Whether it is better shown the part of a frame that the person is in."""

    def fit(self, size: Size) -> InputSpec:
        """Choose the input for frames of ``size`` and forget the state. Not on the hot path."""

    def infer(self, tensor: Tensor) -> Matte:
        """Run the network on one input, as ``fit`` specified it. Raises EngineError."""

    def reset(self) -> None:
        """Forget the recurrent state: the next frame has nothing to do with the last."""
