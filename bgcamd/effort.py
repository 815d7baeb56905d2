"""How much work a frame is worth: pinned by the user, or as much as lets the frames through in time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

Quality = Literal["auto", "low", "medium", "high"]


@dataclass(frozen=True)
class Effort:
    """What is done for a frame.

    name: as the user would say it.
    looks: how often the network looks at it, 1 or 2; the second time in a mirror.
    carry: the last matte is used again where the picture has changed by no more than this since the network looked:
        the largest change of any part of it, of 255; 0 for never.
    patience: for so many frames in a row at most.
    sharpen: whether outlines are steadied and brought onto the picture's edges.
    edges: whether soft pixels get the person's own colour.
    """

    name: str
    looks: int = 1
    carry: int = 0
    patience: int = 0
    sharpen: bool = True
    edges: bool = True


LOW = Effort("low", carry=12, patience=1, sharpen=False, edges=False)
MEDIUM = Effort("medium", carry=2, patience=10)
HIGH = Effort("high", looks=2)
THOROUGH = Effort("every frame")
"""For files: no frame takes anything of another's."""

_WINDOW = 60  # frames that are judged at a time
_LATE, _EASY = 0.75, 0.35  # of the time between two frames: when it is too much work, and when there is time for more
_PATIENCE = 5  # windows in a row that must be easy before more is tried; a call is no place for experiments


class Governor:
    """Chooses an effort from how long frames take; with a quality pinned, always that one.

    Automatic: medium, or low while the slowest twentieth of the frames takes more than three quarters of the time
    there is. Low does about half of the work, so that what is easy for it is not too much for medium.

    Parameters
    ----------
    carry: whether a matte may be used again at all.
    why: why it is pinned.
    """

    def __init__(self, quality: Quality = "auto", *, carry: bool = True, why: str = "pinned") -> None:
        low, medium = LOW, MEDIUM
        if not carry:
            low, medium = replace(low, carry=0), replace(medium, carry=0)
        self._low, self._medium = low, medium
        self.effort = {"low": low, "high": HIGH}.get(quality, medium)
        self._automatic = quality == "auto"
        self._taken: deque[int] = deque(maxlen=_WINDOW)
        self._period_ns = 0
        self._last_ns = 0
        self._easy = 0
        self._why = "" if self._automatic else why

    @property
    def why(self) -> str:
        """Why this effort, in a few words."""
        return self._why or "there is time for it"

    def frame(self, captured_ns: int, taken_ns: int) -> None:
        """Tell when a frame was taken, by CLOCK_MONOTONIC, and how long the work on it took; both ns."""
        between, self._last_ns = captured_ns - self._last_ns, captured_ns
        if not self._automatic or not 0 < between < 1_000_000_000:  # the first, or one after a pause
            return
        self._period_ns = between if not self._period_ns else self._period_ns + (between - self._period_ns) // 8
        self._taken.append(taken_ns)
        if len(self._taken) == _WINDOW:
            self._judge(sorted(self._taken)[_WINDOW * 95 // 100] / self._period_ns)
            self._taken.clear()

    def _judge(self, load: float) -> None:
        self._easy = self._easy + 1 if load < _EASY else 0
        if load > _LATE and self.effort is not self._low:
            self.effort, self._why = self._low, f"medium took {load:.0%} of the time between two frames"
        elif self.effort is self._low and self._easy >= _PATIENCE:
            self.effort, self._why, self._easy = self._medium, "", 0
