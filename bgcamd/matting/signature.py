"""Whether an ONNX file is the network that its manifest describes: names, types and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgcamd.errors import ModelError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest, Output

Shape = Sequence[int | str | None]
"""As ONNX Runtime tells it: a name or None is a size that is not fixed."""


@dataclass(frozen=True)
class Misfit:
    """Makes the error that says where manifest and file differ."""

    manifest: Manifest
    file: Path

    def __call__(self, field: str, why: str) -> ModelError:
        message = f"model {self.manifest.name}: {field}: {why} (in {self.file})"
        return ModelError(message, "the manifest does not describe this file, or the file is another one")


def check_signature(manifest: Manifest, file: Path, inputs: Iterable[Any], outputs: Iterable[Any]) -> dict[str, Shape]:
    """Compare a manifest with a session's inputs and outputs, and return the shapes of the outputs it names.

    Raises
    ------
    ModelError: they differ; it names the key of the manifest.
    """
    misfit = Misfit(manifest, file)
    states = [(f"states[{i}]", state) for i, state in enumerate(manifest.states)]
    fed = {manifest.input.name: "input.name"}
    fed |= dict.fromkeys(manifest.input.constants, "input.constants")
    fed |= {state.input: f"{key}.input" for key, state in states}
    taken = {manifest.output.alpha: "output.alpha"}
    if manifest.output.foreground is not None:
        taken[manifest.output.foreground] = "output.foreground"
    taken |= {state.output: f"{key}.output" for key, state in states}
    has_in = _find(fed, inputs, "input", misfit)
    has_out = _find(taken, outputs, "output", misfit)
    for name in has_in:
        if name not in fed:
            raise misfit("input", f"the network also wants {name!r}; name it in input.constants or as a state")
    _check_picture(manifest, has_in[manifest.input.name], misfit)
    return {name: has_out[name] for name in taken}


def planes(shape: Sequence[int], output: Output, misfit: Misfit) -> tuple[int, int, int]:
    """Return an alpha's shape as (c, h, w). Raises ModelError where it has no such shape or no such channel."""
    if len(shape) < 2 or any(size != 1 for size in shape[:-3]):
        raise misfit("output.alpha", f"has the shape {tuple(shape)}, not (1, c, height, width)")
    channels, height, width = (1, *shape)[-3:]
    if output.channel not in range(channels):
        raise misfit("output.channel", f"the output has {channels} channels, so {output.channel} is none of them")
    if output.activation == "softmax" and channels == 1:
        raise misfit("output.activation", "softmax over one channel says person everywhere; sigmoid is meant?")
    return channels, height, width


def _find(wanted: Mapping[str, str], there: Iterable[Any], what: str, misfit: Misfit) -> dict[str, Shape]:
    """The shapes by name of all that the network has, if all that is wanted is there, as float32."""
    types = {value.name: value.type for value in there}
    shapes = {value.name: value.shape for value in there}
    for name, key in wanted.items():
        if name not in types:
            raise misfit(key, f"the network has no {what} {name!r}, it has {', '.join(types)}")
        if types[name] != "tensor(float)":
            raise misfit(key, f"{name!r} is {types[name]}; only tensor(float), float32, is supported")
    return shapes


def _check_picture(manifest: Manifest, shape: Shape, misfit: Misfit) -> None:
    if len(shape) != 4 or any(
        isinstance(size, int) and size != want for size, want in zip(shape, (1, 3), strict=False)
    ):
        raise misfit("input.name", f"{manifest.input.name!r} has the shape {tuple(shape)}, not (1, 3, height, width)")
    height, width = shape[2:]
    if not (isinstance(height, int) and isinstance(width, int)):
        return
    if manifest.input.size is None:
        raise misfit("input.long_side", f"the network takes only {width}x{height}; input.size = [{width}, {height}]")
    if manifest.input.size != (width, height):
        raise misfit("input.size", f"is {Size(*manifest.input.size)}, but the network takes {width}x{height}")
