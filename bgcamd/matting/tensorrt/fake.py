"""A TensorRT that is none, for tests: its plans hold the ONNX network, and ONNX Runtime runs it on a ``FakeDriver``.

    driver = FakeDriver(run=kernels)
    trt = FakeTrt(driver)                        # or FakeTrt(driver, rtx=True)
    sys.modules["tensorrt"] = trt                # in place of the module

It is as strict as the real one should be: it wants its scratch memory and every address before it runs, runs only on
a stream of the driver's, wants one logger for all, and notices when its objects are freed in another order than the
one that is safe. What runs a plan keeps the GPU's context for as long as the process lives, as CUDA's runtime does.
"""

from __future__ import annotations

import enum
import weakref
from collections import Counter
from typing import Any

from bgcamd.cuda.fake import FakeDriver
from bgcamd.matting.tensorrt.fake_run import Loader, Severity

_MAGIC = b"fake plan of "


class _Logger:
    Severity = Severity


class _FlagOfTensorRt(enum.Enum):
    TF32 = 1


class _FlagOfRtx(enum.Enum):
    REQUIRE_USER_ALLOCATION = 1


class _Capability(enum.Enum):
    CURRENT = 1
    SM75 = 2
    SM89 = 3
    SM120 = 4


class _Monitor:
    """What reports progress derives from it."""


class FakeTrt:
    """What stands for the module ``tensorrt``, or ``tensorrt_rtx`` with ``rtx``.

    Attributes
    ----------
    refuse: plans are not loaded, as when they are of another version; how many times from now on.
    breaks: builds fail, with this as the reason.
    dies: runs fail, as when the GPU has an error.
    ghosts: what is made only looks right, and an error is logged: so it is with a driver that is too old.
    calls: how often things were made: "plan", "engine", "context", "run", "jit".
    freed: what was freed, in that order.
    """

    ILogger = _Logger
    IProgressMonitor = _Monitor
    NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 1})
    MemoryPoolType = enum.Enum("MemoryPoolType", ["WORKSPACE"])
    TensorIOMode = enum.Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
    DataType = enum.Enum("DataType", ["FLOAT", "HALF"])
    ExecutionContextAllocationStrategy = enum.Enum("ExecutionContextAllocationStrategy", ["STATIC", "USER_MANAGED"])

    def __init__(self, driver: FakeDriver, version: str = "10.16.1.11", *, rtx: bool = False) -> None:
        self.__name__ = "tensorrt_rtx" if rtx else "tensorrt"
        self.__version__ = version
        self.driver = driver
        self.refuse, self.breaks, self.dies, self.ghosts = 0, "", False, False
        self._first: Any = None  # the logger that is used, whatever others are handed over later
        self.calls: Counter[str] = Counter()
        self.freed: list[str] = []
        self.BuilderFlag = _FlagOfRtx if rtx else _FlagOfTensorRt
        if rtx:
            self.ComputeCapability = _Capability
            self.IRuntimeCache = object  # that there is one is all that is asked

    @property
    def header(self) -> bytes:
        """What this version's plans begin with."""
        return _MAGIC + f"{self.__name__} {self.__version__}\n".encode()

    def Builder(self, logger: Any) -> _Builder | _Ghost:  # noqa: N802 - theirs
        """Build plans."""
        self._made_with(logger)
        return _Ghost() if self.ghosts else _Builder(self, logger)

    def OnnxParser(self, network: _Network, logger: Any) -> _Parser:  # noqa: N802 - theirs
        """Fill a network."""
        return _Parser(network)

    def Runtime(self, logger: Any) -> Loader | _Ghost:  # noqa: N802 - theirs
        """Load plans; without a GPU the real one ends the process later."""
        if not self.driver.count():
            raise AssertionError("a TensorRT runtime was made without a GPU")
        self._made_with(logger)
        if self.ghosts:
            return _Ghost()
        self.driver.kept = True
        return Loader(self, logger)

    def _made_with(self, logger: Any) -> None:
        self._first = self._first or logger
        if logger is not self._first:
            raise AssertionError("two loggers: the first is used for all, also when it is gone")
        if self.ghosts:
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")

    def watch(self, thing: object, kind: str) -> None:
        """Note when something is made, and when it is freed."""
        self.calls[kind] += 1
        weakref.finalize(thing, self.freed.append, kind)


class _Ghost:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name}: the real one ends the process here")


class _Network:
    model = b""


class _Parser:
    num_errors = 1

    def __init__(self, network: _Network) -> None:
        self._network = network

    def parse(self, model: bytes) -> bool:
        self._network.model = model
        return model != b""

    def get_error(self, number: int) -> str:
        return "In node 7 (importNode): UNSUPPORTED_NODE"


class _TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return b"timings"


class _Config:
    progress_monitor: Any = None
    num_compute_capabilities = 0
    timings: _TimingCache | None = None
    target: Any = None

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        """Nothing is allocated here."""

    def set_flag(self, flag: Any) -> None:
        """All of them are as we build."""

    def set_compute_capability(self, target: Any, index: int) -> bool:
        self.target = target
        return True

    def create_timing_cache(self, content: bytes) -> _TimingCache | None:
        return None if content == b"damaged" else _TimingCache(content)

    def set_timing_cache(self, cache: _TimingCache, ignore_mismatch: bool) -> bool:
        self.timings = cache
        return cache.content in {b"", b"timings"}


class _Builder:
    def __init__(self, trt: FakeTrt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def create_network(self, flags: int) -> _Network:
        if flags != 1 << self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED:
            raise AssertionError("a network's precision is not its own")
        return _Network()

    def create_builder_config(self) -> _Config:
        return _Config()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        self._trt.calls["plan"] += 1
        if self._trt.breaks:
            self._logger.log(Severity.ERROR, self._trt.breaks)
            return None
        if not self._report(config.progress_monitor):
            return None
        return self._trt.header + network.model

    def _report(self, monitor: Any) -> bool:
        if monitor is None:
            return True
        monitor.phase_start("Building", None, 4)
        going = all(monitor.step_complete("Building", number) for number in range(4))
        monitor.phase_finish("Building")
        return going
