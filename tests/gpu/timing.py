"""Times on the GPU's own clock, without those that the host takes to say what it wants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import numpy as np

from bgcamd.cuda.gpu import DeviceArray, Event, Gpu
from bgcamd.stats import STAGES, Stats

_HOLD = 512 << 20  # bytes that are filled to keep the stream busy
_LONGEST_HOLD = 64


class Marks(Stats):
    """Stats whose stages are marks in the stream, and which also marks what the canvas uploads and downloads.

    armed: whether marks are made; not while work is recorded, where they would be recorded too.
    """

    def __init__(self, gpu: Gpu) -> None:
        super().__init__()
        self.armed = False
        self._gpu, self._stack = gpu, ExitStack()
        self._pairs: dict[str, tuple[Event, Event]] = {}
        self._seen: set[str] = set()

    def __enter__(self) -> Self:
        for name in (*STAGES, "upload", "download"):
            self._pairs[name] = (
                self._stack.enter_context(self._gpu.event()),
                self._stack.enter_context(self._gpu.event()),
            )
        for call in ("upload", "download"):
            self._watch(call)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See ``Stats.stage``; the time is the GPU's. Several of a name in a frame are one, from first to last."""
        if not self.armed:
            yield
            return
        if name not in self._seen:
            self._pairs[name][0].record()
            self._seen.add(name)
        yield
        self._pairs[name][1].record()

    def frame_ms(self) -> dict[str, float]:
        """What the frame's stages took on the GPU, ms: ``take`` without its upload. Call when it is done."""
        took = {name: self._pairs[name][1].ms_since(self._pairs[name][0]) for name in self._seen - {"give"}}
        if "take" in took:
            took["take"] -= took.get("upload", 0.0)
        self._seen.clear()
        return took

    def _watch(self, call: str) -> None:
        """Have the driver's ``upload`` or ``download`` mark what it queues, until we are left."""
        driver = self._gpu.driver
        plain: Callable[..., None] = getattr(driver, call)

        def watched(*arguments: int) -> None:
            with self.stage(call):
                plain(*arguments)

        setattr(driver, call, watched)
        self._stack.callback(delattr, driver, call)


class Hold:
    """Keeps the stream busy for a while, so that what is queued meanwhile runs without a gap.

    What is timed behind it finds the caches full of something else, as a frame does that comes after a pause.
    """

    def __init__(self, gpu: Gpu, bytes_: int = _HOLD) -> None:
        self._gpu, self._bytes = gpu, bytes_

    def __enter__(self) -> Self:
        self._array: DeviceArray = self._gpu.array((self._bytes,), np.uint8)
        self._once_ms = timed(self._gpu, lambda: self._gpu.clear(self._array), 3)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._array.close()

    def queue(self, ms: float) -> None:
        """Keep it busy for so long, or a little longer."""
        for _ in range(min(max(math.ceil(ms / max(self._once_ms, 1e-3)), 1), _LONGEST_HOLD)):
            self._gpu.clear(self._array)


def timed(gpu: Gpu, work: Callable[[], None], times: int) -> float:
    """What ``work`` takes on the GPU, ms: the mean of so many, after one."""
    work()
    with gpu.event() as start, gpu.event() as end:
        start.record()
        for _ in range(times):
            work()
        end.record()
        end.wait()
        return end.ms_since(start) / times
