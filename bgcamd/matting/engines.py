"""Which engine a model runs on: the best there is, or the one that the user asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from bgcamd.cuda.driver import CudaDriver, Driver
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import DeviceError, EngineError
from bgcamd.frame import Size
from bgcamd.matting.manifest import Manifest
from bgcamd.matting.onnx_engine import OnnxEngine
from bgcamd.matting.store import check_model
from bgcamd.matting.tensorrt.build import Progress
from bgcamd.matting.tensorrt.engine import TensorRtEngine
from bgcamd.matting.tensorrt.plans import Plans
from bgcamd.matting.tensorrt.runtime import RUNTIMES, RuntimeName, TensorRt, package_hint, probe, title
from bgcamd.matting.tensorrt.staged import Staged
from bgcamd.protocols import Engine

T = TypeVar("T")

Choice = Literal["auto", "cpu", "tensorrt", "tensorrt-rtx"]
USUAL = Size(1280, 720)
"""What most frames are."""


class Reason(NamedTuple):
    """Why a TensorRT is not taken."""

    name: RuntimeName
    error: EngineError


class Way(NamedTuple):
    """A TensorRT that may be tried, and the driver whose first GPU it is for."""

    driver: Driver
    runtime: TensorRt


def find_ways(choice: Choice, driver: Driver | None = None) -> tuple[tuple[Way, ...], tuple[Reason, ...]]:
    """Look what there is for a choice: driver, GPU and packages; the best first, and why there are not more.

    Raises nothing; nothing is built or loaded yet. driver: to be asked in place of CUDA's own.
    """
    names = () if choice == "cpu" else tuple(name for name in RUNTIMES if choice in {"auto", name})
    try:
        driver = driver or CudaDriver()
    except DeviceError as error:
        return (), tuple(Reason(name, EngineError(error.message, package_hint(name))) for name in names)
    ways, reasons = [], []
    for name in names:
        try:
            ways.append(Way(driver, probe(name, driver)))
        except EngineError as error:
            reasons.append(Reason(name, error))
    return tuple(ways), tuple(reasons)


def in_words(reasons: tuple[Reason, ...]) -> str:
    """One line of why no TensorRT is taken; what is true of all of them is said once, of the first."""
    said: dict[str, str] = {}
    for reason in sorted(reasons, key=lambda reason: RUNTIMES.index(reason.name)):
        said.setdefault(reason.error.message, title(reason.name))
    return "; ".join(f"no {name}: {message}" for message, name in said.items())


def why_here(runtime: TensorRt, reasons: tuple[Reason, ...]) -> str:
    """One line of why a model runs on this TensorRT: why on none that would be better."""
    better = RUNTIMES[: RUNTIMES.index(runtime.name)]
    why_not = in_words(tuple(reason for reason in reasons if reason.name in better))
    return f"{title(runtime.name)} works here" + (f"; {why_not}" if why_not else "")


def as_error(reasons: tuple[Reason, ...]) -> EngineError:
    """The same as an error, for who asked for TensorRT and nothing else."""
    return EngineError(in_words(reasons), reasons[0].error.hint)


def first_that_works(
    ways: tuple[Way, ...], reasons: tuple[Reason, ...], take: Callable[[Way, tuple[Reason, ...]], T]
) -> T:
    """Return what ``take`` makes of the first way that works; it is told why none before. Raises EngineError."""
    for way in ways:
        try:
            return take(way, reasons)
        except EngineError as error:
            reasons = (*reasons, Reason(way.runtime.name, error))
    raise as_error(reasons)


def open_gpu_engine(
    manifest: Manifest, gpu: Gpu, runtime: TensorRt, size: Size, *, build: bool, progress: Progress | None = None
) -> TensorRtEngine:
    """Open a model on the GPU, ready to be fitted to ``size`` at once, and to be proved. Slow, also without ``build``.

    The calling thread must have entered ``gpu``, on whose stream nothing is queued: another may work there meanwhile.

    Raises
    ------
    NotBuiltError: it was not built before, and ``build`` is False.
    ModelError, EngineError: it can't be opened or built.
    """
    engine = TensorRtEngine(gpu, Plans(manifest, gpu.driver, runtime), build=build, progress=progress)
    try:
        engine.prepare(size)
    except BaseException:
        engine.__exit__(None, None, None)
        raise
    return engine


def open_engine(
    manifest: Manifest,
    choice: Choice = "auto",
    threads: int = 1,
    *,
    size: Size | None = USUAL,
    progress: Progress | None = None,
    driver: Driver | None = None,
    open_gpu: Callable[[Driver], Gpu] = Gpu,
) -> tuple[Engine, str]:
    """Open a model for a canvas on the CPU, and say in one line why it runs where it does. Slow: minutes at worst.

    Parameters
    ----------
    choice: "auto" takes the first TensorRT that really works here, else the CPU; the others take nothing else.
    threads: of the CPU, on one frame.
    size: of the frames; None where it differs from frame to frame. What TensorRT has not built for it is built.
    driver, open_gpu: in place of the machine's own.

    Raises
    ------
    ModelError: the weights are not fetched, damaged, or not what the manifest says.
    EngineError: TensorRT was asked for, and does not work; it says what is missing.
    """
    on_cpu = partial(OnnxEngine, manifest, check_model(manifest), threads=threads, rewrite=size is not None)
    if choice == "cpu":
        return on_cpu(), "cpu was asked for"
    if choice == "auto" and size is None and manifest.input.size is None:
        return on_cpu(), "TensorRT would be built for each picture's size anew"
    try:
        return _staged(manifest, choice, size or USUAL, progress=progress, driver=driver, open_gpu=open_gpu)
    except EngineError as error:
        if choice != "auto":
            raise
        return on_cpu(), error.message


def build_ahead(
    manifest: Manifest,
    choice: Choice,
    size: Size,
    *,
    progress: Progress | None = None,
    driver: Driver | None = None,
    open_gpu: Callable[[Driver], Gpu] = Gpu,
) -> str:
    """Do now what takes long when a model is opened on the GPU for frames of ``size``; return the engine's name.

    Raises ModelError and EngineError as ``open_engine``, also for "auto" where no TensorRT works.
    """
    check_model(manifest)
    with _staged(manifest, choice, size, progress=progress, driver=driver, open_gpu=open_gpu)[0] as engine:
        return engine.name


def _staged(
    manifest: Manifest,
    choice: Choice,
    size: Size,
    *,
    progress: Progress | None,
    driver: Driver | None,
    open_gpu: Callable[[Driver], Gpu],
) -> tuple[Staged, str]:
    """On the first TensorRT that really works, and why there. Raises EngineError: why on none."""

    def take(way: Way, reasons: tuple[Reason, ...]) -> tuple[Staged, str]:
        return _proved(manifest, open_gpu(way.driver), way.runtime, size, progress), why_here(way.runtime, reasons)

    return first_that_works(*find_ways(choice, driver), take)


def _proved(manifest: Manifest, gpu: Gpu, runtime: TensorRt, size: Size, progress: Progress | None) -> Staged:
    """It, or what fails, closes ``gpu``."""
    with ExitStack() as stack:
        stack.enter_context(gpu)
        engine = open_gpu_engine(manifest, gpu, runtime, size, build=True, progress=progress)
        staged = Staged(gpu, engine)
        stack.pop_all()
    with ExitStack() as stack:
        stack.enter_context(staged)
        prove(staged, size)
        stack.pop_all()
    return staged


def prove(engine: Engine, size: Size = USUAL) -> None:
    """Run one frame, black: what does not work shows only then. Raises EngineError."""
    fitted = engine.fit(size).size
    engine.infer(np.zeros((1, 3, fitted.height, fitted.width), np.float32))
    engine.reset()
