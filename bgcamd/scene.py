"""What the viewer sees: a background and how it is laid behind the person. Immutable; swapped whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bgcamd.frame import Plane


class Fit(StrEnum):
    """How a background of another shape fills the frame."""

    COVER = "cover"
    """scaled to fill, the surplus cut off evenly (the default)"""
    CONTAIN = "contain"
    """scaled to fit inside, black bars"""
    STRETCH = "stretch"
    """scaled to the frame, shape not kept"""
    TILE = "tile"
    """not scaled, repeated from the upper left corner"""


@dataclass(frozen=True)
class Keep:
    """The picture as it is; no network runs."""


@dataclass(frozen=True)
class Remove:
    """Nothing behind the person: transparent where the output can hold it, else black."""


@dataclass(frozen=True)
class Alpha:
    """The matte alone, as a grey picture: 0 = background, 255 = person."""


@dataclass(frozen=True)
class Blur:
    """The room, blurred. strength: 1..100; 100 leaves only large patches of colour."""

    strength: int = 50


@dataclass(frozen=True)
class Colour:
    """One colour. rgb: three values of 0..255."""

    rgb: tuple[int, int, int] = (0, 177, 64)


@dataclass(frozen=True)
class Picture:
    """A still picture. path: the file as we can read it; name: what the user called it."""

    path: Path
    name: str = ""


@dataclass(frozen=True)
class Clip:
    """A moving picture (GIF or video), played in a loop at its own rate. Fields as of Picture."""

    path: Path
    name: str = ""


Background = Keep | Remove | Alpha | Blur | Colour | Picture | Clip


@dataclass(frozen=True)
class Edge:
    """How the person's outline is drawn.

    feather: 0..100, how much softer; 100 blurs it over 3 % of the picture's height.
    shift: -100..100, how far outward (or inward); 100 is 3 % of the picture's height.
    threshold: 1..99, how sure the network must be that something is the person, in percent.
    smooth: 0..100, how steady in time where nothing moves; 0 takes each frame for itself.
    light_wrap: 0..100, how much light of the new background falls on the outline.
    """

    feather: int = 0
    shift: int = 0
    threshold: int = 50
    smooth: int = 90
    light_wrap: int = 0


EDGE_RANGES = {
    "feather": (0, 100),
    "shift": (-100, 100),
    "threshold": (1, 99),
    "smooth": (0, 100),
    "light_wrap": (0, 100),
}
"""The least and the most of each field of ``Edge``, for whoever reads one from outside."""


def check_edge(asked: Mapping[str, int]) -> None:
    """Raise ValueError where a field of ``Edge`` is out of its range."""
    for key, value in asked.items():
        low, high = EDGE_RANGES[key]
        if not low <= value <= high:
            raise ValueError(f"{key} is {value}, must be {low}..{high}")


USUAL_EDGE = Edge()
"""What fits most pictures."""


@dataclass(frozen=True)
class Scene:
    """Everything that ``bgcam set`` can change about the picture.

    mirror flips the camera's picture left to right; a replaced background stays as it is, so that writing
    on it can be read.
    """

    background: Background = field(default_factory=Blur)
    fit: Fit = Fit.COVER
    mirror: bool = False
    edge: Edge = USUAL_EDGE


class Backdrop(Protocol):
    """A background made ready: planes in the canvas's own format and size."""

    @property
    def problem(self) -> str:
        """What is wrong with it, for ``status``; "" for nothing."""

    def planes_at(self, time_ns: int) -> tuple[Plane, ...]:
        """The planes to show at this time of the output: the backdrop's memory, valid until the next call.

        Another picture comes in another tuple, the same one in the same.
        """

    def close(self) -> None:
        """Free what it holds (a decoder, a thread); called exactly once, when no longer shown."""


@dataclass(frozen=True)
class PreparedScene:
    """A scene and its decoded background; ``backdrop`` is None where none is needed (Keep, Remove, Blur, Alpha)."""

    scene: Scene
    backdrop: Backdrop | None = None

    def close(self) -> None:
        """Close the backdrop, if there is one."""
        if self.backdrop is not None:
            self.backdrop.close()
