"""Which engine a model runs on: the best there is, or the one that the user asked for."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnxruntime as ort

from bgcamd.errors import EngineError
from bgcamd.frame import Engine, Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.onnx_engine import OnnxEngine
from bgcamd.matting.store import check_model
from bgcamd.paths import models_folder

Choice = Literal["auto", "cpu", "tensorrt"]
TENSORRT = "TensorrtExecutionProvider"


def open_engine(manifest: Manifest, choice: Choice = "auto", threads: int = 1) -> tuple[Engine, str]:
    """Open a model and say in one line why it runs where it does. Slow: not on the hot path.

    Parameters
    ----------
    choice: "auto" takes TensorRT if it really works here, else the CPU; the others take nothing else.
    threads: of the CPU, on one frame.

    Raises
    ------
    ModelError: the weights are not fetched, damaged, or not what the manifest says.
    EngineError: TensorRT was asked for, and does not work; it says what is missing.
    """
    if choice == "cpu":
        return _on_cpu(manifest, threads), "cpu was asked for"
    try:
        return _on_tensorrt(manifest, threads), "TensorRT works here"
    except EngineError as error:
        if choice == "tensorrt":
            raise EngineError(f"no TensorRT: {error.message}", error.hint) from error
        return _on_cpu(manifest, threads), f"no TensorRT: {error.message}"


def _on_cpu(manifest: Manifest, threads: int) -> Engine:
    return OnnxEngine(manifest, check_model(manifest), threads=threads)


def _on_tensorrt(manifest: Manifest, threads: int) -> Engine:
    file = check_model(manifest)
    if TENSORRT not in ort.get_available_providers():
        raise EngineError(
            f"onnxruntime {ort.__version__} was built without it",
            "install onnxruntime-gpu in place of onnxruntime, and TensorRT's libraries; or --engine cpu",
        )
    cache = models_folder() / "tensorrt"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"can't keep TensorRT's engines in {cache}: {error.strerror}") from error
    options = {
        "trt_fp16_enable": "True",
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache),
    }
    engine = OnnxEngine(manifest, file, threads=threads, provider=TENSORRT, options=options)
    prove(engine)
    return engine


def prove(engine: Engine) -> None:
    """Run one frame, black: libraries are loaded, and TensorRT's engine is built, only then. Raises EngineError."""
    size = engine.fit(Size(1280, 720)).size
    engine.infer(np.zeros((1, 3, size.height, size.width), np.float32))
    engine.reset()
