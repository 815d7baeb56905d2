"""The GPU that the measurements and the tests in this folder use: the real one, or one that is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bgcamd.cuda.driver import CudaDriver
from bgcamd.cuda.fake import FakeDriver, fake_compiler
from bgcamd.cuda.gpu import Gpu

sys.path.append(str(Path(__file__).resolve().parent.parent / "cuda"))  # for on_cpu


@contextmanager
def opened(fake_in: Path | None) -> Iterator[Gpu]:
    """The first GPU; or a fake one whose kernels run on the CPU, compiled into ``fake_in``. Raises DeviceError."""
    if fake_in is None:
        with Gpu(CudaDriver()) as gpu:
            yield gpu
        return
    from on_cpu import CpuKernels

    driver = FakeDriver(run=CpuKernels(fake_in))
    with Gpu(driver, compiler=fake_compiler) as gpu:
        yield gpu
    driver.check_nothing_left()


def in_use(gpu: Gpu) -> int:
    """How many bytes of the device's memory are allocated, by anybody."""
    if isinstance(gpu.driver, FakeDriver):
        return sum(len(block) for block in gpu.driver._memory.values())
    from cuda.bindings import driver

    status, free, total = driver.cuMemGetInfo()
    assert int(status) == 0, status
    return int(total) - int(free)
