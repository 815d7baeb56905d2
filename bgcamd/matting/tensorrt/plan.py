"""A plan that is loaded: what runs a network on the GPU."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import DeviceError
from bgcamd.matting.tensorrt.runtime import TensorRt

_TYPES: dict[str, DTypeLike] = {"FLOAT": np.float32, "HALF": np.float16}


class Tensor(NamedTuple):
    """An input or output of a network."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    is_input: bool


class UnfitError(Exception):
    """This plan is not for this TensorRT and GPU, or not for this network: it has to be built again."""


class LoadedPlan:
    """A plan on the GPU, from entering the context until it is left.

    All memory that it works in is its owner's, ``scratch`` bytes of it for itself, so that it allocates nothing when
    it runs. That there is a ``Gpu`` proves that there is a driver: without one TensorRT's runtime ends the process.
    Loading queues nothing on the GPU's stream, so that another thread may work meanwhile.

    Parameters
    ----------
    compiled: what ``compiled`` returned once, or nothing; TensorRT-RTX compiles for seconds without it.

    Attributes
    ----------
    tensors: the network's inputs and outputs by name.
    scratch: bytes.

    Raises
    ------
    UnfitError: see there.
    """

    tensors: dict[str, Tensor]
    scratch: int

    def __init__(self, runtime: TensorRt, gpu: Gpu, plan: bytes, compiled: bytes = b"") -> None:
        self._runtime, self._gpu = runtime, gpu
        self._loader: Any = None
        self._engine: Any = None
        self._settings: Any = None
        self._kernels: Any = None
        self._context: Any = None
        try:
            self._load(runtime, plan, compiled)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _load(self, runtime: TensorRt, plan: bytes, compiled: bytes) -> None:
        trt = runtime.trt
        self._loader = runtime.made("Runtime")
        self._engine = self._loader.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise UnfitError(runtime.failure("it can't be loaded").message)
        if hasattr(trt, "IRuntimeCache"):
            self._settings = self._engine.create_runtime_config()
            self._kernels = self._settings.create_runtime_cache()
            if compiled:
                self._kernels.deserialize(compiled)  # what does not fit is left out
            self._settings.set_runtime_cache(self._kernels)
            self._settings.set_execution_context_allocation_strategy(_by_us(trt))
        self._context = self._engine.create_execution_context(self._settings or _by_us(trt))
        if self._context is None:
            raise UnfitError(runtime.failure("it can't be run").message)
        self.tensors = _tensors(trt, self._engine)
        self.scratch = max(int(self._engine.device_memory_size_v2), 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was made last goes first; TensorRT frees an object when nobody has it any more."""
        self._context = None
        self._kernels = None
        self._settings = None
        self._engine = None
        self._loader = None

    @property
    def compiled(self) -> bytes:
        """What makes the next loading faster, or nothing."""
        kernels = self._kernels and self._kernels.serialize()
        return b"" if kernels is None else bytes(kernels)

    def work_in(self, memory: DeviceArray) -> None:
        """Give it its ``scratch`` bytes; they stay its owner's."""
        self._context.set_device_memory(memory.address, memory.nbytes)

    def bind(self, name: str, memory: DeviceArray) -> None:
        """Say where an input or output lies, from now on; aligned to 256 bytes, as a whole array is.

        Raises ValueError for what is of another size or type.
        """
        wanted = self.tensors[name]
        if memory.dtype != wanted.dtype or memory.nbytes != np.dtype(wanted.dtype).itemsize * np.prod(wanted.shape):
            raise ValueError(f"{name} is {np.dtype(wanted.dtype)} {wanted.shape}, not {memory.dtype} {memory.shape}")
        if not self._context.set_tensor_address(name, memory.address):
            raise DeviceError(self._runtime.failure(f"{self._runtime} refused the memory for {name}").message)

    def run(self) -> None:
        """Queue the network on the GPU's stream. Raises DeviceError."""
        if not self._context.execute_async_v3(self._gpu.stream):
            raise DeviceError(self._runtime.failure(f"{self._runtime} failed").message, "see `nvidia-smi`")


def _by_us(trt: Any) -> Any:
    return trt.ExecutionContextAllocationStrategy.USER_MANAGED


def _tensors(trt: Any, engine: Any) -> dict[str, Tensor]:
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    return {
        name: Tensor(
            tuple(engine.get_tensor_shape(name)),
            _TYPES[engine.get_tensor_dtype(name).name],
            engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT,
        )
        for name in names
    }
