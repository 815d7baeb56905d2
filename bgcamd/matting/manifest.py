"""What we know about a network: one TOML file each, so that adding a model takes no code.

The shipped ones are in ``models/``, and how to write one in ``models/README.md``. A manifest says where the
weights come from, what the network wants to see, and what its answer means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from bgcamd.assets import Asset
from bgcamd.errors import ModelError
from bgcamd.frame import InputSpec, Size
from bgcamd.paths import models_folder, shipped
from bgcamd.tables import read_toml

Triple = tuple[float, float, float]
_MIN_SIDE = 64  # px: a banner of 3000x20 would otherwise leave a recurrent network no rows to halve


@dataclass(frozen=True)
class Input:
    """What the network wants to see: float32 (1, 3, h, w).

    name: the ONNX input's.
    size: width and height of a network of one size; the frame is stretched to it.
    long_side, multiple: of a network that takes any size: the frame keeps its aspect, its long side becomes
        ``long_side`` px, and both sides are rounded to multiples of ``multiple``.
    scale: the factor that brings samples of 0..255 to what the network was trained on, "max" = 1 / the
        picture's largest sample.
    mean, std: per channel, applied after ``scale``: (x - mean) / std.
    order: of the channels; mean and std are in the same.
    follow: show the part of the frame that the person is in, not all of it; for networks of one size, without states,
        that look for people.
    constants: further inputs, each of shape (1,), that never change.
    """

    name: str
    size: tuple[int, int] | None = None
    long_side: int | None = None
    multiple: int = 1
    scale: float | Literal["max"] = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    order: Literal["rgb", "bgr"] = "rgb"
    follow: bool = False
    constants: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.size is None) == (self.long_side is None):
            raise ValueError("size or long_side must be given, and not both")
        sides = self.size or (self.long_side or 0,)
        if not all(1 <= side <= 8192 for side in (*sides, self.multiple)):
            raise ValueError("size, long_side and multiple must be 1 to 8192")
        if not all(self.std):
            raise ValueError("std must not be 0")
        if self.scale == 0:
            raise ValueError("scale must not be 0")

    def spec(self, frame: Size) -> InputSpec:
        """Say what a canvas should make of frames of this size."""
        scale = 1.0 if self.scale == "max" else self.scale
        return InputSpec(
            size=self._fitted(frame),
            scale=scale,
            mean=self.mean,
            std=self.std,
            bgr=self.order == "bgr",
            scale_to_max=self.scale == "max",
        )

    def _fitted(self, frame: Size) -> Size:
        if self.long_side is None:
            return Size(*(self.size or (0, 0)))
        factor = self.long_side / max(frame)
        width, height = (max(round(side * factor / self.multiple) * self.multiple, _MIN_SIDE) for side in frame)
        return Size(width, height)


@dataclass(frozen=True)
class Output:
    """What the network's answer means.

    alpha: the ONNX output that holds the alpha, (1, c, h, w) or (c, h, w) or (h, w).
    channel: which c is the person, where there are several.
    activation: what brings the output to 0..1, if the network does not: "sigmoid", or "softmax" over c.
    minmax: stretch the smallest value to 0 and the largest to 1 (as U²-Net's authors do).
    softness: how many times wider the answer's outline is than the true edge; a canvas makes up for it.
    foreground: the ONNX output that holds the person's own colour, (1, 3, h, w), RGB in 0..1.
    """

    alpha: str
    channel: int = 0
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    minmax: bool = False
    softness: float = 1.0
    foreground: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.softness <= 100:
            raise ValueError("softness must be 1 to 100")


@dataclass(frozen=True)
class State:
    """One recurrent state: the ONNX output that comes back as an input, from zeros of ``shape`` at first."""

    input: str
    output: str
    shape: tuple[int, ...] = (1, 1, 1, 1)


@dataclass(frozen=True)
class Convert:
    """How the file that was fetched becomes ONNX."""

    source: Literal["tflite"]


@dataclass(frozen=True)
class Manifest:
    """One model.

    name: as in ``--model NAME``.
    title, licence: for people; ``notice`` is said when it is fetched.
    asset: where the weights come from, or ``file``: where they are (in TOML relative to the manifest).
    still_passes: how often a still is shown, until a network's state has settled, or it is known where to look.
    """

    name: str
    title: str
    licence: str
    input: Input
    output: Output
    description: str = ""
    notice: str = ""
    asset: Asset | None = None
    file: str | None = None
    convert: Convert | None = None
    states: tuple[State, ...] = ()
    still_passes: int = 1

    def __post_init__(self) -> None:
        if self.input.follow and self.states:
            raise ValueError("input.follow is not for recurrent networks: their states are of one place")
        if not self.name or not set(self.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_."):
            raise ValueError("name must be of a-z, 0-9, '-', '_' and '.'")
        if (self.asset is None) == (self.file is None):
            raise ValueError("asset or file must be given, and not both")
        if self.convert is not None and self.asset is None:
            raise ValueError("convert needs an asset: a file of your own must be ONNX")
        if not 1 <= self.still_passes <= 100:
            raise ValueError("still_passes must be 1 to 100")

    def path(self) -> Path:
        """Where the ONNX file is, or will be.

        A fetched file's name holds the first digits of its asset's sha256: a manifest that changes never finds
        the weights of another.
        """
        if self.asset is None:
            return Path(self.file or "")
        return models_folder() / f"{self.name}-{self.asset.sha256[:8]}.onnx"


def all_manifests() -> list[Manifest]:
    """Read every shipped manifest, by name. Raises ModelError."""
    return [find_manifest(name) for name in _names()]


def find_manifest(name_or_path: str) -> Manifest:
    """Read a shipped manifest by its name, or one of the user's by its path (it ends in .toml or holds a slash).

    Raises
    ------
    ModelError: there is none, or it is wrong.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        return read_manifest(Path(name_or_path))
    names = _names()
    if name_or_path in names:
        return read_manifest(shipped("models") / f"{name_or_path}.toml")
    likely = get_close_matches(name_or_path, names, n=1, cutoff=0.5)
    hint = f"did you mean {likely[0]}? " if likely else ""
    raise ModelError(f"unknown model {name_or_path!r}", f"{hint}there are {', '.join(names)}, or the path of a .toml")


def _names() -> list[str]:
    return sorted(path.stem for path in shipped("models").glob("*.toml"))


def read_manifest(path: Path) -> Manifest:
    """Read one manifest. Raises ModelError."""
    manifest = read_toml(path, Manifest)
    return manifest if manifest.file is None else replace(manifest, file=str(path.parent / manifest.file))
