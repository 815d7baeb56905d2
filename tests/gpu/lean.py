"""TensorRT's lean runtime, which builds nothing: for a plan that another version built once, where nothing else runs.

``probe.py`` has TensorRT 8.6 build it, for the network's input of one size; here it is found and run.
"""

from __future__ import annotations

import importlib
from collections import deque
from pathlib import Path
from typing import Any

from carried import store

from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.tensorrt.engine import TensorRtEngine

MODULE = "tensorrt_lean"


def plan_file(manifest: Manifest, size: Size) -> Path:
    """Where a plan for frames of that size lies."""
    return store() / f"{manifest.name}-{manifest.input.spec(size).size}-fp16.plan"


class LeanRuntime:
    """What ``LoadedPlan`` asks of a ``TensorRt``. Raises EngineError where it is not installed."""

    def __init__(self) -> None:
        try:
            self.trt: Any = importlib.import_module(MODULE)
        except (ImportError, OSError, RuntimeError) as error:
            raise EngineError(f"{MODULE} is not installed") from error
        self._errors: deque[str] = deque(maxlen=1)
        self.logger = self.trt.Logger(self.trt.Logger.WARNING)

    def __str__(self) -> str:
        return f"{MODULE} {self.trt.__version__}"

    def made(self, kind: str) -> Any:
        """A ``Runtime``."""
        return getattr(self.trt, kind)(self.logger)

    def failure(self, what: str) -> EngineError:
        """What has failed; why, it has written to stderr."""
        return EngineError(what)


class LeanPlans:
    """What ``TensorRtEngine`` asks of ``Plans``: the one plan there is."""

    half = True

    def __init__(self, manifest: Manifest) -> None:
        self.manifest, self.runtime = manifest, LeanRuntime()

    def plan(self, size: Size, **_: object) -> bytes:
        """Raises EngineError when there is none."""
        file = plan_file(self.manifest, size)
        if not file.is_file():
            raise EngineError(f"there is no plan for {self.runtime} to run")
        return file.read_bytes()

    def drop(self, _: Size) -> None:
        """It stays: it can't be built here."""

    def compiled(self, _: Size) -> bytes:
        """Nothing is compiled when it is loaded."""
        return b""


def lean_engine(manifest: Manifest, gpu: Gpu, size: Size) -> TensorRtEngine:
    """Open it. Raises EngineError."""
    engine = TensorRtEngine(gpu, LeanPlans(manifest))  # type: ignore[arg-type]
    try:
        engine.prepare(size)
    except BaseException:
        engine.__exit__(None, None, None)
        raise
    return engine
