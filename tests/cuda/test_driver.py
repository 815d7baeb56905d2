"""cuda-python is called as it wants to be: the real one, on a driver library that is ours and watches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from bgcamd.cuda.driver import CudaDriver
from bgcamd.errors import DeviceError

HERE = Path(__file__).resolve().parent
BLOCKING_SYNC, NON_BLOCKING = 1, 1
PORTABLE_AND_MAPPED = 3
THREAD_LOCAL = 1
FREED_BY = {
    "cuMemAlloc": "cuMemFree",
    "cuMemHostRegister": "cuMemHostUnregister",
    "cuStreamCreate": "cuStreamDestroy",
    "cuEventCreate": "cuEventDestroy",
    "cuModuleLoadData": "cuModuleUnload",
    "cuStreamEndCapture": "cuGraphDestroy",
    "cuGraphInstantiate": "cuGraphExecDestroy",
    "cuDevicePrimaryCtxRetain": "cuDevicePrimaryCtxRelease",
}
CONTEXT_FREE = {"cuInit", "cuDevicePrimaryCtxRetain"}


class Told(NamedTuple):
    """returned: by the function; log: the calls with their numbers, in order; left: what was not freed."""

    returned: Any
    log: list[str]
    left: int

    @property
    def calls(self) -> Counter[str]:
        """How often each was called."""
        return Counter(line.split()[0] for line in self.log)

    def numbers(self, call: str) -> set[tuple[int, ...]]:
        """With what numbers it was called."""
        return {tuple(map(int, line.split()[1:])) for line in self.log if line.split()[0] == call}


class Stub:
    """Python with the library in the place of NVIDIA's."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._kernels = library.parent / "cache" / "models"

    def run(self, name: str, **environment: str) -> Told:
        """Run a function of on_stub.py."""
        places = {"LD_LIBRARY_PATH": str(self._library.parent), "BGCAMD_MODELS": str(self._kernels)}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("CUDA_")}
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", HERE / "on_stub.py", name],
            env=kept | places | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Told(**json.loads(done.stdout))


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Stub:
    pytest.importorskip("cuda.bindings", reason="needs cuda-python")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    library = tmp_path_factory.mktemp("stub") / "libcuda.so.1"
    options = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["g++", *options, HERE / "stub_libcuda.cpp", "-o", library], check=True)
    return Stub(library)


def test_a_gpu_says_what_it_is(stub: Stub) -> None:
    told = stub.run("card")
    assert told.returned == [13020, 1, 13020, "Stub GPU", [8, 9], False, True]
    assert told.numbers("cuStreamCreate") == {(NON_BLOCKING,)}


def test_bytes_go_there_within_and_back(stub: Stub) -> None:
    assert stub.run("memory").returned == [[0] * 6, [0, 1, 2, 3, 4, 5], [0] * 6, [0, 1, 2, 3, 4, 5]]


def test_registered_memory_is_read_by_the_gpu_itself(stub: Stub) -> None:
    told = stub.run("pinned")
    same_address, done_before_it_was_waited_for, ordinary, registered = told.returned
    assert (same_address, done_before_it_was_waited_for) == (True, False)
    assert (ordinary, registered) == (1, 2)
    assert told.numbers("cuMemHostRegister") == {(8192, PORTABLE_AND_MAPPED)}  # whole pages


def test_marks_have_a_time_and_are_waited_for_asleep(stub: Stub) -> None:
    told = stub.run("time")
    assert told.returned == ["the GPU failed: cuEventElapsedTime answered device not ready", 3.0]
    assert told.numbers("cuEventCreate") == {(BLOCKING_SYNC,)}
    assert told.calls["cuStreamSynchronize"] == 0


def test_a_kernel_gets_its_arguments_as_they_were_when_it_was_launched(stub: Stub) -> None:
    told = stub.run("kernels")
    values, unknown = told.returned
    assert values == [0.0, 0.5, 149.0, 0.0]
    assert unknown == "the GPU failed: cuModuleGetFunction answered named symbol not found"
    assert told.numbers("cuLaunchKernel") == {(2, 1, 1, 256, 1, 1, 0, 0)}  # blocks, threads, shared memory, extra


def test_recorded_work_is_done_once_a_launch(stub: Stub) -> None:
    told = stub.run("graph")
    assert told.returned == [0.0, 1.0, 11.0]
    assert told.numbers("cuStreamBeginCapture") == {(THREAD_LOCAL,)}
    assert (told.calls["cuLaunchKernel"], told.calls["cuGraphLaunch"]) == (1, 2)


def test_a_recording_that_goes_wrong_is_ended(stub: Stub) -> None:
    waited, divided = stub.run("work_that_raises").returned
    assert "cuEventSynchronize answered operation not permitted when stream is capturing" in waited
    assert divided == "integer division or modulo by zero"


def test_a_thread_enters_the_gpu_before_it_uses_it(stub: Stub) -> None:
    assert stub.run("other_thread").returned == ["the GPU failed: cuMemAlloc answered invalid device context", "done"]


@pytest.mark.parametrize("name", ["card", "memory", "pinned", "time", "kernels", "graph", "work_that_raises"])
def test_everything_is_freed_exactly_once(stub: Stub, name: str) -> None:
    told = stub.run(name)
    assert told.left == 0
    assert {made: told.calls[made] - told.calls[freed] for made, freed in FREED_BY.items()} == dict.fromkeys(
        FREED_BY, 0
    )


def test_whatever_fails_is_told_with_the_drivers_words_and_all_is_freed(stub: Stub) -> None:
    calls = stub.run("everything").calls
    for call in calls.keys() - set(FREED_BY.values()) - CONTEXT_FREE:
        for number in {1, calls[call]}:
            told = stub.run("everything", BGCAMD_STUB_FAIL=f"{call}:{number}:2")
            if call == "cuCtxSetCurrent" and number > 1:  # on the way out: nothing to tell any more
                continue
            assert told.returned == [f"the GPU failed: {call} answered out of memory", "see `nvidia-smi`"]
            assert (call, told.left) == (call, 0)


@pytest.mark.parametrize("call", ["cuMemcpyHtoDAsync", "cuGraphLaunch", "cuEventSynchronize"])
def test_a_gpu_that_failed_is_given_back_and_works_when_taken_anew(stub: Stub, call: str) -> None:
    told = stub.run("again_after_an_error", BGCAMD_STUB_FAIL=f"{call}:1:700")
    words = f"the GPU failed: {call} answered an illegal memory access was encountered"
    assert told.returned == [[words, "see `nvidia-smi`"], None]
    assert told.left == 0


def test_a_driver_without_a_gpu_is_no_gpu(stub: Stub) -> None:
    told = stub.run("none_there", BGCAMD_STUB_GPUS="0")
    assert told.returned == [0, 0, "there is no NVIDIA GPU, or no driver for it", "`nvidia-smi` must list it"]


def test_a_driver_that_is_too_old_is_told(stub: Stub) -> None:
    told = stub.run("everything", BGCAMD_STUB_WITHOUT="cuGraphLaunch")
    assert told.returned == ["the GPU's driver has no cuGraphLaunch, or there is none", "update the driver"]
    assert told.left == 0


def test_an_error_without_a_description_is_told_by_its_name(stub: Stub) -> None:
    said, _ = stub.run("everything", BGCAMD_STUB_FAIL="cuMemAlloc:1:999").returned
    assert said == "the GPU failed: cuMemAlloc answered CUDA_ERROR_UNKNOWN"


def test_without_a_driver_every_question_is_answered_by_our_own_error() -> None:
    cuda = pytest.importorskip("cuda.bindings.driver", reason="needs cuda-python")
    driver = CudaDriver()
    missing = mock.patch.object(cuda, "cuDeviceGet", side_effect=RuntimeError("no libcuda.so.1"))
    with missing, pytest.raises(DeviceError, match="has no cuDeviceGet, or there is none"):
        driver.card(0)
