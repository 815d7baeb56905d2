"""What runs on this machine's GPU: the driver, the compiler, host memory that it registers, and which TensorRT.

PYTHONPATH=. python tests/gpu/probe.py     each check in a process of its own, since some libraries crash
PYTHONPATH=. python tests/gpu/probe.py NAME     only that one, in this process

TensorRT is looked for in this order: `tensorrt`, which builds and runs; `tensorrt_rtx`, likewise, for GeForce and RTX;
`tensorrt` 8.6 for Python 3.10, which only builds a plan that later versions take; `tensorrt_lean`, which only runs one.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bgcamd.cuda.gpu import Gpu
    from bgcamd.protocols import Engine

TIMEOUT_S = 240
PACKAGES = ("cuda-python", "cuda-bindings", "nvidia-cuda-nvrtc", "tensorrt", "tensorrt-rtx-cu13", "tensorrt-lean-cu13")
MODEL, SIZE = "rvm", (1280, 720)
ADD = (
    'extern "C" __global__ void add(float* p, int n) { int i = blockIdx.x * 256 + threadIdx.x; if (i < n) p[i] += i; }'
)


def versions() -> None:
    """What is installed."""
    for package in PACKAGES:
        try:
            say(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            say(package, "not installed")


def card() -> None:
    """What the driver says of the GPU."""
    from bgcamd.cuda.driver import CudaDriver

    driver = CudaDriver()
    say("driver for CUDA", driver.version(), "GPUs", driver.count())
    say(driver.card(0))


def kernels() -> None:
    """A kernel compiled here runs here."""
    import numpy as np

    from bgcamd.cuda.driver import CudaDriver
    from bgcamd.cuda.gpu import Gpu, Int, grid_over

    source = Path(tempfile.mkdtemp()) / "add.cu"
    source.write_text(ADD)
    came = np.zeros(1000, np.float32)
    with Gpu(CudaDriver()) as gpu, gpu.kernels(source) as loaded, gpu.array((1000,), np.float32) as array:
        loaded.launch("add", grid_over(1000), array, Int(1000))
        gpu.download(came, array)
        gpu.synchronize()
    if came.tolist() != list(range(1000)):
        raise SystemExit("the kernel's answer is wrong")
    say("right")


def host_memory() -> None:
    """Which memory of the host it reads by itself."""
    import numpy as np

    from bgcamd.cuda.driver import CudaDriver
    from bgcamd.cuda.gpu import Gpu
    from bgcamd.errors import DeviceError

    size, shared = 1 << 21, os.memfd_create("bgcamd-probe")
    os.ftruncate(shared, size)
    kinds = {
        "anonymous, private (USERPTR)": mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
        "anonymous, shared": mmap.mmap(-1, size),
        "of a file, shared": mmap.mmap(shared, size),
    }
    with Gpu(CudaDriver()) as gpu:
        for name, memory in kinds.items():
            view = np.frombuffer(memory, np.uint8)
            try:
                with gpu.register(view):
                    say(name, "registered; same address:", gpu.registered(view.ctypes.data, size) == view.ctypes.data)
            except DeviceError as error:
                say(name, error.message)


def tensorrt() -> None:
    """The vendor's whole TensorRT builds and runs a model."""
    build_and_run("tensorrt")


def tensorrt_rtx() -> None:
    """TensorRT-RTX builds and runs a model."""
    build_and_run("tensorrt-rtx")


def build_and_run(name: Literal["tensorrt", "tensorrt-rtx"]) -> None:
    """Do what the daemon does when it opens a model, and run some frames."""
    from bgcamd.cuda.driver import CudaDriver
    from bgcamd.cuda.gpu import Gpu
    from bgcamd.matting.engines import open_gpu_engine
    from bgcamd.matting.manifest import find_manifest
    from bgcamd.matting.tensorrt.runtime import probe

    before = time.monotonic()
    with (
        Gpu(CudaDriver()) as gpu,
        open_gpu_engine(find_manifest(MODEL), gpu, probe(name, gpu.driver), SIZE, build=True) as engine,
    ):
        say(f"built or found in {time.monotonic() - before:.1f} s")
        run(gpu, engine)


def tensorrt_8_builds() -> None:
    """TensorRT 8.6 builds a plan that later versions take. Python 3.10, without what bgcamd needs."""
    import tensorrt as trt

    if ctypes.CDLL("libcuda.so.1").cuInit(0):
        raise SystemExit("the driver finds no GPU")
    log = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(os.environ["BGCAMD_PROBE_MODEL"]):
        raise SystemExit(f"does not parse: {parser.get_error(0)}")
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    config.set_flag(trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise SystemExit("does not build")
    Path(os.environ["BGCAMD_PROBE_PLAN"]).write_bytes(bytes(plan))
    say(trt.__version__, "built", plan.nbytes, "bytes")


def tensorrt_lean_runs() -> None:
    """The lean runtime takes that plan, and runs it."""
    from bgcamd.cuda.driver import CudaDriver
    from bgcamd.cuda.gpu import Gpu
    from bgcamd.matting.manifest import find_manifest

    sys.path.append(str(Path(__file__).resolve().parent))
    from lean import lean_engine

    with Gpu(CudaDriver()) as gpu, lean_engine(find_manifest(MODEL), gpu, SIZE) as engine:
        run(gpu, engine)


def run(gpu: Gpu, engine: Engine) -> None:
    """Some frames; say what came."""
    import numpy as np

    spec = engine.fit(SIZE)
    shape = (1, 3, spec.size.height, spec.size.width)
    with gpu.array(shape, np.float16 if spec.half else np.float32) as tensor:
        for _ in range(3):
            alpha = engine.infer(tensor).alpha
        came = np.zeros(alpha.shape, np.float32)
        gpu.download(came, alpha)
        gpu.synchronize()
    say(f"{engine.name} ran; its alpha of a black picture: {came.min():.3f} to {came.max():.3f}")


CHECKS = (versions, card, kernels, host_memory, tensorrt, tensorrt_rtx, tensorrt_8_builds, tensorrt_lean_runs)
PYTHON_OF = {"tensorrt_8_builds": "python3.10"}


def say(*words: object) -> None:
    """One line."""
    print(*words, flush=True)  # noqa: T201


def run_apart(name: str) -> str:
    """Run a check; return how it ended."""
    python = shutil.which(PYTHON_OF[name]) if name in PYTHON_OF else sys.executable
    if python is None:
        return f"no: {PYTHON_OF[name]} is not here"
    command = [python, "-X", "faulthandler", __file__, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no: not done after {TIMEOUT_S} s"
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()[-3:]]
    status = "yes" if done.returncode == 0 else f"no, exit status {done.returncode}"
    return "\n    ".join([status, *lines])


def main(names: list[str]) -> None:
    """All checks apart, or the one that is named here."""
    known = {check.__name__: check for check in CHECKS}
    if names:
        try:
            known[names[0]]()
        except Exception as error:
            raise SystemExit(f"{type(error).__name__}: {error}") from None
        return
    _lay_out_for_8()
    for name, check in known.items():
        say(f"{(check.__doc__ or '').strip().splitlines()[0]} {run_apart(name)}")


def _lay_out_for_8() -> None:
    """Write the network where a Python without bgcamd's packages finds it, if that has been fetched and can be."""
    sys.path.append(str(Path(__file__).resolve().parent))
    from lean import plan_file

    from bgcamd.errors import BgcamError
    from bgcamd.matting.manifest import find_manifest
    from bgcamd.matting.store import check_model

    manifest = find_manifest(MODEL)
    plan = plan_file(manifest, SIZE)
    network = plan.with_suffix(".onnx")
    os.environ |= {"BGCAMD_PROBE_MODEL": str(network), "BGCAMD_PROBE_PLAN": str(plan)}
    try:
        from bgcamd.matting.fixed import fixed_network

        made = fixed_network(manifest, check_model(manifest), manifest.input.spec(SIZE).size, half=True)
    except (BgcamError, ImportError) as error:
        say("no network for TensorRT 8.6:", error)
        return
    plan.parent.mkdir(parents=True, exist_ok=True)
    network.write_bytes(made)


if __name__ == "__main__":
    main(sys.argv[1:])
