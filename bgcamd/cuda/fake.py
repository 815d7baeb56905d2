"""A GPU that is none, for tests: its memory is the host's, and what is queued is done at once, or when replayed.

It is stricter than a real one: it counts what is allocated, knows what was freed, refuses what reaches beyond an array
(also when replayed), work from a thread that has no context, and waiting or allocating while work is being recorded.

    driver = FakeDriver(run=kernels)        # kernels(source, name, grid, arguments) does a kernel's work on the host
    gpu = Gpu(driver, compiler=fake_compiler)
    driver.fail("launch_graph", 3)          # the third one from now on fails, and everything after it, as on a GPU
    driver.check_nothing_left()
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bgcamd.cuda.driver import Argument, Card, Driver, Grid
from bgcamd.errors import DeviceError

Run = Callable[[Path, str, Grid, Sequence[Argument]], None]
_GARBAGE = 0xA5  # what fresh memory holds
_ALIGNMENT = 256
_CARD = Card("Fake GPU", (8, 9), integrated=False)


def fake_compiler(source: Path, _: tuple[int, int]) -> bytes:
    """What ``FakeDriver.load`` takes: the source's path."""
    return str(source).encode()


class FakeDriver(Driver):
    """Answers as CUDA's driver does.

    Parameters
    ----------
    card: what it pretends to be; None for a machine without a GPU.
    run: does a kernel's work, with pointers into the host's memory; None where kernels need not do anything.

    Attributes
    ----------
    calls: how often each method was called.
    kept: the context outlives all who give it back, as where CUDA's runtime is in use, too: so does what broke it.
    """

    def __init__(self, card: Card | None = _CARD, run: Run | None = None) -> None:
        self._card, self._run = card, run
        self.calls: Counter[str] = Counter()
        self._faults: dict[str, tuple[int, bool]] = {}
        self._broken = self.kept = False
        self._handles = itertools.count(1000)
        self._contexts = self._context = 0
        self._threads: set[int] = set()
        self._memory: dict[int, Any] = {}
        self._registered: dict[int, int] = {}
        self._live: dict[str, set[int]] = {kind: set() for kind in ("stream", "event", "module", "graph")}
        self._sources: dict[int, Path] = {}
        self._functions: dict[int, tuple[int, str]] = {}
        self._graphs: dict[int, list[Callable[[], object]]] = {}
        self._capture: list[Callable[[], object]] | None = None

    def fail(self, call: str, number: int = 1, *, lasting: bool = True) -> None:
        """Let the ``number``-th call of a method from now on fail; if ``lasting``, all until the context is gone."""
        self._faults[call] = self.calls[call] + number, lasting

    def check_nothing_left(self) -> None:
        """Raise AssertionError where something was not freed."""
        left = {kind: sorted(handles) for kind, handles in self._live.items() if handles}
        if self._memory or self._registered or self._contexts or left:
            raise AssertionError(
                f"left: {len(self._memory)} arrays, {len(self._registered)} registrations,"
                f" {self._contexts} contexts, {left}"
            )

    def enqueue(self, stream: int, work: Callable[[], object]) -> None:
        """Queue anything, as an inference runtime does."""
        self._called("enqueue")
        self._known("stream", stream)
        self._do(work)

    def version(self) -> int:
        return 13000 if self._card else 0

    def count(self) -> int:
        return 1 if self._card else 0

    def card(self, ordinal: int) -> Card:
        if ordinal or self._card is None:
            raise DeviceError("the GPU failed: cuDeviceGet answered invalid device ordinal")
        return self._card

    def retain_context(self, ordinal: int) -> int:
        self.calls["retain_context"] += 1
        self._contexts += 1
        self._context = self._context or next(self._handles)
        return self._context

    def release_context(self, ordinal: int) -> None:
        self._contexts -= 1
        if self._contexts < 0:
            raise AssertionError("a context was given back twice")
        if not self._contexts and not self.kept:
            self._context, self._broken, self._capture = 0, False, None
            self._threads.clear()

    def make_current(self, context: int) -> None:
        if context != self._context:
            raise DeviceError("the GPU failed: cuCtxSetCurrent answered invalid device context")
        self._answer("cuCtxSetCurrent")
        self._threads.add(threading.get_ident())

    def create_stream(self) -> int:
        return self._new("stream", "create_stream")

    def destroy_stream(self, stream: int) -> None:
        self._freed("stream", "destroy_stream", stream)

    def synchronize(self, stream: int) -> None:
        self._called("synchronize", waits=True)
        self._known("stream", stream)

    def allocate(self, size: int) -> int:
        self._called("allocate", waits=True)
        block = np.full(size + _ALIGNMENT, _GARBAGE, np.uint8)
        address = -(-block.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        self._memory[address] = block[address - block.ctypes.data :][:size]
        return address

    def free(self, address: int) -> None:
        self._freeing("free")
        if address not in self._memory:
            raise AssertionError("memory was freed that is not ours, or is free already")
        del self._memory[address]
        self._answer("free")

    def register(self, address: int, size: int) -> None:
        self._called("register", waits=True)
        if address % 4096 or size % 4096:
            raise DeviceError("the GPU failed: cuMemHostRegister answered invalid argument")
        if address in self._registered:
            raise DeviceError("the GPU failed: cuMemHostRegister answered already registered")
        self._registered[address] = size

    def unregister(self, address: int) -> None:
        self._freeing("unregister")
        if address not in self._registered:
            raise AssertionError("memory was unregistered that is not registered")
        del self._registered[address]
        self._answer("unregister")

    def device_address(self, address: int) -> int:
        self._called("device_address")
        if not any(start <= address < start + size for start, size in self._registered.items()):
            raise DeviceError("the GPU failed: cuMemHostGetDevicePointer answered invalid argument")
        return address

    def upload(self, target: int, source: int, size: int, stream: int) -> None:
        self._called("upload")
        self._do(lambda: ctypes.memmove(target, source, size), (target, size))

    def download(self, target: int, source: int, size: int, stream: int) -> None:
        self._called("download")
        self._do(lambda: ctypes.memmove(target, source, size), (source, size))

    def copy(self, target: int, source: int, size: int, stream: int) -> None:
        self._called("copy")
        self._do(lambda: ctypes.memmove(target, source, size), (target, size), (source, size))

    def fill(self, target: int, byte: int, size: int, stream: int) -> None:
        self._called("fill")
        self._do(lambda: ctypes.memset(target, byte, size), (target, size))

    def create_event(self) -> int:
        return self._new("event", "create_event")

    def destroy_event(self, event: int) -> None:
        self._freed("event", "destroy_event", event)

    def record(self, event: int, stream: int) -> None:
        self._called("record")
        self._known("event", event)

    def wait(self, event: int) -> None:
        self._called("wait", waits=True)
        self._known("event", event)

    def elapsed_ms(self, start: int, end: int) -> float:
        self._called("elapsed_ms")
        return 0.25

    def load(self, cubin: bytes) -> int:
        module = self._new("module", "load")
        self._sources[module] = Path(cubin.decode())
        return module

    def unload(self, module: int) -> None:
        self._freed("module", "unload", module)

    def function(self, module: int, name: str) -> int:
        self._called("function")
        self._known("module", module)
        function = next(self._handles)
        self._functions[function] = module, name
        return function

    def launch(self, function: int, grid: Grid, arguments: Sequence[Argument], stream: int) -> None:
        self._called("launch")
        self._known("stream", stream)
        module, name = self._functions[function]
        self._known("module", module)
        values = [type(each)(each.value) for each in arguments]  # read at once
        memory = [(each.value, 1) for each in values if isinstance(each, ctypes.c_void_p) and each.value]
        self._do(lambda: self._run and self._run(self._sources[module], name, grid, values), *memory)

    def begin_capture(self, stream: int) -> None:
        self._called("begin_capture", waits=True)
        self._known("stream", stream)
        self._capture = []

    def end_capture(self, stream: int) -> int:
        recorded, self._capture = self._capture, None
        if recorded is None:
            raise AssertionError("a capture was ended that was not begun")
        graph = self._new("graph", "end_capture")
        self._graphs[graph] = recorded
        return graph

    def launch_graph(self, graph: int, stream: int) -> None:
        self._called("launch_graph")
        self._known("stream", stream)
        self._known("graph", graph)
        for work in self._graphs[graph]:
            self._do(work)

    def destroy_graph(self, graph: int) -> None:
        self._freed("graph", "destroy_graph", graph)

    def _called(self, call: str, *, waits: bool = False) -> None:
        self._count(call)
        self._answer(call, waits=waits)

    def _count(self, call: str) -> None:
        if threading.get_ident() not in self._threads and not self._broken:  # one that is can't be entered
            raise AssertionError(f"{call}: this thread has not entered the GPU")
        self.calls[call] += 1

    def _freeing(self, call: str) -> None:
        self._count(call)
        if self._capture is not None:
            raise AssertionError(f"{call} while work is being recorded")

    def _answer(self, call: str, *, waits: bool = False) -> None:
        number, lasting = self._faults.get(call, (0, False))
        failing = 0 < number == self.calls[call]
        self._broken = self._broken or (failing and lasting)
        if failing or self._broken:
            why = "an illegal memory access was encountered" if self._broken else "out of memory"
            raise DeviceError(f"the GPU failed: {call} answered {why}")
        if waits and self._capture is not None:
            raise DeviceError(f"the GPU failed: {call} answered operation not permitted when stream is capturing")

    def _do(self, work: Callable[[], object], *memory: tuple[int, int]) -> None:
        """Do it now, or record it; ``memory``: addresses and sizes of what it touches of the device's."""

        def checked() -> None:
            for address, size in memory:
                self._inside(address, size)
            work()

        if self._capture is None:
            checked()
        else:
            self._capture.append(checked)

    def _new(self, kind: str, call: str) -> int:
        self._called(call)
        handle = next(self._handles)
        self._live[kind].add(handle)
        return handle

    def _known(self, kind: str, handle: int) -> None:
        if handle not in self._live[kind]:
            raise AssertionError(f"{handle} is no {kind}, or no more")

    def _freed(self, kind: str, call: str, handle: int) -> None:
        self._count(call)
        self._known(kind, handle)
        self._live[kind].discard(handle)
        self._answer(call)

    def _inside(self, address: int, size: int) -> None:
        blocks = [*((start, len(block)) for start, block in self._memory.items()), *self._registered.items()]
        if not any(start <= address <= start + length - size for start, length in blocks):
            raise AssertionError(f"{size} bytes at {address:#x} are outside of every array")
