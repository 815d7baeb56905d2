"""TensorRT, by either of its names; the same code runs all of it.

``tensorrt`` (10.13 and later, 11) builds for the GPU that is there, in a minute or so. ``tensorrt_rtx`` builds within
seconds and without a GPU, compiles the rest when it is loaded, and is for GeForce and RTX cards.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from functools import cache
from importlib import import_module, metadata
from typing import Any, Literal, NamedTuple

from bgcamd.cuda.driver import Card, Driver
from bgcamd.errors import EngineError

RuntimeName = Literal["tensorrt", "tensorrt-rtx"]
RUNTIMES: tuple[RuntimeName, ...] = ("tensorrt", "tensorrt-rtx")
"""The faster one first."""

_MAJORS = range(11, 20)  # of CUDA, that there may be wheels for
_log = logging.getLogger(__name__)


class _Package(NamedTuple):
    module: str
    title: str
    extra: str
    oldest: tuple[int, int]


_PACKAGES: dict[RuntimeName, _Package] = {
    "tensorrt": _Package("tensorrt", "TensorRT", "tensorrt", (10, 13)),
    "tensorrt-rtx": _Package("tensorrt_rtx", "TensorRT-RTX", "rtx", (1, 2)),  # 1.2: graphs can be recorded
}


def title(name: RuntimeName) -> str:
    """What its maker calls it."""
    return _PACKAGES[name].title


def package_hint(name: RuntimeName) -> str:
    """How it is installed."""
    return f"pip install 'bgcamd[{_PACKAGES[name].extra}]'"


class TensorRt:
    """A TensorRT that is installed. It may be had without a GPU, to build; only ``LoadedPlan`` runs anything.

    Raises EngineError, in one line, when it is missing, broken or too old.

    Attributes
    ----------
    name: which one.
    version: "10.16.1".
    trt: the module.
    logger: what TensorRT's own objects want; its errors are kept, its warnings go to our log as debug messages.
    """

    def __init__(self, name: RuntimeName) -> None:
        package = _PACKAGES[name]
        self.name = name
        self.trt = _imported(package.module, package_hint(name))
        self.version = ".".join(str(self.trt.__version__).split(".")[:3])
        if tuple(map(int, re.findall(r"\d+", self.version)[:2])) < package.oldest:
            oldest = ".".join(map(str, package.oldest))
            raise EngineError(
                f"{package.module} {self.version} is too old, {oldest} is needed",
                f"pip install --upgrade 'bgcamd[{package.extra}]'",
            )
        self.logger, self._errors = _logger(self.trt)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def target(self, card: Card) -> Any:
        """What a plan for this GPU is built for, or None where that goes without saying. Raises EngineError."""
        kinds = getattr(self.trt, "ComputeCapability", None)
        if kinds is None:
            return None
        number = f"{card.capability[0]}{card.capability[1]}"
        if not hasattr(kinds, f"SM{number}"):
            raise EngineError(f"{self} is not for the {card.name} (sm_{number})", "it is for GeForce and RTX cards")
        return getattr(kinds, f"SM{number}")

    def made(self, kind: Literal["Builder", "Runtime"]) -> Any:
        """One of those. Raises EngineError where it only looks like one: the first use of it would end the process."""
        self._errors.clear()
        thing = getattr(self.trt, kind)(self.logger)
        if self._errors:
            raise self.failure(f"{self} does not start")
        return thing

    def failure(self, what: str) -> EngineError:
        """What has failed, with the last that TensorRT said about it."""
        said = self._errors.pop() if self._errors else "it gave no reason"
        return EngineError(f"{what}: {said[:200]}")


def probe(name: RuntimeName, driver: Driver) -> TensorRt:
    """Return a TensorRT that is for the first GPU. Raises EngineError: what is missing, in one line.

    The driver is asked first: without one TensorRT hands out objects that crash the process later.
    """
    if not driver.count():
        raise EngineError("there is no NVIDIA GPU, or no driver for it", "`nvidia-smi` must list it")
    _check_driver(name, driver.version())
    runtime = TensorRt(name)
    runtime.target(driver.card(0))
    return runtime


def _check_driver(name: RuntimeName, version: int) -> None:
    """Raise EngineError where the wheels are for a newer CUDA than the driver runs: that is as bad as no driver."""
    module = _PACKAGES[name].module
    made_for = [major for major in _MAJORS if _is_installed(f"{module}_cu{major}_libs")]
    if made_for and min(made_for) > version // 1000:
        raise EngineError(
            f"{module} is for CUDA {min(made_for)}, the driver runs {version // 1000}.{version % 1000 // 10}",
            "update the GPU's driver",
        )


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _imported(module: str, hint: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise EngineError(f"{module} is not installed", hint) from error
    except (ImportError, OSError, RuntimeError) as error:  # the wheel is there, and a library that it loads is not
        reason = str(error).strip().partition("\n")[0][:200]
        raise EngineError(f"{module} can't be loaded: {reason}", hint) from error


@cache
def _logger(trt: Any) -> tuple[Any, deque[str]]:
    """The logger of this process, and the last error that it was told.

    TensorRT goes on using the first that it was given, for all that was made since: so there is one, for ever.
    """
    errors: deque[str] = deque(maxlen=1)

    class Logger(trt.ILogger):  # type: ignore[misc]  # made late, since its base class is not everywhere
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            kind = severity.name  # once: a build tells ten thousand things that nobody wants to know
            if kind in {"ERROR", "INTERNAL_ERROR"}:
                errors.append(message)
            elif kind == "WARNING":
                _log.debug("%s: %s", trt.__name__, message)

    return Logger(), errors
