"""What a GPU is used for, with NVIDIA's driver library replaced by stub_libcuda; test_driver.py runs it.

on_stub.py NAME: runs the function of that name and prints, as JSON, what it returned, the calls that reached the
library, and how much was left there.
"""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bgcamd.cuda.driver import CudaDriver
from bgcamd.cuda.gpu import Float, Gpu, Int, grid_over
from bgcamd.errors import DeviceError

KERNEL = """
extern "C" __global__ void add_scaled(const float* source, float* target, int count, float factor) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) target[i] += factor * source[i];
}
"""


def card() -> object:
    """What the GPU says of itself."""
    driver = CudaDriver()
    with Gpu(driver) as gpu:
        return [driver.version(), driver.count(), gpu.version, *gpu.card, type(gpu.stream) is int and gpu.stream > 0]


def memory() -> object:
    """Bytes there, within, and back: zeros at first, then what was uploaded, copied, cleared."""
    with Gpu(CudaDriver()) as gpu, ExitStack() as stack:
        first, second = (stack.enter_context(gpu.array((2, 3), np.uint16)) for _ in range(2))
        came = [np.full((2, 3), 7, np.uint16) for _ in range(4)]
        gpu.download(came[0], first)
        gpu.upload(first, np.arange(6, dtype=np.uint16).reshape(2, 3))
        gpu.copy(second, first)
        gpu.download(came[1], second)
        gpu.clear(second)
        gpu.download(came[2], second)
        gpu.download(came[3], first)
        gpu.synchronize()
        return [each.ravel().tolist() for each in came]


def pinned() -> object:
    """A registered block is read when its turn comes, not when the copy is queued; an ordinary one at once."""
    with Gpu(CudaDriver()) as gpu, gpu.pinned(5000) as block, gpu.array((5000,), np.uint8) as array:
        ordinary, came = np.full(5000, 1, np.uint8), np.zeros((2, 5000), np.uint8)
        gpu.upload(array, ordinary)
        gpu.download(came[0], array)
        gpu.upload(array, block.view)
        gpu.download(came[1], array)
        ordinary[:], block.view[:] = 2, 2
        before = came.any()
        gpu.synchronize()
        return [block.address == block.view.ctypes.data, bool(before), *(int(each.min()) for each in came)]


def time() -> object:
    """The time between two marks, each piece of work of the stub taking 1 ms; None before they are reached."""
    with Gpu(CudaDriver()) as gpu, gpu.event() as start, gpu.event() as end, gpu.array((4,), np.uint8) as array:
        start.record()
        for _ in range(3):
            gpu.clear(array)
        end.record()
        try:
            early: object = end.ms_since(start)
        except DeviceError as error:
            early = error.message
        end.wait()
        return [early, end.ms_since(start)]


def kernels() -> object:
    """A kernel of this very source, compiled, loaded and launched: its arguments are read when it is queued."""
    with Gpu(CudaDriver()) as gpu, ExitStack() as stack:
        loaded = stack.enter_context(gpu.kernels(_source(stack)))
        source, target = (stack.enter_context(gpu.array((300,), np.float32)) for _ in range(2))
        gpu.upload(source, np.arange(300, dtype=np.float32))
        count, factor = Int(299), Float(0.5)
        loaded.launch("add_scaled", grid_over(299), source, target, count, factor)
        count.value, factor.value = 1, 9.0
        loaded.launch("add_scaled", grid_over(299), source, target, count, factor)
        came = np.zeros(300, np.float32)
        gpu.download(came, target)
        gpu.synchronize()
        try:
            loaded.launch("no_such_kernel", grid_over(1))
        except DeviceError as error:
            return [came[[0, 1, 298, 299]].tolist(), error.message]
        return came


def graph() -> object:
    """What is recorded is not done; each launch does it once, with what lies in memory then."""
    with Gpu(CudaDriver()) as gpu, ExitStack() as stack:
        loaded = stack.enter_context(gpu.kernels(_source(stack)))
        source, target = (stack.enter_context(gpu.array((1,), np.float32)) for _ in range(2))
        recorded = stack.enter_context(
            gpu.record(lambda: loaded.launch("add_scaled", grid_over(1), source, target, Int(1), Float(1)))
        )
        sums = np.zeros((3, 1), np.float32)
        gpu.download(sums[0], target)
        for number, value in enumerate((1, 10), 1):
            gpu.upload(source, np.array([value], np.float32))
            recorded.launch()
            gpu.download(sums[number], target)
        gpu.synchronize()
        return sums.ravel().tolist()


def work_that_raises() -> object:
    """A recording that goes wrong is ended: the stream can be used, and recorded, again."""
    with Gpu(CudaDriver()) as gpu, gpu.array((4,), np.uint8) as array:
        said = []
        for work in (gpu.synchronize, lambda: 1 // 0):
            try:
                gpu.record(work)
            except (DeviceError, ZeroDivisionError) as error:
                said.append(str(error))
        with gpu.record(lambda: gpu.clear(array)) as again:
            again.launch()
            gpu.synchronize()
        return said


def other_thread() -> object:
    """A thread that has not entered the GPU is refused, one that has is not."""
    with Gpu(CudaDriver()) as gpu:
        said = []

        def work(*first: Callable[[], None]) -> None:
            try:
                for each in first:
                    each()
                gpu.array((4,), np.uint8).close()
                said.append("done")
            except DeviceError as error:
                said.append(error.message)

        for first in ([], [gpu.enter_thread]):
            thread = threading.Thread(target=work, args=first)
            thread.start()
            thread.join()
        return said


def everything() -> object:
    """All of it once, with what is left when something fails; None if nothing did."""
    try:
        with Gpu(CudaDriver()) as gpu, ExitStack() as stack:
            loaded = stack.enter_context(gpu.kernels(_source(stack)))
            arrays = [stack.enter_context(gpu.array((4,), np.float32)) for _ in range(2)]
            block, mark = stack.enter_context(gpu.pinned(16)), stack.enter_context(gpu.event())
            values = block.view.view(np.float32)
            gpu.upload(arrays[0], values)

            def work() -> None:
                loaded.launch("add_scaled", grid_over(4), *arrays, Int(4), Float(1))
                gpu.copy(arrays[0], arrays[1])

            recorded = stack.enter_context(gpu.record(work))
            recorded.launch()
            gpu.download(values, arrays[1])
            mark.record()
            mark.wait()
            gpu.synchronize()
    except DeviceError as error:
        return [error.message, error.hint]
    return None


def again_after_an_error() -> object:
    """A GPU that failed is given back whole, and works when it is taken anew."""
    return [everything(), everything()]


def none_there() -> object:
    """A machine without a GPU."""
    driver = CudaDriver()
    try:
        Gpu(driver)
    except DeviceError as error:
        return [driver.version(), driver.count(), error.message, error.hint]
    return None


def _source(stack: ExitStack) -> Path:
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "kernel.cu"
    path.write_text(KERNEL)
    return path


def main(name: str) -> None:
    """Run one and print."""
    returned: Any = globals()[name]()
    stub = ctypes.CDLL("libcuda.so.1") if name != "none_there" else None
    log = []
    if stub is not None:
        stub.stub_log.restype = ctypes.c_char_p
        log = stub.stub_log().decode().splitlines()
    print(json.dumps({"returned": returned, "log": log, "left": stub.stub_left() if stub else 0}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
