"""One GPU and what it lends, on the fake driver; and that the fake driver is as strict as it says."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bgcamd.cuda.driver import Card, Driver, Grid
from bgcamd.cuda.fake import FakeDriver, fake_compiler
from bgcamd.cuda.gpu import Float, Gpu, Int, grid_over
from bgcamd.errors import DeviceError, EngineError

SOURCE = Path("some.cu")


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver()


@pytest.fixture
def card(driver: FakeDriver) -> Iterator[Gpu]:
    with Gpu(driver, compiler=fake_compiler) as gpu:
        yield gpu
    driver.check_nothing_left()


def in_a_thread(work: Callable[[], object]) -> list[BaseException]:
    """Run it in another thread; return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


class TestGpu:
    def test_there_is_none_without_a_card(self) -> None:
        with pytest.raises(DeviceError, match="no NVIDIA GPU"):
            Gpu(FakeDriver(None))

    def test_the_second_of_one_is_not_there(self, driver: FakeDriver) -> None:
        with pytest.raises(DeviceError, match="no NVIDIA GPU"):
            Gpu(driver, 1)

    def test_says_what_it_is(self) -> None:
        orin = Card("Orin", (8, 7), integrated=True)
        with Gpu(FakeDriver(orin)) as gpu:
            assert (gpu.card, gpu.version, type(gpu.stream)) == (orin, 13000, int)

    def test_its_errors_are_errors_of_an_engine(self) -> None:
        assert issubclass(DeviceError, EngineError)

    @pytest.mark.parametrize("call", ["create_stream"])
    def test_one_that_can_not_be_opened_is_given_back(self, driver: FakeDriver, call: str) -> None:
        driver.fail(call)
        with pytest.raises(DeviceError, match=call):
            Gpu(driver)
        driver.check_nothing_left()

    def test_is_given_back_by_whatever_thread_leaves_it(self, driver: FakeDriver) -> None:
        gpu = Gpu(driver)
        assert in_a_thread(lambda: gpu.__exit__(None, None, None)) == []
        driver.check_nothing_left()

    def test_refuses_a_thread_that_has_not_entered(self, card: Gpu) -> None:
        (error,) = in_a_thread(lambda: card.array((4,), np.uint8))
        assert "has not entered" in str(error)

    def test_serves_a_thread_that_has_entered(self, card: Gpu) -> None:
        def work() -> None:
            card.enter_thread()
            card.array((4,), np.uint8).close()

        assert in_a_thread(work) == []

    def test_compiles_for_its_own_capability(self, driver: FakeDriver) -> None:
        asked = []

        def compiler(source: Path, capability: tuple[int, int]) -> bytes:
            asked.append((source, capability))
            return fake_compiler(source, capability)

        with Gpu(driver, compiler=compiler) as gpu, gpu.kernels(SOURCE):
            assert asked == [(SOURCE, (8, 9))]
        driver.check_nothing_left()


class TestArray:
    def test_is_zeros_of_its_shape(self, card: Gpu) -> None:
        came = np.ones((2, 3), np.float16)
        with card.array((2, 3), np.float16) as array:
            card.download(came, array)
            assert (array.shape, array.dtype, array.nbytes) == ((2, 3), np.float16, 12)
        assert not came.any()

    def test_is_aligned_as_kernels_like_it(self, card: Gpu) -> None:
        with card.array((3,), np.uint8) as first, card.array((3,), np.uint8) as second:
            assert (first.address % 256, second.address % 256) == (0, 0)

    def test_may_be_empty(self, card: Gpu) -> None:
        with card.array((0, 4), np.uint8) as array:
            card.clear(array)
            assert array.nbytes == 0

    def test_is_freed_once_however_often_it_is_closed(self, card: Gpu, driver: FakeDriver) -> None:
        array = card.array((4,), np.uint8)
        array.close()
        array.close()
        assert driver.calls["free"] == 1

    def test_is_freed_when_it_can_not_be_cleared(self, driver: FakeDriver) -> None:
        with Gpu(driver) as gpu:
            driver.fail("fill")
            with pytest.raises(DeviceError, match="fill"):
                gpu.array((4,), np.uint8)
        driver.check_nothing_left()

    def test_takes_and_gives_only_its_own_size(self, card: Gpu) -> None:
        with card.array((4,), np.uint8) as array, card.array((5,), np.uint8) as larger:
            with pytest.raises(ValueError, match="4 bytes"):
                card.upload(array, np.zeros(5, np.uint8))
            with pytest.raises(ValueError, match="4 bytes"):
                card.download(np.zeros(3, np.uint8), array)
            with pytest.raises(ValueError, match="5 bytes do not fit 4"):
                card.copy(array, larger)

    def test_takes_no_host_array_with_gaps(self, card: Gpu) -> None:
        with card.array((4,), np.uint8) as array, pytest.raises(ValueError, match="contiguous"):
            card.upload(array, np.zeros((4, 2), np.uint8)[:, 0])


class TestPinned:
    def test_is_seen_alike_from_both_sides(self, card: Gpu) -> None:
        with card.pinned(6) as block, card.array((6,), np.uint8) as array:
            assert (block.view.shape, block.view.dtype, block.view.any()) == ((6,), np.uint8, np.False_)
            block.view[:] = range(6)
            card.upload(array, block.view)
            came = np.zeros(6, np.uint8)
            card.download(came, array)
        assert came.tolist() == list(range(6))

    def test_its_view_outlives_it(self, card: Gpu) -> None:
        block = card.pinned(10_000)
        view = block.view
        view[:] = 7
        block.close()
        del block
        assert view.min() == 7

    def test_is_unregistered_when_it_has_no_address(self, driver: FakeDriver) -> None:
        with Gpu(driver) as gpu:
            driver.fail("device_address")
            with pytest.raises(DeviceError, match="device_address"):
                gpu.pinned(100)
        driver.check_nothing_left()


class TestRecording:
    def test_does_nothing_until_it_is_launched(self, card: Gpu) -> None:
        came = np.zeros(4, np.uint8)
        with card.array((4,), np.uint8) as array:
            card.upload(array, np.full(4, 9, np.uint8))
            with card.record(lambda: card.download(came, array)) as graph:
                before = came.copy()
                graph.launch()
        assert (before.any(), came.tolist()) == (np.False_, [9] * 4)

    def test_sees_what_lies_in_memory_at_each_launch(self, card: Gpu) -> None:
        came, seen = np.zeros(1, np.uint8), []
        with card.array((1,), np.uint8) as array, card.record(lambda: card.download(came, array)) as graph:
            for value in (1, 2):
                card.upload(array, np.array([value], np.uint8))
                graph.launch()
                seen.append(int(came[0]))
        assert seen == [1, 2]

    @pytest.mark.parametrize("forbidden", ["synchronize", "array", "pinned", "wait"])
    def test_refuses_what_waits_or_allocates(self, card: Gpu, forbidden: str) -> None:
        with card.event() as event:
            works: dict[str, Callable[[], object]] = {
                "synchronize": card.synchronize,
                "array": lambda: card.array((4,), np.uint8),
                "pinned": lambda: card.pinned(4),
                "wait": event.wait,
            }
            with pytest.raises(DeviceError, match="not permitted when stream is capturing"):
                card.record(works[forbidden])  # type: ignore[arg-type]
            card.synchronize()  # it is over

    def test_refuses_what_frees(self, card: Gpu, driver: FakeDriver) -> None:
        with card.array((4,), np.uint8) as array, pytest.raises(AssertionError, match="while work is being recorded"):
            card.record(lambda: driver.free(array.address))

    def test_is_ended_when_the_work_raises(self, card: Gpu, driver: FakeDriver) -> None:
        with pytest.raises(ZeroDivisionError):
            card.record(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
        card.synchronize()
        assert driver.calls["destroy_graph"] == 1

    def test_tells_the_works_error_when_the_gpu_failed_in_it(self, card: Gpu, driver: FakeDriver) -> None:
        with card.array((4,), np.uint8) as array:
            driver.fail("fill")
            with pytest.raises(DeviceError, match="fill answered"):
                card.record(lambda: card.clear(array))


class TestKernels:
    def test_get_addresses_and_numbers_in_order(self) -> None:
        seen = []

        def run(source: Path, name: str, grid: Grid, arguments: list[ctypes._SimpleCData[int]]) -> None:
            seen.append((source, name, grid, [(type(each), each.value) for each in arguments]))

        driver = FakeDriver(run=run)
        with Gpu(driver, compiler=fake_compiler) as gpu, gpu.array((4,), np.uint8) as array, gpu.pinned(4) as block:
            with gpu.kernels(SOURCE) as kernels:
                kernels.launch("f", grid_over(5, 3), array, block, Int(7), Float(0.5))
            memory = [(ctypes.c_void_p, array.address), (ctypes.c_void_p, block.address)]
        assert seen == [(SOURCE, "f", Grid((1, 1, 1), (32, 8, 1)), [*memory, (Int, 7), (Float, 0.5)])]
        driver.check_nothing_left()

    def test_read_their_numbers_when_they_are_queued(self) -> None:
        seen: list[int] = []
        driver = FakeDriver(run=lambda _, __, ___, arguments: seen.append(arguments[0].value))
        with Gpu(driver, compiler=fake_compiler) as gpu, gpu.kernels(SOURCE) as kernels:
            number = Int(1)
            with gpu.record(lambda: kernels.launch("f", grid_over(1), number)) as graph:
                number.value = 2
                graph.launch()
        assert seen == [1]

    def test_each_is_looked_up_once(self, card: Gpu, driver: FakeDriver) -> None:
        with card.kernels(SOURCE) as kernels:
            for name in ("f", "g", "f"):
                kernels.launch(name, grid_over(1))
        assert (driver.calls["function"], driver.calls["launch"]) == (2, 3)


@pytest.mark.parametrize(
    ("size", "threads", "blocks"),
    [((1,), 256, (1, 1, 1)), ((257,), 256, (2, 1, 1)), ((33, 9), 32, (2, 2, 1)), ((32, 8, 3), 32, (1, 1, 3))],
)
def test_a_grid_covers_every_sample(size: tuple[int, ...], threads: int, blocks: tuple[int, int, int]) -> None:
    grid = grid_over(*size)
    assert (grid.blocks, grid.threads[0]) == (blocks, threads)


class TestAFailingGpu:
    def test_fails_at_the_call_that_was_said_and_ever_after(self, driver: FakeDriver) -> None:
        with Gpu(driver) as gpu, gpu.array((4,), np.uint8) as array:
            driver.fail("fill", 2)
            gpu.clear(array)
            for work in (lambda: gpu.clear(array), gpu.synchronize, lambda: gpu.array((4,), np.uint8)):
                with pytest.raises(DeviceError, match="illegal memory access"):
                    work()

    def test_is_closed_without_a_word_and_all_is_given_back(self, driver: FakeDriver) -> None:
        def use() -> None:
            with (
                Gpu(driver, compiler=fake_compiler) as gpu,
                gpu.array((4,), np.uint8) as array,
                gpu.pinned(4),
                gpu.event(),
                gpu.kernels(SOURCE),
                gpu.record(lambda: gpu.clear(array)),
            ):
                gpu.synchronize()

        driver.fail("synchronize")
        with pytest.raises(DeviceError, match="the GPU failed: synchronize answered"):
            use()
        driver.check_nothing_left()

    def test_works_again_once_it_has_been_given_back(self, driver: FakeDriver) -> None:
        driver.fail("synchronize")
        with Gpu(driver) as gpu, pytest.raises(DeviceError):
            gpu.synchronize()
        with Gpu(driver) as gpu:
            gpu.synchronize()

    def test_fails_still_while_somebody_holds_it(self, driver: FakeDriver) -> None:
        driver.fail("synchronize")
        with Gpu(driver):
            with Gpu(driver) as broken, pytest.raises(DeviceError):
                broken.synchronize()
            with pytest.raises(DeviceError):
                Gpu(driver)


class TestTheFakeRefuses:
    """What a real GPU may let pass, or answers by corruption."""

    def test_what_is_freed_twice(self, card: Gpu, driver: FakeDriver) -> None:
        address = driver.allocate(4)
        driver.free(address)
        with pytest.raises(AssertionError, match="free already"):
            driver.free(address)

    def test_what_is_not_freed(self, driver: FakeDriver) -> None:
        with Gpu(driver) as gpu:
            array = gpu.array((4,), np.uint8)
            with pytest.raises(AssertionError, match="1 arrays"):
                driver.check_nothing_left()
            array.close()
        driver.check_nothing_left()

    def test_a_copy_beyond_an_array(self, card: Gpu, driver: FakeDriver) -> None:
        with card.array((4,), np.uint8) as array, pytest.raises(AssertionError, match="outside of every array"):
            driver.fill(array.address + 1, 0, 4, card.stream)

    def test_a_replay_over_memory_that_is_gone(self, card: Gpu) -> None:
        array = card.array((4,), np.uint8)
        with card.record(lambda: card.clear(array)) as graph:
            array.close()
            with pytest.raises(AssertionError, match="outside of every array"):
                graph.launch()

    def test_a_kernel_over_memory_that_is_gone(self, card: Gpu) -> None:
        array = card.array((4,), np.uint8)
        array.close()
        with card.kernels(SOURCE) as kernels, pytest.raises(AssertionError, match="outside of every array"):
            kernels.launch("f", grid_over(1), array)

    def test_a_kernel_of_a_module_that_was_unloaded(self, card: Gpu) -> None:
        kernels = card.kernels(SOURCE)
        kernels.launch("f", grid_over(1))
        kernels.close()
        with pytest.raises(AssertionError, match="no module"):
            kernels.launch("f", grid_over(1))

    def test_a_mark_that_is_gone(self, card: Gpu) -> None:
        event = card.event()
        event.close()
        with pytest.raises(AssertionError, match="no event"):
            event.record()

    def test_memory_that_is_registered_twice_or_is_no_pages(self, card: Gpu, driver: FakeDriver) -> None:
        with card.pinned(4) as block:
            for address, size, words in ((block.address, 4096, "already registered"), (123, 4096, "invalid argument")):
                with pytest.raises(DeviceError, match=words):
                    driver.register(address, size)

    def test_a_context_that_was_given_back_twice(self, driver: FakeDriver) -> None:
        with Gpu(driver):
            pass
        with pytest.raises(AssertionError, match="twice"):
            driver.release_context(0)

    def test_a_closed_gpu(self, driver: FakeDriver) -> None:
        with Gpu(driver) as gpu:
            pass
        with pytest.raises(DeviceError, match="invalid device context"):
            gpu.enter_thread()

    def test_a_capture_that_was_not_begun(self, card: Gpu, driver: FakeDriver) -> None:
        with pytest.raises(AssertionError, match="not begun"):
            driver.end_capture(card.stream)


def test_the_fake_answers_all_that_a_driver_is_asked() -> None:
    asked = {name for name, value in vars(Driver).items() if callable(value) and not name.startswith("_")}
    assert {name for name in asked if name not in vars(FakeDriver)} == set()


def test_host_work_is_queued_like_any_other() -> None:
    driver, done = FakeDriver(), []
    with Gpu(driver) as gpu, gpu.record(lambda: driver.enqueue(gpu.stream, lambda: done.append(1))) as graph:
        before = list(done)
        graph.launch()
        graph.launch()
    assert (before, done) == ([], [1, 1])
