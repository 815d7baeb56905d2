"""Kernels of a .cu file on the CPU: compiled by g++ with cpu_shim.h, run by ``FakeDriver``."""

from __future__ import annotations

import ctypes
import hashlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bgcamd.atomic import replacing
from bgcamd.cuda.driver import Argument, Grid

SHIM = Path(__file__).with_name("cpu_shim.h")
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-Wall", "-Werror", "-Wno-unknown-pragmas")
KERNEL = re.compile(
    r'^extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)(.*?)^}', re.MULTILINE | re.DOTALL
)
BARRIER = "__syncthreads"


class CpuKernels:
    """``FakeDriver(run=CpuKernels(folder))``: kernels of any .cu file, compiled into ``folder`` once.

    Raises AssertionError for a kernel that is not in the file, or that takes other arguments.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[Path, ctypes.CDLL] = {}

    def __call__(self, source: Path, name: str, grid: Grid, arguments: Sequence[Argument]) -> None:
        if source not in self._loaded:
            self._loaded[source] = ctypes.CDLL(str(self._compiled(source)))
        kernel = getattr(self._loaded[source], f"shim_{name}", None)
        assert kernel is not None, f"{source.name} has no kernel {name}"
        kernel.restype = ctypes.c_bool
        codes = "".join(argument._type_ for argument in arguments)  # P, i and f
        pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        blocks, threads = ((ctypes.c_uint * 3)(*counts) for counts in grid)
        assert kernel(blocks, threads, codes.encode(), pointers), f"{name} takes other arguments than {codes}"

    def _compiled(self, source: Path) -> Path:
        text = source.read_text()
        bodies = KERNEL.findall(text)
        assert sum(body.count(BARRIER) for _, body in bodies) == text.count(BARRIER), "a barrier outside of a kernel"
        kernels = "\n".join(f"SHIM_KERNEL({name}, {str(BARRIER in body).lower()})" for name, body in bodies)
        key = hashlib.sha256("\0".join([text, kernels, SHIM.read_text(), *FLAGS]).encode()).hexdigest()
        library = self._folder / f"{source.stem}-{key[:16]}.so"
        if not library.exists():
            unit = f'#include "{SHIM}"\n#include "{source}"\n{kernels}\n'
            with replacing(library, overwrite=True) as part:
                command = ["g++", *FLAGS, "-shared", "-fPIC", "-x", "c++", "-", "-o", str(part)]
                done = subprocess.run(command, input=unit, text=True, capture_output=True, check=False)
                assert done.returncode == 0, done.stderr
        return library
