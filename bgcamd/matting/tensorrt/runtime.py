"""TensorRT, by either of its names; the same code runs all of it.

``tensorrt`` (10.13 and later, 11) builds for the GPU that is there, in a minute or so. ``tensorrt_rtx`` builds within
seconds and without a GPU, compiles the rest when it is loaded, and is for GeForce and RTX cards.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, NamedTuple

from bgcamd.cuda.driver import Card, Driver
from bgcamd.errors import EngineError

RuntimeName = Literal["tensorrt", "tensorrt-rtx"]
RUNTIMES: tuple[RuntimeName, ...] = ("tensorrt", "tensorrt-rtx")
"""The faster one first."""

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
        self._errors: deque[str] = deque(maxlen=1)
        self.logger = _logger(self.trt, self._errors.append)

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
    runtime = TensorRt(name)
    runtime.target(driver.card(0))
    return runtime


def _imported(module: str, hint: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise EngineError(f"{module} is not installed", hint) from error
    except (ImportError, OSError, RuntimeError) as error:  # the wheel is there, and a library that it loads is not
        reason = str(error).strip().partition("\n")[0][:200]
        raise EngineError(f"{module} can't be loaded: {reason}", hint) from error


def _logger(trt: Any, keep: Callable[[str], None]) -> Any:
    """Made late, since its base class is not everywhere."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity.name in {"ERROR", "INTERNAL_ERROR"}:
                keep(message)
            elif severity.name == "WARNING":
                _log.debug("%s: %s", trt.__name__, message)

    return Logger()
