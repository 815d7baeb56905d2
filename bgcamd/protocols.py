"""Those who handle frames, as protocols: where they come from, who works on them, where they go.

A class of ours, or of a test, need not derive from any of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from bgcamd.frame import Change, Frame, InputSpec, Matte, Plane, Region, Size, Tensor

if TYPE_CHECKING:
    from bgcamd.scene import Edge, PreparedScene


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


class Command(Enum):
    """What a viewer asks of the program."""

    NEXT_BACKGROUND = "next background"
    MIRROR = "mirror"
    QUIT = "quit"


@runtime_checkable
class Steering(Protocol):
    """A sink through which its viewer gives orders, such as a window with keys."""

    def commands(self) -> Sequence[Command]:
        """What was asked since the last call, in order; asked after every ``write``, by the same thread."""


class Canvas(Protocol):
    """Pixels, in the one working format and size that the canvas was made for. One frame at a time.

    All arrays returned belong to the canvas and are valid until the same verb is called again.
    sharpens: whether mattes are steadied and brought onto the picture's edges, or only made steeper; a GPU always does.
    colours_edges: whether soft pixels get the person's own colour, without the old room's.
    """

    sharpens: bool
    colours_edges: bool

    @property
    def size(self) -> Size:
        """The size of its frames."""

    def take(self, raw: Frame, *, mirror: bool = False) -> Frame:
        """Bring a source's frame, of any format and size, into the working planes; ``raw`` is released once copied."""

    def moved(self) -> Change:
        """How the picture taken last differs from the one at the last ``refine``."""

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
