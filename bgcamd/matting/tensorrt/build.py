"""Plans: a network made ready for one kind of GPU by TensorRT."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from bgcamd.cuda.driver import Card
from bgcamd.errors import EngineError
from bgcamd.matting.tensorrt.runtime import TensorRt

Progress = Callable[[float | None, str], None]
"""Is told how far it is, 0..1 or None where that is not known, and what is being done; by whatever thread. What it
raises ends the work, and is raised again by who was working."""

_WORKSPACE = 512 << 20  # bytes that a layer may use for itself: more than any of these networks does


class Built(NamedTuple):
    """plan: what ``LoadedPlan`` takes. timings: what makes the next build of a like network faster, or nothing."""

    plan: bytes
    timings: bytes


def build_plan(
    runtime: TensorRt, model: bytes, card: Card, *, timings: bytes = b"", progress: Progress | None = None
) -> Built:
    """Build an ONNX network of fixed shapes for a GPU. Seconds to minutes; other Python threads go on meanwhile.

    TensorRT measures on the GPU, in the calling thread's context; TensorRT-RTX needs none. Raises EngineError.
    """
    trt = runtime.trt
    builder = runtime.made("Builder")
    # Precision is the network's own; named only because 10.x has other ways, too.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, runtime.logger)
    if not parser.parse(model):
        raise EngineError(f"{runtime} does not understand the network: {_complaint(parser)}")
    config = _config(runtime, builder, card)
    cache = _use_timings(config, timings) if runtime.name == "tensorrt" else None  # RTX would want a GPU for it
    watch = _Watch(trt, config, progress)  # it has to outlive the config
    with watch:
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise runtime.failure(f"{runtime} can't build the network")
    return Built(bytes(plan), b"" if cache is None else bytes(cache.serialize()))


def _config(runtime: TensorRt, builder: Any, card: Card) -> Any:
    trt = runtime.trt
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # without it TensorRT-RTX may allocate while it runs,
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # and what allocates can't be recorded
    if (target := runtime.target(card)) is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(target, 0)
    return config


def _use_timings(config: Any, timings: bytes) -> Any:
    cache = config.create_timing_cache(timings)
    if cache is None or not config.set_timing_cache(cache, False):  # damaged, or of another GPU or version
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _complaint(parser: Any) -> str:
    errors = [str(parser.get_error(number)).replace("\n", " ") for number in range(parser.num_errors)]
    return "; ".join(errors)[:300] or "it gave no reason"


class _Watch:
    """Tells about a build while its context lasts, ends it when the listener raises, and raises that again."""

    def __init__(self, trt: Any, config: Any, progress: Progress | None) -> None:
        self._progress = progress
        self._phases: dict[str, list[Any]] = {}  # name: parent, steps, steps done
        self._furthest = 0.0
        self._raised: BaseException | None = None
        if progress is not None and hasattr(trt, "IProgressMonitor"):
            config.progress_monitor = self._monitor = _monitor(trt, self)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        if self._raised is not None:
            raise self._raised

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self._phases[phase] = [parent, max(steps, 1), 0]
        self._tell(phase)

    def step(self, phase: str, number: int) -> bool:
        with suppress(KeyError):
            self._phases[phase][2] = number + 1
        self._tell(phase)
        return self._raised is None

    def finish(self, phase: str) -> None:
        self._phases.pop(phase, None)

    def _tell(self, phase: str) -> None:
        """What is raised waits until TensorRT has returned: it must not pass through it."""
        if self._progress is None or self._raised is not None:
            return
        self._furthest = max(self._furthest, self._fraction(phase))
        try:
            self._progress(self._furthest, "building")
        except BaseException as error:
            self._raised = error

    def _fraction(self, phase: str | None) -> float:
        """Of the whole: a phase is one step of its parent."""
        inner = 0.0
        while phase is not None and phase in self._phases:
            phase, steps, done = self._phases[phase]
            inner = min((done + inner) / steps, 1.0)
        return inner


def _monitor(trt: Any, watch: _Watch) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()
