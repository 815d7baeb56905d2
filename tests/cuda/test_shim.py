"""The CPU shim that runs kernels in tests: threads, barriers, halves, and arguments that don't fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Float, Gpu, Int, grid_over

SOURCE = """
extern "C" __global__ void scale(const unsigned char* in, unsigned char* out, int w, int h, float factor) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < w && y < h) out[y * w + x] = __float2int_rn(in[y * w + x] * factor);
}
extern "C" __global__ void sum_of_block(const float* in, float* out) {
    __shared__ float part[256];
    int i = threadIdx.x;
    part[i] = in[blockIdx.x * 256 + i];
    __syncthreads();
    for (int step = 128; step; step /= 2) {
        if (i < step) part[i] += part[i + step];
        __syncthreads();
    }
    if (i == 0) out[blockIdx.x] = part[0];
}
extern "C" __global__ void to_half_and_back(const float* in, unsigned short* half, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    half[i] = half_bits(in[i]);
    out[i] = half_value(half[i]);
}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kernels") / "some.cu"
    file.write_text(SOURCE)
    return file


@pytest.fixture
def gpu(fake_gpu: Gpu) -> Gpu:
    """The fake one also on a machine that has one: it is the shim that is tested."""
    return fake_gpu


def test_every_thread_of_every_block_runs(gpu: Gpu, source: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (37, 41), np.uint8)
    got = np.empty_like(picture)
    with gpu.array(picture.shape, np.uint8) as a, gpu.array(picture.shape, np.uint8) as b, gpu.kernels(source) as k:
        gpu.upload(a, picture)
        k.launch("scale", grid_over(41, 37), a, b, Int(41), Int(37), Float(0.5))
        gpu.download(got, b)
        gpu.synchronize()
    assert (got == np.rint(picture * 0.5)).all()


def test_threads_wait_for_each_other_at_a_barrier(gpu: Gpu, source: Path) -> None:
    numbers, got = np.arange(768, dtype=np.float32), np.empty(3, np.float32)
    with gpu.array((768,), np.float32) as a, gpu.array((3,), np.float32) as b, gpu.kernels(source) as k:
        gpu.upload(a, numbers)
        k.launch("sum_of_block", grid_over(768), a, b)
        gpu.download(got, b)
        gpu.synchronize()
    assert (got == numbers.reshape(3, 256).sum(1)).all()


@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_halves_round_as_numpys(kernels_on_cpu: Run, source: Path, values: list[float]) -> None:
    numbers = np.array([*values, 65519, 65520, 6e-8, 3e-8, -0.0, np.inf], np.float32)
    n, got, back = len(numbers), np.empty(len(numbers), np.float16), np.empty(len(numbers), np.float32)
    with (
        Gpu(FakeDriver(run=kernels_on_cpu), compiler=fake_compiler) as gpu,
        gpu.array((n,), np.float32) as a,
        gpu.array((n,), np.float16) as b,
        gpu.array((n,), np.float32) as c,
        gpu.kernels(source) as k,
    ):
        gpu.upload(a, numbers)
        k.launch("to_half_and_back", grid_over(n), a, b, c, Int(n))
        gpu.download(got, b)
        gpu.download(back, c)
        gpu.synchronize()
    with np.errstate(over="ignore"):
        wanted = numbers.astype(np.float16)
    assert np.array_equal(got, wanted, equal_nan=True)
    assert np.array_equal(back, wanted.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("arguments", [(), (Int(1), Int(2)), (Float(1),)])
def test_arguments_that_do_not_fit_are_seen(gpu: Gpu, source: Path, arguments: tuple[Int | Float, ...]) -> None:
    with gpu.kernels(source) as kernels, pytest.raises(AssertionError, match="takes other arguments"):
        kernels.launch("sum_of_block", grid_over(256), *arguments)


def test_a_kernel_that_is_not_there_is_seen(gpu: Gpu, source: Path) -> None:
    with gpu.kernels(source) as kernels, pytest.raises(AssertionError, match="no kernel sum"):
        kernels.launch("sum", grid_over(256))
