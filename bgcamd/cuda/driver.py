"""The few calls of the CUDA driver that we use, behind a protocol, so that a fake one can answer them in tests.

Handles (contexts, streams, modules, graphs) and addresses are plain integers here; sizes are in bytes. Copies, fills
and launches are queued on a stream and have not happened when the call returns.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeAlias

from bgcamd.errors import DeviceError

Argument: TypeAlias = "ctypes._SimpleCData[Any]"
"""What a kernel is given: an address (c_void_p), an int or a float of C."""


class Card(NamedTuple):
    """A GPU. capability: (9, 0) is what NVCC calls sm_90; integrated: it shares the host's memory (Jetson)."""

    name: str
    capability: tuple[int, int]
    integrated: bool


class Grid(NamedTuple):
    """How many threads run a kernel: blocks in x, y, z, and threads of a block in x, y, z."""

    blocks: tuple[int, int, int]
    threads: tuple[int, int, int]


class Driver(Protocol):
    """What we ask of a driver. Every method raises DeviceError when the driver says no.

    ``version`` and ``count`` are the ones that are safe without a driver: then they give 0.
    """

    def version(self) -> int:
        """The newest CUDA version it can run, 13000 for 13.0; 0 where there is no driver."""

    def count(self) -> int:
        """How many GPUs there are."""

    def card(self, ordinal: int) -> Card:
        """Describe a GPU."""

    def retain_context(self, ordinal: int) -> int:
        """The GPU's primary context; to be given back by ``release_context``."""

    def release_context(self, ordinal: int) -> None:
        """Give it back; when nobody has it any more, it and all that is in it are gone."""

    def make_current(self, context: int) -> None:
        """Let the calling thread work in this context; cheap when it does already."""

    def create_stream(self) -> int:
        """A stream that doesn't wait for the default one."""

    def destroy_stream(self, stream: int) -> None:
        """End it."""

    def synchronize(self, stream: int) -> None:
        """Wait, asleep, until all that is queued is done."""

    def allocate(self, size: int) -> int:
        """Device memory, aligned to 256 bytes, not zeroed; its address."""

    def free(self, address: int) -> None:
        """Give it back."""

    def register(self, address: int, size: int) -> None:
        """Pin whole pages of host memory, so that the GPU reads and writes them by itself."""

    def unregister(self, address: int) -> None:
        """Unpin them."""

    def device_address(self, address: int) -> int:
        """Where the GPU sees registered host memory."""

    def upload(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy from the host; from memory that is not registered it is done when this returns."""

    def download(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy to the host."""

    def copy(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy within the device."""

    def fill(self, target: int, byte: int, size: int, stream: int) -> None:
        """Set every byte."""

    def create_event(self) -> int:
        """A mark in a stream, with a time; waiting for it does not spin."""

    def destroy_event(self, event: int) -> None:
        """Free it."""

    def record(self, event: int, stream: int) -> None:
        """Set the mark behind what is queued now."""

    def wait(self, event: int) -> None:
        """Wait, asleep, until the mark is reached."""

    def elapsed_ms(self, start: int, end: int) -> float:
        """Time between two marks that were reached, ms, to about half a microsecond."""

    def load(self, cubin: bytes) -> int:
        """Load a compiled module."""

    def unload(self, module: int) -> None:
        """Free it."""

    def function(self, module: int, name: str) -> int:
        """A kernel of a module."""

    def launch(self, function: int, grid: Grid, arguments: Sequence[Argument], stream: int) -> None:
        """Queue a kernel; its arguments are read at once."""

    def begin_capture(self, stream: int) -> None:
        """From now on what this thread queues on the stream is recorded, not done."""

    def end_capture(self, stream: int) -> int:
        """Return what was recorded as a graph that can be launched; a capture that went wrong raises."""

    def launch_graph(self, graph: int, stream: int) -> None:
        """Queue all that was recorded."""

    def destroy_graph(self, graph: int) -> None:
        """Free it."""


class CudaDriver(Driver):
    """NVIDIA's driver, by cuda-python. Holds no state of its own."""

    def __init__(self) -> None:
        try:
            from cuda.bindings import driver  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise DeviceError("cuda-python is not installed", "pip install 'bgcamd[rtx]'") from error
        self._cuda: Any = driver

    def version(self) -> int:
        return int(self._ask("cuDriverGetVersion")) if self._ready() else 0

    def count(self) -> int:
        return int(self._ask("cuDeviceGetCount")) if self._ready() else 0

    def _ready(self) -> bool:
        """Whether there is a driver with a GPU. Without one cuda-python raises a RuntimeError of its own."""
        try:
            (answer,) = self._cuda.cuInit(0)
        except RuntimeError:
            return False
        return int(answer) == 0

    def card(self, ordinal: int) -> Card:
        device = self._ask("cuDeviceGet", ordinal)
        kinds = self._cuda.CUdevice_attribute
        major, minor, integrated = (
            int(self._ask("cuDeviceGetAttribute", getattr(kinds, f"CU_DEVICE_ATTRIBUTE_{name}"), device))
            for name in ("COMPUTE_CAPABILITY_MAJOR", "COMPUTE_CAPABILITY_MINOR", "INTEGRATED")
        )
        name = bytes(self._ask("cuDeviceGetName", 128, device)).split(b"\0")[0].decode(errors="replace")
        return Card(name, (major, minor), bool(integrated))

    def retain_context(self, ordinal: int) -> int:
        return int(self._ask("cuDevicePrimaryCtxRetain", self._ask("cuDeviceGet", ordinal)))

    def release_context(self, ordinal: int) -> None:
        self._ask("cuDevicePrimaryCtxRelease", self._ask("cuDeviceGet", ordinal))

    def make_current(self, context: int) -> None:
        self._ask("cuCtxSetCurrent", context)

    def create_stream(self) -> int:
        return int(self._ask("cuStreamCreate", int(self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING)))

    def destroy_stream(self, stream: int) -> None:
        self._ask("cuStreamDestroy", stream)

    def synchronize(self, stream: int) -> None:
        event = self.create_event()
        try:
            self.record(event, stream)
            self.wait(event)  # cuStreamSynchronize would spin
        finally:
            with suppress(DeviceError):  # it would hide the first error
                self.destroy_event(event)

    def allocate(self, size: int) -> int:
        return int(self._ask("cuMemAlloc", size))

    def free(self, address: int) -> None:
        self._ask("cuMemFree", address)

    def register(self, address: int, size: int) -> None:
        flags = self._cuda.CU_MEMHOSTREGISTER_PORTABLE | self._cuda.CU_MEMHOSTREGISTER_DEVICEMAP
        self._ask("cuMemHostRegister", address, size, flags)

    def unregister(self, address: int) -> None:
        self._ask("cuMemHostUnregister", address)

    def device_address(self, address: int) -> int:
        return int(self._ask("cuMemHostGetDevicePointer", address, 0))

    def upload(self, target: int, source: int, size: int, stream: int) -> None:
        self._ask("cuMemcpyHtoDAsync", target, source, size, stream)

    def download(self, target: int, source: int, size: int, stream: int) -> None:
        self._ask("cuMemcpyDtoHAsync", target, source, size, stream)

    def copy(self, target: int, source: int, size: int, stream: int) -> None:
        self._ask("cuMemcpyDtoDAsync", target, source, size, stream)

    def fill(self, target: int, byte: int, size: int, stream: int) -> None:
        self._ask("cuMemsetD8Async", target, byte, size, stream)

    def create_event(self) -> int:
        return int(self._ask("cuEventCreate", int(self._cuda.CUevent_flags.CU_EVENT_BLOCKING_SYNC)))

    def destroy_event(self, event: int) -> None:
        self._ask("cuEventDestroy", event)

    def record(self, event: int, stream: int) -> None:
        self._ask("cuEventRecord", event, stream)

    def wait(self, event: int) -> None:
        self._ask("cuEventSynchronize", event)

    def elapsed_ms(self, start: int, end: int) -> float:
        return float(self._ask("cuEventElapsedTime", start, end))

    def load(self, cubin: bytes) -> int:
        return int(self._ask("cuModuleLoadData", cubin))

    def unload(self, module: int) -> None:
        self._ask("cuModuleUnload", module)

    def function(self, module: int, name: str) -> int:
        return int(self._ask("cuModuleGetFunction", module, name.encode()))

    def launch(self, function: int, grid: Grid, arguments: Sequence[Argument], stream: int) -> None:
        pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        self._ask("cuLaunchKernel", function, *grid.blocks, *grid.threads, 0, stream, ctypes.addressof(pointers), 0)

    def begin_capture(self, stream: int) -> None:
        mode = self._cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._ask("cuStreamBeginCapture", stream, mode)

    def end_capture(self, stream: int) -> int:
        graph = self._ask("cuStreamEndCapture", stream)
        try:
            return int(self._ask("cuGraphInstantiate", graph, 0))
        finally:
            with suppress(DeviceError):
                self._ask("cuGraphDestroy", graph)

    def launch_graph(self, graph: int, stream: int) -> None:
        self._ask("cuGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        self._ask("cuGraphExecDestroy", graph)

    def _ask(self, call: str, *arguments: Any) -> Any:
        """Call the driver; cuda-python answers (status,) or (status, value), or raises when the call is not there."""
        try:
            status, *value = getattr(self._cuda, call)(*arguments)
        except RuntimeError as error:
            raise DeviceError(f"the GPU's driver has no {call}, or there is none", "update the driver") from error
        if int(status) != 0:
            raise DeviceError(f"the GPU failed: {call} answered {self._meaning(status)}", "see `nvidia-smi`")
        return value[0] if value else None

    def _meaning(self, status: Any) -> str:
        code, text = self._cuda.cuGetErrorString(status)
        return text.decode() if int(code) == 0 and text else str(getattr(status, "name", status))
