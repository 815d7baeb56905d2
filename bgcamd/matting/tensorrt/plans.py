"""From a model to its plan: found, or made of a fixed size, halved, built and kept."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from bgcamd.cuda.driver import Driver
from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.store import check_model
from bgcamd.matting.tensorrt.build import Built, Progress, build_plan
from bgcamd.matting.tensorrt.cache import PlanCache, PlanKey
from bgcamd.matting.tensorrt.runtime import TensorRt


class NotBuiltError(EngineError):
    """There is no plan yet, and none was to be built."""


class Plans:
    """The plans of one model, for the first GPU, by one TensorRT.

    Parameters
    ----------
    driver: of a machine that has a GPU.
    half: FP16, else FP32.

    Raises
    ------
    ModelError: the weights are not fetched, or damaged.
    """

    def __init__(
        self,
        manifest: Manifest,
        driver: Driver,
        runtime: TensorRt,
        *,
        half: bool = True,
        cache: PlanCache | None = None,
    ) -> None:
        self._file: Path = check_model(manifest)
        self.manifest, self.runtime, self.half = manifest, runtime, half
        self._card, self._version = driver.card(0), driver.version()
        self._cache = cache or PlanCache()

    def is_built(self, size: Size) -> bool:
        """Tell whether there is a plan for frames of ``size``. Quick."""
        return self._cache.find(self._key(size)) is not None

    def plan(self, size: Size, *, build: bool, progress: Progress | None = None) -> bytes:
        """Return the plan for frames of ``size``; building one takes seconds to minutes.

        Raises
        ------
        NotBuiltError: there is none, and ``build`` is False.
        ModelError, EngineError: it can't be built.
        """
        key = self._key(size)
        if (plan := self._cache.find(key)) is not None:
            return plan
        if not build:
            raise NotBuiltError(
                f"{self.manifest.name} is not built for {key.size} on the {key.gpu}",
                f"bgcam models build {self.manifest.name}",
            )
        tell = progress or _nobody
        return self._cache.make(
            key, lambda: self._build(key.size, tell), lambda: tell(None, "waiting for another process that builds it")
        )

    def drop(self, size: Size) -> None:
        """Forget a plan that TensorRT does not take."""
        self._cache.drop(self._key(size))

    def compiled(self, size: Size) -> bytes:
        """What ``LoadedPlan.compiled`` was when this plan was loaded before, or nothing."""
        return self._cache.read(f"{self._key(size).name}.jit") or b""

    def keep_compiled(self, size: Size, compiled: bytes) -> None:
        """Keep it for the next time."""
        self._cache.write(f"{self._key(size).name}.jit", compiled)

    def _build(self, size: Size, tell: Progress) -> bytes:
        from bgcamd.matting.fixed import fixed_network  # noqa: PLC0415 - onnx takes 0.2 s, and only this needs it

        tell(None, "preparing")
        model = fixed_network(self.manifest, self._file, size, half=self.half)
        timings = f"{self.runtime.name}-{self.runtime.version}-sm{self._card.capability[0]}{self._card.capability[1]}"
        known = self._cache.read(f"{timings}.timing") or b""
        built: Built = build_plan(self.runtime, model, self._card, timings=known, progress=tell)
        if built.timings:
            self._cache.write(f"{timings}.timing", built.timings)
        return built.plan

    def _key(self, size: Size) -> PlanKey:
        return PlanKey(
            model=self.manifest.name,
            model_sha256=self._sha256,
            network=_network(self.manifest),
            size=self.manifest.input.spec(size).size,
            half=self.half,
            runtime=self.runtime.name,
            version=str(self.runtime.trt.__version__),
            gpu=self._card.name,
            capability=self._card.capability,
            driver=self._version,
        )

    @cached_property
    def _sha256(self) -> str:
        with self._file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _network(manifest: Manifest) -> str:
    """All that ``fixed_network`` takes from a manifest but the size."""
    picture, states = manifest.input, [(state.input, state.output) for state in manifest.states]
    return repr((picture.name, sorted(picture.constants.items()), manifest.output.alpha, states))


def _nobody(_: float | None, __: str) -> None:
    """Nobody listens."""
