"""From answer to alpha on the GPU: the same as on the CPU, bit for bit but for the rounding of exp()."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bgcamd.cuda.compile import compile_source
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError
from bgcamd.matting.answer import alpha_of
from bgcamd.matting.manifest import Output
from bgcamd.matting.tensorrt.answer import SOURCE, DeviceAnswer

ACTIVATIONS = ["none", "sigmoid", "softmax"]
NO_NUMBERS = [np.nan, np.inf, -np.inf]


def on_gpu(run: Run, raw: NDArray[Any], output: Output) -> NDArray[np.float32]:
    driver = FakeDriver(run=run)
    alpha = np.empty(raw.shape[1:], np.float32)
    with (
        Gpu(driver, compiler=fake_compiler) as gpu,
        gpu.array(raw.shape, raw.dtype) as array,
        DeviceAnswer(gpu, output, raw.shape) as answer,
    ):
        gpu.upload(array, raw)
        answer.take(array)
        gpu.download(alpha, answer.alpha)
        gpu.synchronize()
    driver.check_nothing_left()
    return alpha


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)])
def test_is_compiled_for_every_kind_of_card(capability: tuple[int, int]) -> None:
    pytest.importorskip("cuda.bindings", reason="needs cuda-python")
    assert compile_source(SOURCE.read_bytes(), SOURCE.name, capability).startswith(b"\x7fELF")


@st.composite
def answers(draw: st.DrawFn) -> tuple[NDArray[Any], Output]:
    """What a network may give, of odd sizes, and what its manifest may say of it."""
    channels = draw(st.integers(1, 4))
    shape = (channels, draw(st.integers(1, 40)), draw(st.integers(1, 70)))
    scale = draw(st.sampled_from([0.01, 1, 20, 3000]))
    values = np.random.default_rng(draw(st.integers(0, 999))).standard_normal(shape) * scale
    if draw(st.booleans()):
        values[:] = values[0, 0, 0]  # flat
    output = Output(
        "alpha",
        channel=draw(st.integers(0, channels - 1)),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        minmax=draw(st.booleans()),
    )
    return values.astype(draw(st.sampled_from([np.float16, np.float32]))), output


@given(answers())
def test_is_what_the_cpu_makes_of_it(kernels_on_cpu: Run, answer: tuple[NDArray[Any], Output]) -> None:
    raw, output = answer
    wanted = alpha_of(raw.astype(np.float32), output)
    error = 0 if output.activation == "none" else 1e-6
    if output.minmax and error:  # which magnifies the rounding of exp() where all is nearly equal
        error /= max(np.ptp(alpha_of(raw.astype(np.float32), replace(output, minmax=False))), error)
    np.testing.assert_allclose(on_gpu(kernels_on_cpu, raw, output), wanted, atol=error, rtol=0)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("minmax", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_is_nan_where_the_answer_is_no_number(
    *, kernels_on_cpu: Run, value: float, activation: Any, minmax: bool, dtype: type
) -> None:
    raw = np.random.default_rng(1).standard_normal((2, 30, 50)).astype(dtype)
    raw[1, 20, 10] = value
    output = Output("alpha", channel=1, activation=activation, minmax=minmax)
    with pytest.raises(EngineError, match="not finite"):
        alpha_of(raw.astype(np.float32), output)
    alpha = on_gpu(kernels_on_cpu, raw, output)
    assert np.isnan(alpha[20, 10])
    assert np.isnan(alpha).sum() == 1


@pytest.mark.parametrize(("value", "shows"), [(np.nan, False), (np.inf, False), (-np.inf, True)])
def test_of_a_softmax_hangs_on_the_other_channels(kernels_on_cpu: Run, value: float, shows: bool) -> None:
    """exp(-inf) is 0: the other channel is out of the question; all else is no answer."""
    raw = np.zeros((2, 3, 4), np.float32)
    raw[0, 1, 2] = value
    output = Output("alpha", channel=1, activation="softmax")
    alpha = on_gpu(kernels_on_cpu, raw, output)
    if shows:
        np.testing.assert_array_equal(alpha, alpha_of(raw.copy(), output))
    else:
        assert np.isnan(alpha[1, 2])
        with pytest.raises(EngineError), np.errstate(invalid="ignore"):
            alpha_of(raw.copy(), output)
