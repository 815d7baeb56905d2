"""From what a network gives to what ``Matte`` promises. Everything is done in place, in the engine's memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bgcamd.errors import EngineError
from bgcamd.matting.manifest import Output

Array = NDArray[np.float32]


def alpha_of(raw: Array, output: Output) -> Array:
    """Return the alpha (h, w), 0..1, in the memory of ``raw``.

    Parameters
    ----------
    raw: float32 (c, h, w), the network's answer; overwritten.
    output: which channel it is, and what brings it to 0..1.

    Raises
    ------
    EngineError: there are values that are no numbers; such a matte must not be shown.
    """
    alpha: Array = raw[output.channel]
    _check(alpha)  # before a sigmoid makes a person of infinity
    if output.activation == "softmax":
        _softmax(raw, output.channel)
        _check(alpha)  # the other channels count, too
    elif output.activation == "sigmoid":
        _sigmoid(alpha)
    if output.minmax:
        _stretch(alpha)
    return np.clip(alpha, 0, 1, out=alpha)


def foreground_of(raw: Array) -> Array:
    """Return the colours (3, h, w), 0..1, in the memory of ``raw``, (3, h, w). Raises EngineError."""
    _check(raw)
    return np.clip(raw, 0, 1, out=raw)


def _check(values: Array) -> None:
    """Anything infinite or not a number makes the sum so, and the sum is ten times faster than isfinite()."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(values.sum())
    if not finite:
        raise EngineError("the network's answer is not finite", "its file may be damaged, or the engine is faulty")


def _sigmoid(x: Array) -> None:
    """1 / (1 + exp(-x)); beyond ±80 float32 would overflow, and it is 0 or 1 anyway."""
    np.clip(x, -80, 80, out=x)
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)


def _softmax(x: Array, channel: int) -> None:
    """exp(x[channel]) / sum of exp(x[c]), from the largest on, so that nothing overflows."""
    x -= x.max(axis=0)
    np.exp(x, out=x)
    x[channel] /= x.sum(axis=0)


def _stretch(x: Array) -> None:
    """(x - min) / (max - min), U²-Net's normPRED; a flat answer says nothing and becomes 0."""
    low, high = x.min(), x.max()
    x -= low
    if high > low:
        x /= high - low
