"""One GPU with one stream: its memory, its kernels, and work that is recorded once and replayed.

    with Gpu(CudaDriver()) as gpu, gpu.array((h, w), np.uint8) as plane, gpu.pinned(size) as block:
        kernels = gpu.kernels(path)                          # compiled for this GPU, kept on disk
        gpu.upload(plane, block.view[:plane.nbytes])
        kernels.launch("name", grid_over(w, h), plane, Int(w), Float(0.5))
        gpu.synchronize()

Everything is queued on the one stream, in order. One thread at a time; each calls ``enter_thread`` first.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bgcamd.cuda.compile import compiled
from bgcamd.cuda.driver import Argument, Driver, Grid
from bgcamd.errors import DeviceError

Int, Float = ctypes.c_int, ctypes.c_float
"""Arguments of kernels that are no memory: int and float of C."""

Compiler = Callable[[Path, tuple[int, int]], bytes]

_BLOCK = (32, 8)  # threads in x and y: a warp reads one line


class _Resource:
    """Something to be freed exactly once, when its context is left."""

    def __init__(self, free: Callable[[], None]) -> None:
        self._free: Callable[[], None] | None = free

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free it; a second call does nothing. What a GPU that failed won't free goes with its context."""
        free, self._free = self._free, None
        if free is not None:
            with suppress(DeviceError):  # else it would hide the error that says what went wrong
                free()


class DeviceArray(_Resource):
    """An array in the GPU's memory: C-contiguous; ``address`` is the device's. Whoever asked for it closes it."""

    def __init__(self, address: int, shape: tuple[int, ...], dtype: DTypeLike, free: Callable[[], None]) -> None:
        super().__init__(free)
        self.address, self.shape, self.dtype = address, shape, np.dtype(dtype)
        self.nbytes = prod(shape) * self.dtype.itemsize


class Pinned(_Resource):
    """Host memory that the GPU reads and writes by itself. ``view``: uint8 (n,), zeros; ``address``: the device's.

    The memory itself lives as long as somebody has a view of it: a frame that is still out never dangles.
    """

    def __init__(self, driver: Driver, size: int) -> None:
        self._memory = mmap.mmap(-1, _whole_pages(size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory.madvise(mmap.MADV_DONTFORK)  # else a fork would move the pages from under the GPU
        self.view: NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8)[:size]
        start = self.view.ctypes.data
        driver.register(start, len(self._memory))
        super().__init__(lambda: driver.unregister(start))
        try:
            self.address = driver.device_address(start)
        except BaseException:
            self.close()
            raise


class Registered(_Resource):
    """Host memory of somebody else that the GPU reads and writes by itself, until this or the GPU is closed."""


class Event(_Resource):
    """A mark in the stream."""

    def __init__(self, driver: Driver, stream: int) -> None:
        self._driver, self._stream = driver, stream
        self._handle = handle = driver.create_event()
        super().__init__(lambda: driver.destroy_event(handle))

    def record(self) -> None:
        """Set it behind what is queued now."""
        self._driver.record(self._handle, self._stream)

    def wait(self) -> None:
        """Wait, asleep, until it is reached."""
        self._driver.wait(self._handle)

    def ms_since(self, start: Event) -> float:
        """Time from ``start`` to here, ms; both have been reached."""
        return self._driver.elapsed_ms(start._handle, self._handle)


class Graph(_Resource):
    """Recorded work."""

    def __init__(self, driver: Driver, stream: int, handle: int) -> None:
        self._driver, self._stream, self._handle = driver, stream, handle
        super().__init__(lambda: driver.destroy_graph(handle))

    def launch(self) -> None:
        """Queue all of it."""
        self._driver.launch_graph(self._handle, self._stream)


class Kernels(_Resource):
    """The kernels of one source file, loaded."""

    def __init__(self, driver: Driver, stream: int, module: int) -> None:
        self._driver, self._stream, self._module = driver, stream, module
        self._functions: dict[str, int] = {}
        super().__init__(lambda: driver.unload(module))

    def launch(self, name: str, grid: Grid, *arguments: DeviceArray | Pinned | Argument) -> None:
        """Queue a kernel. Memory is passed as its address, numbers as ``Int`` and ``Float``, in the kernel's order."""
        if name not in self._functions:
            self._functions[name] = self._driver.function(self._module, name)
        values = [ctypes.c_void_p(a.address) if isinstance(a, DeviceArray | Pinned) else a for a in arguments]
        self._driver.launch(self._functions[name], grid, values, self._stream)


class Gpu:
    """A GPU, from entering the context until it is left. Raises DeviceError when there is none.

    Parameters
    ----------
    compiler: makes a .cu file into what ``driver.load`` takes, for a GPU of a compute capability.

    Attributes
    ----------
    card: its name, capability, and whether it shares the host's memory.
    version: of the driver, 13000 for CUDA 13.0.
    stream: the one stream's handle, for TensorRT.
    """

    def __init__(self, driver: Driver, ordinal: int = 0, *, compiler: Compiler = compiled) -> None:
        self._compiler = compiler
        self._lock = threading.Lock()
        self._registered: dict[int, tuple[int, int]] = {}  # of the host's memory: address -> size, the GPU's address
        self._closed = False
        if ordinal >= driver.count():
            raise DeviceError("there is no NVIDIA GPU, or no driver for it", "`nvidia-smi` must list it")
        self.driver = driver
        self.card = driver.card(ordinal)
        self.version = driver.version()
        with ExitStack() as undo:
            self._context = driver.retain_context(ordinal)
            undo.enter_context(_Resource(lambda: driver.release_context(ordinal)))
            driver.make_current(self._context)
            self.stream = driver.create_stream()
            undo.enter_context(_Resource(lambda: driver.destroy_stream(self.stream)))
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(DeviceError):
            self.enter_thread()
        with self._lock:
            self._closed = True
        for start in list(self._registered):
            with suppress(DeviceError):
                self._unregister(start)
        self._undo.close()

    def enter_thread(self) -> None:
        """Let the calling thread use this GPU; to be called before anything else, as often as one likes."""
        self.driver.make_current(self._context)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """A new array of zeros."""
        size = max(prod(shape) * np.dtype(dtype).itemsize, 1)
        address = self.driver.allocate(size)
        array = DeviceArray(address, shape, dtype, lambda: self.driver.free(address))
        try:
            self.driver.fill(address, 0, size, self.stream)
        except BaseException:
            array.close()
            raise
        return array

    def pinned(self, size: int) -> Pinned:
        """New host memory of ``size`` bytes for transfers."""
        return Pinned(self.driver, size)

    def register(self, view: NDArray[np.uint8], /) -> Registered:
        """Let the GPU read and write whole pages of host memory by itself, as long as it is open.

        Any thread may call this, and close what it gets, also after the GPU. Raises DeviceError.
        """
        start, size = view.ctypes.data, view.nbytes
        with self._lock:
            if self._closed:
                raise DeviceError("the GPU is not in use any more")
            self.enter_thread()
            self.driver.register(start, size)
            try:
                self._registered[start] = size, self.driver.device_address(start)
            except BaseException:
                with suppress(DeviceError):
                    self.driver.unregister(start)
                raise
        return Registered(lambda: self._unregister(start))

    def _unregister(self, start: int) -> None:
        with self._lock:
            if self._registered.pop(start, None) is not None:
                with suppress(DeviceError):  # which a GPU that has failed may not allow
                    self.enter_thread()
                self.driver.unregister(start)

    def registered(self, start: int, size: int) -> int | None:
        """Where the GPU sees these bytes of the host; None when they were not registered. Any thread may ask."""
        with self._lock:
            for first, (length, address) in self._registered.items():
                if first <= start and start + size <= first + length:
                    return address + start - first
        return None

    def event(self) -> Event:
        """A new mark."""
        return Event(self.driver, self.stream)

    def kernels(self, source: Path) -> Kernels:
        """Compile a .cu file for this GPU, or find it compiled, and load it. Seconds the first time."""
        return Kernels(self.driver, self.stream, self.driver.load(self._compiler(source, self.card.capability)))

    def upload(self, target: DeviceArray, source: NDArray[Any]) -> None:
        """Queue a copy from the host; from pinned memory, ``source`` must stay as it is until it is done."""
        _same_size(target.nbytes, source)
        self.driver.upload(target.address, source.ctypes.data, target.nbytes, self.stream)

    def download(self, target: NDArray[Any], source: DeviceArray) -> None:
        """Queue a copy to the host."""
        _same_size(source.nbytes, target)
        self.driver.download(target.ctypes.data, source.address, source.nbytes, self.stream)

    def copy(self, target: DeviceArray, source: DeviceArray) -> None:
        """Queue a copy within the device."""
        if target.nbytes != source.nbytes:
            raise ValueError(f"{source.nbytes} bytes do not fit {target.nbytes}")
        self.driver.copy(target.address, source.address, source.nbytes, self.stream)

    def clear(self, target: DeviceArray) -> None:
        """Queue zeros."""
        self.driver.fill(target.address, 0, target.nbytes, self.stream)

    def record(self, work: Callable[[], None]) -> Graph:
        """Record what ``work`` queues, without doing it. It must not wait, allocate or touch another stream."""
        self.driver.begin_capture(self.stream)
        try:
            work()
        except BaseException:
            with suppress(DeviceError):  # a capture that was begun must be ended
                self.driver.destroy_graph(self.driver.end_capture(self.stream))
            raise
        return Graph(self.driver, self.stream, self.driver.end_capture(self.stream))

    def synchronize(self) -> None:
        """Wait, asleep, until all that is queued is done."""
        self.driver.synchronize(self.stream)


def grid_over(width: int, height: int = 1, depth: int = 1) -> Grid:
    """Enough blocks of 32x8 threads (256x1 for a line) for one thread a sample; depth is the blocks' z."""
    x, y = _BLOCK if height > 1 else (256, 1)
    return Grid((-(-width // x), -(-height // y), depth), (x, y, 1))


def _same_size(size: int, array: NDArray[Any]) -> None:
    if array.nbytes != size or not array.flags.c_contiguous:
        raise ValueError(f"a contiguous array of {size} bytes is needed, not {array.nbytes}")


def _whole_pages(size: int) -> int:
    return max(-(-size // mmap.PAGESIZE), 1) * mmap.PAGESIZE
