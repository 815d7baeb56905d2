"""Host memory of others that a GPU is told of."""

from __future__ import annotations

import mmap
import threading

import numpy as np
import pytest

from bgcamd.cuda.fake import FakeDriver, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import DeviceError


def pages(count: int = 2) -> np.ndarray:
    return np.frombuffer(mmap.mmap(-1, count * mmap.PAGESIZE), np.uint8)


def test_the_gpu_knows_all_of_it_and_nothing_beside_it(gpu: Gpu) -> None:
    view = pages()
    start, size = view.ctypes.data, view.nbytes
    with gpu.register(view):
        assert gpu.registered(start, size) == start
        assert gpu.registered(start + 100, size - 100) == start + 100
        assert gpu.registered(start + 1, size) is None
        assert gpu.registered(start - 1, 10) is None
    assert gpu.registered(start, size) is None


def test_closing_twice_and_after_the_gpu_does_nothing() -> None:
    driver, views = FakeDriver(), (pages(), pages())
    with Gpu(driver, compiler=fake_compiler) as gpu:
        first, second = map(gpu.register, views)
        first.close()
        first.close()
    driver.check_nothing_left()
    second.close()
    driver.check_nothing_left()


def test_a_gpu_that_is_closed_takes_no_more() -> None:
    driver = FakeDriver()
    with Gpu(driver, compiler=fake_compiler) as gpu:
        pass
    with Gpu(driver, compiler=fake_compiler), pytest.raises(DeviceError, match="not in use any more"):
        gpu.register(pages())  # its context is the other's, too
    driver.check_nothing_left()


def test_another_thread_may_register_and_close(gpu: Gpu) -> None:
    view = pages()

    def capture() -> None:
        with gpu.register(view):
            known.append(gpu.registered(view.ctypes.data, 1))

    known: list[int | None] = []
    thread = threading.Thread(target=capture)
    thread.start()
    thread.join()
    assert known == [view.ctypes.data]


@pytest.mark.parametrize("call", ["register", "device_address"])
def test_memory_that_the_driver_refuses_is_not_known(call: str) -> None:
    driver, view = FakeDriver(), pages()
    with Gpu(driver, compiler=fake_compiler) as gpu:
        driver.fail(call)
        with pytest.raises(DeviceError):
            gpu.register(view)
        assert gpu.registered(view.ctypes.data, 1) is None
    driver.check_nothing_left()
