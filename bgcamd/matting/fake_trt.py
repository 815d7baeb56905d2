"""A TensorRT that is none, for tests: its plans hold the ONNX network, and ONNX Runtime runs it on a ``FakeDriver``.

    driver = FakeDriver(run=kernels)
    trt = FakeTrt(driver)                        # or FakeTrt(driver, rtx=True)
    sys.modules["tensorrt"] = trt                # in place of the module

It is as strict as the real one should be: it wants its scratch memory and every address before it runs, runs only on
a stream of the driver's, and notices when its objects are freed in another order than the one that is safe.
"""

from __future__ import annotations

import enum
import weakref
from collections import Counter
from typing import Any

import numpy as np
import onnxruntime as ort

from bgcamd.cuda.fake import FakeDriver

_MAGIC = b"fake plan of "
_SCRATCH = 4096
_TYPES = {"tensor(float)": np.dtype(np.float32), "tensor(float16)": np.dtype(np.float16)}


class _Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class _Logger:
    Severity = _Severity


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
        self.refuse, self.breaks, self.dies = 0, "", False
        self.calls: Counter[str] = Counter()
        self.freed: list[str] = []
        self.BuilderFlag = _FlagOfRtx if rtx else _FlagOfTensorRt
        if rtx:
            self.ComputeCapability = _Capability
            self.IRuntimeCache = _RuntimeCache

    @property
    def header(self) -> bytes:
        """What this version's plans begin with."""
        return _MAGIC + f"{self.__name__} {self.__version__}\n".encode()

    def Builder(self, logger: Any) -> _Builder:  # noqa: N802 - theirs
        """Build plans."""
        return _Builder(self, logger)

    def OnnxParser(self, network: _Network, logger: Any) -> _Parser:  # noqa: N802 - theirs
        """Fill a network."""
        return _Parser(network)

    def Runtime(self, logger: Any) -> _Loader:  # noqa: N802 - theirs
        """Load plans; without a GPU the real one ends the process later."""
        if not self.driver.count():
            raise AssertionError("a TensorRT runtime was made without a GPU")
        return _Loader(self, logger)

    def watch(self, thing: object, kind: str) -> None:
        """Note when something is made, and when it is freed."""
        self.calls[kind] += 1
        weakref.finalize(thing, self.freed.append, kind)


class _Network:
    model = b""


class _Parser:
    num_errors = 1

    def __init__(self, network: _Network) -> None:
        self._network = network

    def parse(self, model: bytes) -> bool:
        self._network.model = model
        return model != b""

    def get_error(self, number: int) -> _Parser:
        return self

    def node(self) -> int:
        return 7

    def desc(self) -> str:
        return "unsupported operator"


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

    def create_timing_cache(self, content: bytes) -> _TimingCache:
        return _TimingCache(content)

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
            self._logger.log(_Severity.ERROR, self._trt.breaks)
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


class _Loader:
    def __init__(self, trt: FakeTrt, logger: Any) -> None:
        self._trt, self._logger = trt, logger
        trt.watch(self, "runtime")

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        if self._trt.refuse:
            self._trt.refuse -= 1
        elif plan.startswith(self._trt.header):
            return _Engine(self._trt, self._logger, plan.removeprefix(self._trt.header))
        self._logger.log(_Severity.ERROR, "the plan is of another version")
        return None


class _RuntimeCache:
    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        self.content = content
        return bool(content)

    def serialize(self) -> bytes:
        return self.content


class _RuntimeConfig:
    cache: _RuntimeCache | None = None
    strategy: Any = None

    def create_runtime_cache(self) -> _RuntimeCache:
        return _RuntimeCache()

    def set_runtime_cache(self, cache: _RuntimeCache) -> bool:
        self.cache = cache
        return True

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self.strategy = strategy


class _Engine:
    device_memory_size_v2 = _SCRATCH

    def __init__(self, trt: FakeTrt, logger: Any, model: bytes) -> None:
        self._trt, self.logger = trt, logger
        self.session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = {value.name: value for value in self.session.get_outputs()}
        self._all = self.inputs | self.outputs
        trt.watch(self, "engine")

    @property
    def num_io_tensors(self) -> int:
        return len(self._all)

    def get_tensor_name(self, index: int) -> str:
        name: str = list(self._all)[index]
        return name

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._all[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        kinds = self._trt.DataType
        return kinds.HALF if self._all[name].type == "tensor(float16)" else kinds.FLOAT

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._trt.TensorIOMode
        return modes.INPUT if name in self.inputs else modes.OUTPUT

    def empty(self, name: str) -> np.ndarray[Any, Any]:
        return np.empty(self.get_tensor_shape(name), _TYPES[self._all[name].type])

    def create_runtime_config(self) -> _RuntimeConfig:
        return _RuntimeConfig()

    def create_execution_context(self, how: Any) -> _Context:
        if isinstance(how, _RuntimeConfig):
            if how.cache is not None and not how.cache.content:
                self._trt.calls["jit"] += 1
                how.cache.content = b"compiled"
            how = how.strategy
        if how != self._trt.ExecutionContextAllocationStrategy.USER_MANAGED:
            raise AssertionError("TensorRT would allocate by itself")
        return _Context(self._trt, self)


class _Context:
    def __init__(self, trt: FakeTrt, engine: _Engine) -> None:
        self._trt, self._engine = trt, engine
        self._addresses: dict[str, int] = {}
        self._scratch = 0
        trt.watch(self, "context")

    def set_device_memory(self, memory: int, size: int) -> None:
        if size < _SCRATCH:
            raise AssertionError(f"{size} bytes of scratch memory are too few")
        self._scratch = memory

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream: int) -> bool:
        engine, driver, addresses = self._engine, self._trt.driver, dict(self._addresses)
        if not self._scratch or addresses.keys() != engine.inputs.keys() | engine.outputs.keys():
            raise AssertionError("scratch memory or an address is missing")
        if self._trt.dies:
            engine.logger.log(_Severity.ERROR, "an illegal memory access was encountered")
            return False
        self._trt.calls["run"] += 1

        def work() -> None:
            feed = {name: engine.empty(name) for name in engine.inputs}
            for name, array in feed.items():
                driver.download(array.ctypes.data, addresses[name], array.nbytes, stream)
            for name, array in zip(engine.outputs, engine.session.run(None, feed), strict=True):
                whole = np.ascontiguousarray(array)
                driver.upload(addresses[name], whole.ctypes.data, whole.nbytes, stream)

        driver.enqueue(stream, work)
        return True
