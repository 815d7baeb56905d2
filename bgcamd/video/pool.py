"""Memory for copies of frames, used again and again."""

from __future__ import annotations

import threading

import numpy as np

from bgcamd.frame import Frame, Plane


class Pool:
    """Makes copies in memory that is used again once nobody has it. ``copy`` is for one thread at a time."""

    def __init__(self) -> None:
        self._free: list[tuple[Plane, ...]] = []

    def copy(self, frame: Frame) -> Copy:
        """Copy the planes, and alpha if there is one; the frame may be released after that."""
        theirs = frame.planes if frame.alpha is None else (*frame.planes, frame.alpha)
        ours = self._memory_for(theirs)
        for mine, plane in zip(ours, theirs, strict=True):
            np.copyto(mine, plane)
        return Copy(frame, ours, self._free)

    def _memory_for(self, planes: tuple[Plane, ...]) -> tuple[Plane, ...]:
        shapes = [plane.shape for plane in planes]
        while self._free:
            memory = self._free.pop()
            if [plane.shape for plane in memory] == shapes:
                return memory
        return tuple(np.empty(shape, np.uint8) for shape in shapes)


class Copy:
    """A picture that any number of frames may show at a time. Whoever asked for it releases it, once.

    The memory is free when the copy and all its frames are released, in any order and by any thread.
    """

    def __init__(self, original: Frame, memory: tuple[Plane, ...], free: list[tuple[Plane, ...]]) -> None:
        self._format, self._size, self._color = original.format, original.size, original.color
        self._planes = memory[: len(original.planes)]
        self._alpha = None if original.alpha is None else memory[-1]
        self._memory, self._free = memory, free
        self._users, self._counting = 1, threading.Lock()

    def lend(self, *, captured_ns: int, sequence: int) -> Frame:
        """One more frame that shows this picture."""
        with self._counting:
            self._users += 1
        return Frame(
            self._planes,
            self._format,
            self._size,
            color=self._color,
            alpha=self._alpha,
            captured_ns=captured_ns,
            sequence=sequence,
            release=self.release,
        )

    def release(self) -> None:
        """Give up one use."""
        with self._counting:
            self._users -= 1
            unused = self._users == 0
        if unused:
            self._free.append(self._memory)
