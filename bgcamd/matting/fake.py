"""A network that is none, for tests: its answer is known beforehand, and it fails when told to.

engine = FakeEngine(Size(64, 36))
engine.fit(Size(1280, 720))
matte = engine.infer(tensor)      # matte.alpha == tensor.mean over the channels: white is person, black is not
engine.fault = Fault.RAISE        # from now on, until it is None again
"""

from __future__ import annotations

import threading
from enum import Enum
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bgcamd.errors import EngineError
from bgcamd.frame import InputSpec, Matte, Size

_SIZE = Size(64, 36)


class Fault(Enum):
    """What a ``FakeEngine`` does instead of its work."""

    RAISE = "raises EngineError"
    CRASH = "raises RuntimeError, which no engine should"
    NAN = "an alpha of NaN, which no engine should return, but which must not show the room either"
    EMPTY = "nobody there: an alpha of 0"
    STALL = "does not come back until ``unstall`` is set, or the engine closed"


class FakeEngine:
    """An Engine whose alpha is the mean of the tensor's three channels, cut to 0..1.

    Parameters
    ----------
    size: of its input and its matte; the frame is stretched to it.
    foreground: also return the tensor itself as the person's own colour.
    follows: see ``protocols.Engine``.

    Attributes
    ----------
    fault: what to do instead, or None; may be set from another thread.
    passes: frames since the state was last forgotten, as a recurrent network would count them.
    total: frames ever.
    resets: how often the state was forgotten, by ``reset`` or ``fit``.
    fitted: the size of the frames of the last ``fit``.
    unstall: ends Fault.STALL.
    closed: whether the context was left.
    """

    def __init__(self, size: Size = _SIZE, *, foreground: bool = False, follows: bool = False) -> None:
        self._spec = InputSpec(size)
        self._alpha = np.zeros((size.height, size.width), np.float32)
        self._foreground, self.follows = foreground, follows
        self.fault: Fault | None = None
        self.passes = 0
        self.total = 0
        self.resets = 0
        self.fitted: Size | None = None
        self.unstall = threading.Event()
        self.closed = False

    @property
    def name(self) -> str:
        """What ``status`` shows."""
        return "fake on cpu"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unstall.set()
        self.closed = True

    def fit(self, size: Size) -> InputSpec:
        """Forget the state; the input is the same for frames of any size."""
        self.fitted = size
        self.reset()
        return self._spec

    def infer(self, tensor: NDArray[np.float32]) -> Matte:
        """Return the tensor's mean as the alpha, or do what ``fault`` says."""
        self.passes += 1
        self.total += 1
        np.clip(tensor[0].mean(axis=0), 0, 1, out=self._alpha)
        if self.fault is not None:
            self._fail(self.fault)
        return Matte(self._alpha, foreground=tensor[0] if self._foreground else None)

    def reset(self) -> None:
        """Forget the state."""
        self.passes = 0
        self.resets += 1

    def _fail(self, fault: Fault) -> None:
        if fault is Fault.RAISE:
            raise EngineError("the fake network was told to fail")
        if fault is Fault.CRASH:
            raise RuntimeError("the fake network was told to crash")
        if fault is Fault.STALL:
            self.unstall.wait()
        else:
            self._alpha.fill(np.nan if fault is Fault.NAN else 0)
