"""What happened: counters, and how long each stage took.

Written by the loop's thread alone; a snapshot may be taken by any thread (each value is replaced whole).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STAGES = ("take", "look", "shrink", "infer", "refine", "compose", "give")
"""look: what the network is shown besides, the frame in a mirror, or all of it now and then."""
_KEPT = 300  # samples: ten seconds at 30 frames per second


class Stats:
    """Times of the last frames and counts since the start.

    Parameters
    ----------
    keep: how many samples of each kind are held.
    cpu_ns: the clock of CPU time, of the calling thread alone unless told otherwise.
    """

    def __init__(self, keep: int = _KEPT, cpu_ns: Callable[[], int] = time.thread_time_ns) -> None:
        self._cpu_ns = cpu_ns
        self.frames = 0
        self.dropped = 0
        self._wall: dict[str, deque[int]] = {stage: deque(maxlen=keep) for stage in STAGES}
        self._cpu: dict[str, deque[int]] = {stage: deque(maxlen=keep) for stage in STAGES}
        self._age: deque[int] = deque(maxlen=keep)
        self._written: deque[int] = deque(maxlen=keep)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage: wall clock and CPU, both in ns."""
        wall, cpu = time.perf_counter_ns(), self._cpu_ns()
        yield
        self._cpu[name].append(self._cpu_ns() - cpu)
        self._wall[name].append(time.perf_counter_ns() - wall)

    def written(self, captured_ns: int, now_ns: int) -> None:
        """Count one frame that reached the outputs; both times of CLOCK_MONOTONIC."""
        self.frames += 1
        self._age.append(now_ns - captured_ns)
        self._written.append(now_ns)

    def fps(self, now_ns: int) -> float:
        """Frames per second over the last two seconds."""
        recent = [moment for moment in tuple(self._written) if now_ns - moment < 2_000_000_000]
        span = now_ns - recent[0] if recent else 0
        return round((len(recent) - 1) * 1e9 / span, 1) if span else 0.0

    def age_ms(self) -> dict[str, float]:
        """Camera to write, p50 and p95, ms."""
        return {"p50": _percentile(self._age, 50), "p95": _percentile(self._age, 95)}

    def cpu_ms(self, stage: str) -> float:
        """The CPU time of one stage over all samples that are held, ms."""
        return sum(tuple(self._cpu[stage])) / 1e6

    def stages(self) -> dict[str, dict[str, float]]:
        """Per stage: wall_p50, wall_p95 and cpu_p50, ms; 0 where nothing was measured."""
        return {
            stage: {
                "wall_p50": _percentile(self._wall[stage], 50),
                "wall_p95": _percentile(self._wall[stage], 95),
                "cpu_p50": _percentile(self._cpu[stage], 50),
            }
            for stage in STAGES
        }


def _percentile(samples: deque[int], percent: int) -> float:
    """The nearest-rank percentile of ns samples, in ms, rounded to a microsecond; 0 for none."""
    ordered = sorted(samples)
    return round(ordered[(len(ordered) - 1) * percent // 100] / 1e6, 3) if ordered else 0.0
