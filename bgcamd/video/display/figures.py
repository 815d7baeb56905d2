"""How many pictures a second a window shows, and how old they are when it does."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from statistics import median

_SECOND_NS = 1_000_000_000
_OLD_NS = 5 * _SECOND_NS  # no live picture is as old: such a time is a clip's own


class Figures:
    """Counts over the last second.

    Parameters
    ----------
    rate: frames per second, as they should be.
    """

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._shown: deque[tuple[int, int | None]] = deque()  # when, and how old, ns

    def shown(self, captured_ns: int, now_ns: int) -> None:
        """Count a picture that is on the screen now. Both times are of CLOCK_MONOTONIC, where the source is live."""
        age_ns = now_ns - captured_ns
        self._shown.append((now_ns, age_ns if 0 <= age_ns < _OLD_NS else None))
        while now_ns - self._shown[0][0] > _SECOND_NS:
            self._shown.popleft()

    @property
    def fps(self) -> float:
        """Pictures per second; 0 before there are two."""
        span_ns = self._shown[-1][0] - self._shown[0][0] if self._shown else 0
        return (len(self._shown) - 1) * _SECOND_NS / span_ns if span_ns else 0.0

    @property
    def latency_ms(self) -> float | None:
        """From capture to screen, the median; None where no picture is live."""
        ages = [age for _, age in self._shown if age is not None]
        return median(ages) / 1e6 if ages else None

    @property
    def text(self) -> str:
        """All of it on one line, "29.9 of 30 fps, 41 ms"."""
        latency = self.latency_ms
        late = f", {latency:.0f} ms" if latency is not None else ""
        return f"{self.fps:.1f} of {float(self._rate):.4g} fps{late}"
