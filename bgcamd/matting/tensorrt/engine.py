"""Networks run by TensorRT, on what a canvas left in the GPU's memory."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import DeviceError, EngineError
from bgcamd.frame import InputSpec, Matte, Size
from bgcamd.matting.signature import Misfit, planes
from bgcamd.matting.tensorrt.answer import DeviceAnswer
from bgcamd.matting.tensorrt.build import Progress
from bgcamd.matting.tensorrt.plan import LoadedPlan, UnfitError
from bgcamd.matting.tensorrt.plans import Plans


class TensorRtEngine:
    """A network on the GPU; see ``protocols.Engine``. Tensors and mattes are ``DeviceArray``.

    Everything is queued on the GPU's stream, nothing waits, and after ``fit`` nothing is allocated, so that frames can
    be recorded as a graph; run one first. Recurrent states never leave the device.

    Parameters
    ----------
    gpu: borrowed; outlives the engine.
    plans: of the model.
    build: whether ``fit`` may build a plan that is not there, which takes seconds to minutes.
    """

    def __init__(self, gpu: Gpu, plans: Plans, *, build: bool = False, progress: Progress | None = None) -> None:
        self._gpu, self._plans, self._manifest = gpu, plans, plans.manifest
        self._build, self._progress = build, progress
        self._loaded: tuple[InputSpec, LoadedPlan] | None = None
        self._arrays: dict[str, DeviceArray] = {}
        self._answer: DeviceAnswer | None = None
        self._memory = ExitStack()  # what ``fit`` allocated
        self._seen = 0  # the address of the tensor that is bound

    @property
    def name(self) -> str:
        """Model, card and runtime, as in "rvm on NVIDIA H100 (tensorrt 10.16.1, fp16)"."""
        precision = "fp16" if self._plans.half else "fp32"
        return f"{self._manifest.name} on {self._gpu.card.name} ({self._plans.runtime}, {precision})"

    @property
    def follows(self) -> bool:
        """See ``protocols.Engine``."""
        return self._manifest.input.follow

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(DeviceError):  # a GPU that has failed may not let anybody in
            self._gpu.enter_thread()
        self._unload()

    def prepare(self, size: Size) -> None:
        """Do what takes long of ``fit``: find or build the plan for frames of ``size``, and load it.

        It queues nothing on the GPU's stream. Raises what ``fit`` raises.
        """
        self._prepared(size)

    def fit(self, size: Size) -> InputSpec:
        """Choose the input for frames of ``size`` and forget the state.

        Raises
        ------
        NotBuiltError: there is no plan for it, and it may not be built here.
        ModelError, EngineError: the network can't be built, loaded, or is not what its manifest says.
        """
        spec, plan = self._prepared(size)
        if not self._arrays:
            self._allocate(plan)
        self.reset()
        return replace(spec, half=self._plans.half)

    def infer(self, tensor: DeviceArray) -> Matte:
        """Queue the network on (1, 3, h, w), as ``fit`` specified it; its matte is ours, until the next call.

        Raises DeviceError when the GPU has failed.
        """
        if self._loaded is None or self._answer is None:
            raise EngineError(f"{self.name} was not fitted to a size")
        plan = self._loaded[1]
        if tensor.address != self._seen:
            plan.bind(self._manifest.input.name, tensor)
            self._seen = tensor.address
        plan.run()
        for state in self._manifest.states:  # TensorRT's inputs and outputs must not overlap
            self._gpu.copy(self._arrays[state.input], self._arrays[state.output])
        self._answer.take(self._arrays[self._manifest.output.alpha])
        return Matte(self._answer.alpha, self._manifest.output.softness)

    def reset(self) -> None:
        """Forget the recurrent state: queue zeros. Any thread may, without having entered the GPU."""
        self._gpu.enter_thread()
        for state in self._manifest.states:
            if state.input in self._arrays:
                self._gpu.clear(self._arrays[state.input])

    def _prepared(self, size: Size) -> tuple[InputSpec, LoadedPlan]:
        spec = self._manifest.input.spec(size)
        if self._loaded is not None and self._loaded[0].size == spec.size:
            return self._loaded
        if self._loaded is not None:
            self._unload()
        self._loaded = spec, self._load(size)
        return self._loaded

    def _load(self, size: Size) -> LoadedPlan:
        """A plan that does not fit after all, as when a library was replaced under its name, is built again, once."""
        try:
            return self._load_once(size)
        except UnfitError:
            self._plans.drop(size)
        try:
            return self._load_once(size)
        except UnfitError as error:
            raise EngineError(
                f"{self._plans.runtime} does not take what it built of {self._manifest.name}: {error}"
            ) from error

    def _load_once(self, size: Size) -> LoadedPlan:
        file = self._plans.plan(size, build=self._build, progress=self._progress)
        if self._progress is not None:
            self._progress(None, "loading")
        known = self._plans.compiled(size)
        plan = LoadedPlan(self._plans.runtime, self._gpu, file, known)
        if (compiled := plan.compiled) != known:
            self._plans.keep_compiled(size, compiled)
        return plan

    def _allocate(self, plan: LoadedPlan) -> None:
        alpha, picture = self._manifest.output.alpha, self._manifest.input.name
        shape = planes(plan.tensors[alpha].shape, self._manifest.output, Misfit(self._manifest, self._manifest.path()))
        with ExitStack() as stack:
            plan.work_in(stack.enter_context(self._gpu.array((plan.scratch,), "u1")))
            arrays = {
                name: stack.enter_context(self._gpu.array(tensor.shape, tensor.dtype))
                for name, tensor in plan.tensors.items()
                if name != picture  # which is the canvas's
            }
            for name, array in arrays.items():
                plan.bind(name, array)
            self._answer = stack.enter_context(DeviceAnswer(self._gpu, self._manifest.output, shape))
            self._memory, self._arrays = stack.pop_all(), arrays

    def _unload(self) -> None:
        """What runs ends first, then what runs it goes, then the memory it ran in."""
        loaded, self._loaded = self._loaded, None
        self._arrays, self._answer, self._seen = {}, None, 0
        with suppress(DeviceError):  # of a GPU that has failed nothing can be given back
            self._gpu.synchronize()
        if loaded is not None:
            loaded[1].__exit__(None, None, None)
        with suppress(DeviceError):
            self._memory.close()
