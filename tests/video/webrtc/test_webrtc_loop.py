"""The event loop's thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bgcamd.video.webrtc.loop import LoopThread


async def doubled(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


def test_work_is_done_in_the_thread_and_its_result_comes_back() -> None:
    async def where() -> str:
        return threading.current_thread().name

    with LoopThread("loop") as loop:
        assert loop.run(doubled(4), 10) == 8
        assert loop.run(where(), 10) == "loop"


def test_what_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise KeyError("no")

    with LoopThread("loop") as loop, pytest.raises(KeyError):
        loop.run(fail(), 10)


def test_work_that_takes_too_long_is_cancelled() -> None:
    cancelled = threading.Event()

    async def sleep() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.set()

    with LoopThread("loop") as loop:
        with pytest.raises(TimeoutError):
            loop.run(sleep(), 0.01)
        assert cancelled.wait(10)


def test_a_function_is_called_in_the_loop() -> None:
    called = threading.Event()
    with LoopThread("loop") as loop:
        loop.call(called.set)
        assert called.wait(10)


def test_closing_ends_tasks_and_the_executors_threads() -> None:
    ended: list[str] = []

    async def start() -> asyncio.Task[None]:
        await asyncio.get_running_loop().run_in_executor(None, threading.get_ident)
        return asyncio.create_task(work())

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("task")

    before = set(threading.enumerate())
    loop = LoopThread("loop")
    task = loop.run(start(), 10)
    loop.run(asyncio.sleep(0), 10)
    loop.close()
    loop.close()
    assert (ended, task.cancelled()) == (["task"], True)
    assert set(threading.enumerate()) == before
