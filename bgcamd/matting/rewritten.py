"""A network rewritten for pictures of one size, where that can be done and it answers as before."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path
from typing import Any

import numpy as np

from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.session import ERRORS, Array, Session, native_session

_LARGEST = 64 << 20  # bytes: rewriting takes several times as much memory
_PATCHES = 16  # on each side of the trial picture: such make networks that look for people unsure
_TOLERANCE = 1e-3


class Rewritten:
    """A session of a rewritten network, which has no inputs that never change.

    Attributes
    ----------
    native: ONNX Runtime's own session.
    """

    def __init__(self, manifest: Manifest, network: bytes, threads: int) -> None:
        self._picture = manifest.input.name
        self.native: Any = native_session(network, threads)

    def close(self) -> None:
        """Free the network."""
        self.native = None

    def constants(self) -> dict[str, Array]:
        """None."""
        return {}

    def first_states(self) -> dict[str, Array]:
        """The recurrent states of a first frame: zeros, as large as those that follow."""
        states = [value for value in self.native.get_inputs() if value.name != self._picture]
        return {state.name: np.zeros(state.shape, np.float32) for state in states}


def rewritten(own: Session, manifest: Manifest, file: Path, size: Size, *, threads: int) -> Rewritten | None:
    """Rewrite the network in ``file`` for pictures of ``size``; None where it is better run as it is.

    Takes a part of a second. Only on x86, which the rewriting is for. own: the network as it is; closed where the
    rewritten one takes its place.
    """
    if platform.machine() != "x86_64" or file.stat().st_size > _LARGEST:
        return None
    made = _made(manifest, file, size, threads)
    if made is None or not _answer_alike(own, made, manifest, size):
        return None
    own.close()
    _give_back_memory()
    return made


def _made(manifest: Manifest, file: Path, size: Size, threads: int) -> Rewritten | None:
    from bgcamd.matting.blocked import blocked  # noqa: PLC0415 - onnx takes 0.1 s, and only this needs it
    from bgcamd.matting.fixed import fixed_network  # noqa: PLC0415

    try:
        network = blocked(fixed_network(manifest, file, size, foreground=True))
        return None if network is None else Rewritten(manifest, network, threads)
    except EngineError:  # it has no form of a fixed size
        return None
    except ERRORS:  # ONNX Runtime does not take what was made of it
        return None
    except OSError:  # there is no room for a temporary file
        return None


def _answer_alike(own: Session, made: Rewritten, manifest: Manifest, size: Size) -> bool:
    """Whether two frames are answered alike, of which the second sees the states that the first left."""
    names = [value.name for value in made.native.get_outputs()]
    picture = {manifest.input.name: _trial(size)}
    states, made_states = own.first_states(), made.first_states()
    for _ in range(2):
        try:
            answers = dict(zip(names, own.native.run(names, picture | own.constants() | states), strict=True))
            others = made.native.run(names, picture | made_states)
        except ERRORS:
            return False
        if not all(map(_alike, answers.values(), others)):
            return False
        states = made_states = {state.input: answers[state.output] for state in manifest.states}
    return True


def _trial(size: Size) -> Array:
    """A picture of coloured patches, (1, 3, h, w)."""
    patches = np.random.default_rng(0).random((1, 3, _PATCHES, _PATCHES), np.float32)
    rows, columns = (np.arange(side) * _PATCHES // side for side in (size.height, size.width))
    return np.ascontiguousarray(patches[:, :, rows][..., columns])


def _alike(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= _TOLERANCE * max(np.abs(one).max(), 1))


def _give_back_memory() -> None:
    """The C library keeps what was freed, and rewriting takes a hundred megabytes; glibc can be told to let go."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
