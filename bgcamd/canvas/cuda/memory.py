"""Memory of the CUDA canvas: device arrays by name, parts of them, and pinned memory that uploads start from."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bgcamd.cuda.gpu import DeviceArray, Gpu, Pinned
from bgcamd.errors import DeviceError


class Arrays:
    """Device arrays by name: made when first asked for, and anew for another shape. ``close`` frees all."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._made: dict[str, DeviceArray] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
        """The array of that name; zeros where it is new."""
        array = self._made.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            if array is not None:
                del self._made[name]
                array.close()
            array = self._made[name] = self._gpu.array(shape, dtype)
        return array

    def close(self) -> None:
        """Free them."""
        for array in self._made.values():
            array.close()
        self._made.clear()


def part(of: DeviceArray | Pinned, start: int, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> DeviceArray:
    """The array that begins ``start`` bytes into another one, which frees it."""
    return DeviceArray(of.address + start, shape, dtype, lambda: None)


class Staging:
    """Pinned memory that is filled by the CPU and uploaded from; never written while an upload reads it.

    Attributes
    ----------
    pinned: the memory.
    """

    def __init__(self, gpu: Gpu, size: int) -> None:
        self._gpu = gpu
        self.pinned = gpu.pinned(size)
        try:
            self._done = gpu.event()
        except BaseException:
            self.pinned.close()
            raise

    def open(self) -> NDArray[np.uint8]:
        """The memory to write into, uint8 (n,), as soon as what was queued from it last is done."""
        self._done.wait()
        return self.pinned.view

    def upload(self, target: DeviceArray, start: int = 0) -> None:
        """Queue an upload of as many bytes from ``start`` as ``target`` holds."""
        self._gpu.upload(target, self.pinned.view[start : start + target.nbytes])
        self.queued()

    def queued(self) -> None:
        """What was queued until now may still read the memory."""
        self._done.record()

    def close(self) -> None:
        """Free it, when nothing reads it any more."""
        with suppress(DeviceError):  # a GPU that failed reads no more
            self._done.wait()
        self._done.close()
        self.pinned.close()
