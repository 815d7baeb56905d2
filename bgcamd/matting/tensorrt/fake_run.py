"""What runs a plan in ``FakeTrt``: theirs are the names and the signatures, the work is done by ONNX Runtime."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from bgcamd.matting.tensorrt.fake import FakeTrt

_SCRATCH = 4096
_TYPES = {"tensor(float)": np.dtype(np.float32), "tensor(float16)": np.dtype(np.float16)}


class Severity(enum.IntEnum):
    """Of what the logger is told."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class Loader:
    """``tensorrt.Runtime``."""

    def __init__(self, trt: FakeTrt, logger: Any) -> None:
        self._trt, self._logger = trt, logger
        trt.watch(self, "runtime")

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        """Load a plan that this very version has made."""
        if self._trt.refuse:
            self._trt.refuse -= 1
        elif plan.startswith(self._trt.header):
            return _Engine(self._trt, self._logger, plan.removeprefix(self._trt.header))
        self._logger.log(Severity.ERROR, "the plan is of another version")
        return None


class _RuntimeCache:
    def __init__(self) -> None:
        self.content = b""

    def deserialize(self, content: bytes) -> bool:
        if not content:
            raise AssertionError("an error would be logged, and taken for the reason of the next one")
        self.content = content
        return True

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
            engine.logger.log(Severity.ERROR, "an illegal memory access was encountered")
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
