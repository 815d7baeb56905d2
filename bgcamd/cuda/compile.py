"""Kernels from source to machine code, by NVRTC, for the very GPU; compiled once and kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from bgcamd.atomic import replacing
from bgcamd.errors import DeviceError, OutputError
from bgcamd.paths import kernels_folder

_OPTIONS = ("--std=c++17", "--fmad=false", "-default-device")
"""No fused multiply-add: then the sums round as they do on the CPU, and the two can be compared."""


def compiled(source: Path, capability: tuple[int, int]) -> bytes:
    """The cubin of a .cu file for a GPU of this compute capability: from the cache, else fresh.

    Raises DeviceError when NVRTC is missing, does not know the GPU, or refuses the source.
    """
    text = source.read_bytes()
    nvrtc = _nvrtc()
    key = hashlib.sha256(repr((text, capability, _OPTIONS, _ask(nvrtc, "nvrtcVersion"))).encode()).hexdigest()
    kept = kernels_folder() / f"{source.stem}-sm{capability[0]}{capability[1]}-{key[:16]}.cubin"
    try:
        return _whole(kept.read_bytes())
    except (OSError, ValueError):
        cubin = compile_source(text, source.name, capability)
    _keep(kept, cubin)
    return cubin


def compile_source(text: bytes, name: str, capability: tuple[int, int]) -> bytes:
    """Compile to a cubin; needs neither a GPU nor a driver. Raises DeviceError with the compiler's words."""
    nvrtc = _nvrtc()
    options = [option.encode() for option in (*_OPTIONS, f"--gpu-architecture=sm_{_target(nvrtc, capability)}")]
    program = _ask(nvrtc, "nvrtcCreateProgram", text, name.encode(), 0, [], [])
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if int(status) != 0:
            raise DeviceError(f"{name} can't be compiled for this GPU: {_log(nvrtc, program)}")
        cubin = bytes(_ask(nvrtc, "nvrtcGetCUBINSize", program))  # which NVRTC writes into
        _ask(nvrtc, "nvrtcGetCUBIN", program, cubin)
        return cubin
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _target(nvrtc: Any, capability: tuple[int, int]) -> int:
    """What to compile for: this GPU, or the newest that NVRTC knows and whose code it runs, too."""
    number = 10 * capability[0] + capability[1]
    known: list[int] = _ask(nvrtc, "nvrtcGetSupportedArchs")
    fitting = [each for each in known if each // 10 == capability[0] and each <= number]
    if not fitting:
        version = ".".join(map(str, _ask(nvrtc, "nvrtcVersion")))
        hint = "pip install --upgrade nvidia-cuda-nvrtc" if number > max(known) else "bgcamd needs a newer GPU"
        raise DeviceError(f"NVRTC {version} makes no code for this GPU, sm_{number}", hint)
    return max(fitting)


def _keep(file: Path, cubin: bytes) -> None:
    """Keep it for the next time; where that can't be, it is compiled again then."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file, overwrite=True) as part:
            part.write_bytes(cubin + hashlib.sha256(cubin).digest())
    except (OSError, OutputError):
        return


def _whole(kept: bytes) -> bytes:
    """Raises ValueError for a file that is damaged."""
    cubin, digest = kept[:-32], kept[-32:]
    if hashlib.sha256(cubin).digest() != digest:
        raise ValueError
    return cubin


def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc  # noqa: PLC0415 - an extra

        _ask(nvrtc, "nvrtcVersion")
    except (ImportError, RuntimeError) as error:  # the library is another package, and says so by a RuntimeError
        raise DeviceError("NVRTC, CUDA's compiler, is not installed", "pip install 'bgcamd[rtx]'") from error
    return nvrtc


def _ask(nvrtc: Any, call: str, *arguments: Any) -> Any:
    status, *values = getattr(nvrtc, call)(*arguments)
    if int(status) != 0:
        raise DeviceError(f"NVRTC: {call} answered {nvrtc.nvrtcGetErrorString(status)[1].decode()}")
    return values[0] if len(values) == 1 else tuple(values)


def _log(nvrtc: Any, program: Any) -> str:
    text = b" " * _ask(nvrtc, "nvrtcGetProgramLogSize", program)
    _ask(nvrtc, "nvrtcGetProgramLog", program, text)
    lines = [line for line in text.rstrip(b"\0 \n").decode(errors="replace").splitlines() if "error" in line]
    return lines[0] if lines else "no reason given"
