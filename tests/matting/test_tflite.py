"""TFLite files as ONNX files: every layer against what TensorFlow says it does, and MediaPipe's own network."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bgcamd.assets import demo_path
from bgcamd.errors import ModelError
from bgcamd.matting.manifest import find_manifest
from bgcamd.matting.tflite import to_onnx

OPS = tflite.BuiltinOperator
RELU, RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6
SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RNG = np.random.default_rng(7)


def values(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.fixture
def one_layer(tflite_file: Any) -> Any:
    """Run a network of one layer on x (NHWC) and return its answer, NHWC."""

    def run(x: NDArray[np.float32], shape: tuple[int, ...], code: int | str, *constants: Any, **rest: Any) -> Any:
        tensors = [tflite_file.Tensor(x.shape), tflite_file.Tensor(shape)]
        kinds = {np.dtype(np.float32): tflite.TensorType.FLOAT32, np.dtype(np.int32): tflite.TensorType.INT32}
        tensors += [tflite_file.Tensor(each.shape, each, kinds[each.dtype]) for each in constants]
        operator = tflite_file.Operator(code, (0, *range(2, len(tensors))), 1, **rest)
        model = to_onnx(tflite_file().write(tensors, [operator]))
        session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        (answer,) = session.run(["output"], {"input": x.transpose(0, 3, 1, 2)})
        return answer.transpose(0, 2, 3, 1)

    return run


def convolved(
    x: NDArray[Any], kernel: NDArray[Any], stride: int, *, out: tuple[int, int], before: tuple[int, int] = (0, 0)
) -> Any:
    """The sum over a window, OHWI, in plain words; zeros outside the picture, ``before`` rows and columns first."""
    top, left = before
    answer = np.zeros((1, *out, kernel.shape[0]), np.float32)
    padded = np.pad(x, ((0, 0), (top, 9), (left, 9), (0, 0)))
    for row in range(out[0]):
        for column in range(out[1]):
            y, z = row * stride, column * stride
            window = padded[0, y : y + kernel.shape[1], z : z + kernel.shape[2]]
            answer[0, row, column] = np.einsum("hwi,ohwi->o", window, kernel)
    return answer


def conv(padding: int, stride: int, activation: int = 0) -> tuple[str, dict[str, int]]:
    fields = {"Padding": padding, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": activation}
    return "Conv2DOptions", fields | {"DilationHFactor": 1, "DilationWFactor": 1}


class TestLayer:
    @pytest.mark.parametrize(
        ("size", "before"),
        [((6, 8), (0, 0)), ((5, 7), (1, 1)), ((6, 7), (0, 1))],
    )
    def test_convolution_with_same_padding_has_the_odd_row_at_the_end(
        self, one_layer: Any, size: tuple[int, int], before: tuple[int, int]
    ) -> None:
        x, kernel, bias = values(1, *size, 2), values(3, 3, 3, 2), values(3)
        got = one_layer(x, (1, 3, 4, 3), OPS.CONV_2D, kernel, bias, options=conv(SAME, 2))
        np.testing.assert_allclose(got, convolved(x, kernel, 2, out=(3, 4), before=before) + bias, atol=1e-5)

    def test_convolution_with_valid_padding_and_relu6(self, one_layer: Any) -> None:
        x, kernel = values(1, 5, 5, 2) * 3, values(4, 3, 3, 2)
        got = one_layer(x, (1, 3, 3, 4), OPS.CONV_2D, kernel, options=conv(VALID, 1, RELU6))
        np.testing.assert_allclose(got, np.clip(convolved(x, kernel, 1, out=(3, 3)), 0, 6), atol=1e-4)

    def test_depthwise_convolution(self, one_layer: Any) -> None:
        x, kernel = values(1, 4, 4, 3), values(1, 3, 3, 3)
        options = ("DepthwiseConv2DOptions", conv(SAME, 1, RELU)[1] | {"DepthMultiplier": 1})
        got = one_layer(x, x.shape, OPS.DEPTHWISE_CONV_2D, kernel, options=options)
        each = [convolved(x[..., [c]], kernel[..., [c]], 1, out=(4, 4), before=(1, 1)) for c in range(3)]
        np.testing.assert_allclose(got, np.maximum(np.concatenate(each, axis=3), 0), atol=1e-5)

    def test_mediapipes_transposed_convolution(self, one_layer: Any) -> None:
        x, kernel, bias = values(1, 3, 4, 2), values(1, 2, 2, 2), values(1)
        code = "Convolution2DTransposeBias"
        got = one_layer(x, (1, 6, 8, 1), code, kernel, bias, custom=struct.pack("<3i", 1, 2, 2))
        wanted = np.einsum("nrci,ohwi->nrhcwo", x, kernel).reshape(1, 6, 8, 1) + bias
        np.testing.assert_allclose(got, wanted, atol=1e-5)

    @pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 3), (4, 5, 3), (1, 4, 5, 1)])
    def test_arithmetic_with_a_constant_spreads_it_from_the_last_axis(
        self, one_layer: Any, shape: tuple[int, ...]
    ) -> None:
        x, constant = values(1, 4, 5, 3), values(*shape)
        options = ("AddOptions", {"FusedActivationFunction": RELU})
        got = one_layer(x, x.shape, OPS.ADD, constant, options=options)
        np.testing.assert_allclose(got, np.maximum(x + constant, 0), atol=1e-6)
        got = one_layer(x, x.shape, OPS.MUL, constant, options=("MulOptions", {}))
        np.testing.assert_allclose(got, x * constant, atol=1e-6)

    @pytest.mark.parametrize(
        ("code", "wanted"),
        [
            (OPS.RELU, lambda x: np.maximum(x, 0)),
            (OPS.LOGISTIC, lambda x: 1 / (1 + np.exp(-x))),
            (OPS.HARD_SWISH, lambda x: x * np.clip(x + 3, 0, 6) / 6),
        ],
    )
    def test_activations(self, one_layer: Any, code: int, wanted: Any) -> None:
        x = values(1, 4, 5, 3) * 4
        np.testing.assert_allclose(one_layer(x, x.shape, code), wanted(x), atol=1e-5)

    def test_means_over_the_picture(self, one_layer: Any) -> None:
        x = values(1, 4, 5, 3)
        wanted = x.mean(axis=(1, 2), keepdims=True)
        pool = ("Pool2DOptions", {"FilterHeight": 4, "FilterWidth": 5, "StrideH": 1, "StrideW": 1, "Padding": VALID})
        np.testing.assert_allclose(one_layer(x, (1, 1, 1, 3), OPS.AVERAGE_POOL_2D, options=pool), wanted, atol=1e-6)
        axes, options = np.array([2, 1], np.int32), ("ReducerOptions", {"KeepDims": True})
        np.testing.assert_allclose(one_layer(x, (1, 1, 1, 3), OPS.MEAN, axes, options=options), wanted, atol=1e-6)

    @pytest.mark.parametrize(
        ("corners", "centres", "at"),
        [
            (False, False, [0, 0.5, 1, 1.5, 2, 2]),
            (False, True, [0, 0.25, 0.75, 1.25, 1.75, 2]),
            (True, False, [0, 0.4, 0.8, 1.2, 1.6, 2]),
        ],
    )
    def test_bilinear_resizing_samples_where_tensorflow_does(
        self, one_layer: Any, corners: bool, centres: bool, at: list[float]
    ) -> None:
        x = np.array([0, 1, 2], np.float32).reshape(1, 1, 3, 1)
        options = ("ResizeBilinearOptions", {"AlignCorners": corners, "HalfPixelCenters": centres})
        got = one_layer(x, (1, 1, 6, 1), OPS.RESIZE_BILINEAR, np.array([1, 6], np.int32), options=options)
        np.testing.assert_allclose(got.ravel(), at, atol=1e-6)


def test_half_precision_weights_become_single(tflite_file: Any) -> None:
    half = values(1, 4, 5, 3).astype(np.float16)
    tensors = [
        tflite_file.Tensor(half.shape),
        tflite_file.Tensor(half.shape, half, tflite.TensorType.FLOAT16),
        tflite_file.Tensor(half.shape),
        tflite_file.Tensor(half.shape),
    ]
    add = tflite_file.Operator(OPS.ADD, (0, 2), 3, ("AddOptions", {}))
    model = to_onnx(tflite_file().write(tensors, [tflite_file.Operator(OPS.DEQUANTIZE, (1,), 2), add]))
    (weights,) = onnx.load_from_string(model).graph.initializer
    np.testing.assert_array_equal(
        onnx.numpy_helper.to_array(weights), half.astype(np.float32).transpose(0, 3, 1, 2), strict=True
    )


class TestRefusal:
    def test_of_a_layer_that_is_not_known_names_it_and_those_that_are(self, one_layer: Any) -> None:
        with pytest.raises(ModelError, match="TFLite layer TANH is not supported") as caught:
            one_layer(values(1, 2, 2, 1), (1, 2, 2, 1), OPS.TANH)
        assert "CONV_2D" in caught.value.hint

    def test_of_a_custom_layer_names_it(self, one_layer: Any) -> None:
        with pytest.raises(ModelError, match="TFLite layer Magic is not supported"):
            one_layer(values(1, 2, 2, 1), (1, 2, 2, 1), "Magic")

    def test_of_an_activation_that_is_not_known(self, one_layer: Any) -> None:
        with pytest.raises(ModelError, match="activation 4 is not supported"):
            one_layer(
                values(1, 2, 2, 1),
                (1, 2, 2, 1),
                OPS.ADD,
                values(1),
                options=("AddOptions", {"FusedActivationFunction": 4}),
            )

    def test_of_a_pool_that_is_not_over_the_whole_picture(self, one_layer: Any) -> None:
        pool = ("Pool2DOptions", {"FilterHeight": 2, "FilterWidth": 2, "StrideH": 2, "StrideW": 2})
        with pytest.raises(ModelError, match="not over the whole picture"):
            one_layer(values(1, 4, 4, 1), (1, 2, 2, 1), OPS.AVERAGE_POOL_2D, options=pool)

    def test_of_a_mean_over_other_axes(self, one_layer: Any) -> None:
        with pytest.raises(ModelError, match=r"MEAN over the axes \[3\]"):
            one_layer(
                values(1, 4, 4, 2),
                (1, 4, 4, 1),
                OPS.MEAN,
                np.array([3], np.int32),
                options=("ReducerOptions", {"KeepDims": True}),
            )

    def test_of_quantised_weights(self, tflite_file: Any) -> None:
        tensors = [tflite_file.Tensor((1, 2, 2, 1)), tflite_file.Tensor((1,), np.zeros(1, np.int8), 9)]
        file = tflite_file().write(tensors, [tflite_file.Operator(OPS.RELU, (0,), 1)])
        with pytest.raises(ModelError, match="type 9 are not supported"):
            to_onnx(file)

    def test_of_a_quantised_picture(self, one_layer: Any) -> None:
        with pytest.raises(ModelError, match="is quantised"):
            one_layer(values(1, 2, 2, 1), (1, 2, 2, 1), OPS.DEQUANTIZE)

    def test_of_anything_else(self) -> None:
        with pytest.raises(ModelError, match="not a TFLite file"):
            to_onnx(b"<html>")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_is_a_model_error_or_does_not_matter(tflite_file: Any, data: st.DataObject) -> None:
    tensors = [
        tflite_file.Tensor((1, 4, 4, 2)),
        tflite_file.Tensor((3, 3, 3, 2), np.ones((3, 3, 3, 2), np.float32)),
        tflite_file.Tensor((1, 4, 4, 3)),
    ]
    whole = tflite_file().write(tensors, [tflite_file.Operator(OPS.CONV_2D, (0, 1), 2, conv(SAME, 1))])
    damaged = bytearray(whole[: data.draw(st.integers(8, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(8, len(damaged) - 1)) if len(damaged) > 8 else 0] = data.draw(st.integers(0, 255))
    try:
        model = to_onnx(bytes(damaged))
    except ModelError:
        return
    onnx.checker.check_model(onnx.load_from_string(model))


@pytest.mark.model
def test_mediapipes_network_gives_what_tensorflow_lite_gives(fetched: Any) -> None:
    manifest = fetched(find_manifest("selfie"))
    if not demo_path().is_file():
        pytest.skip("needs bgcam models fetch --demo")
    with Image.open(demo_path()) as picture:
        x = np.asarray(picture.convert("RGB"))[None, ::2, ::2].astype(np.float32) / 255
    session = ort.InferenceSession(manifest.path(), providers=["CPUExecutionProvider"])
    ((answer,),) = session.run(["output"], {"input": x.transpose(0, 3, 1, 2).copy()})
    # of ai-edge-litert's Interpreter on the same file and picture: where the outline is softest, and all
    assert answer[0, [30, 60, 90, 150], [77, 144, 130, 179]] == pytest.approx(
        [0.35828, 0.59317, 0.64915, 0.5589], abs=1e-4
    )
    assert answer.mean() == pytest.approx(0.541848, abs=1e-5)
