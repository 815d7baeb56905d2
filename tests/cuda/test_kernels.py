"""Every .cu file of the package compiles for every GPU that it may meet, and is in the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bgcamd
from bgcamd.cuda.compile import compile_source

pytest.importorskip("cuda.bindings", reason="needs cuda-python")

SOURCES = sorted(Path(bgcamd.__file__).parent.rglob("*.cu"))
CAPABILITIES = [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)]


def test_there_are_some() -> None:
    assert "kernels.cu" in [source.name for source in SOURCES]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: f"sm_{c[0]}{c[1]}")
@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_compiles(source: Path, capability: tuple[int, int]) -> None:
    cubin = compile_source(source.read_bytes(), source.name, capability)
    kernels = re.findall(r"__global__ void (\w+)", source.read_text())
    assert kernels
    assert [name for name in kernels if f".text.{name}\0".encode() not in cubin] == []
