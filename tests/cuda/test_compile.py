"""Kernels are compiled once for each GPU and kept; what is kept is checked, and never stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from bgcamd.cuda import compile as compiling
from bgcamd.cuda.compile import compile_source, compiled
from bgcamd.errors import DeviceError

pytest.importorskip("cuda.bindings", reason="needs cuda-python")

TEXT = 'extern "C" __global__ void f(float* p) { p[threadIdx.x] *= 2.f; }\n'
ADA, HOPPER = (8, 9), (9, 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "some.cu"
    path.write_text(TEXT)
    return path


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where what was compiled is kept."""
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "cache" / "models"))
    return tmp_path / "cache" / "gpu"


@pytest.fixture
def compiler() -> Iterator[mock.Mock]:
    """The real one, watched."""
    with mock.patch.object(compiling, "compile_source", wraps=compile_source) as watched:
        yield watched


def test_a_cubin_is_an_elf_file_with_the_kernel_in_it(source: Path) -> None:
    cubin = compiled(source, ADA)
    assert cubin[:4] == b"\x7fELF"
    assert b".text.f\0" in cubin


def test_it_is_compiled_once(source: Path, compiler: mock.Mock) -> None:
    assert compiled(source, ADA) == compiled(source, ADA)
    assert compiler.call_count == 1


def test_another_gpu_and_another_text_have_cubins_of_their_own(source: Path, kept: Path, compiler: mock.Mock) -> None:
    first = compiled(source, ADA)
    assert compiled(source, HOPPER) != first
    source.write_text(TEXT.replace("2.f", "3.f"))
    assert compiled(source, ADA) != first
    source.write_text(TEXT)
    assert compiled(source, ADA) == first
    assert compiler.call_count == 3
    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda good: good[:-1], lambda good: good[:100], lambda good: b"?" + good[1:]]
)
def test_a_damaged_file_is_made_anew(source: Path, kept: Path, compiler: mock.Mock, damage: mock.Mock) -> None:
    good = compiled(source, ADA)
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert compiled(source, ADA) == good
    assert (file.read_bytes(), compiler.call_count) == (whole, 2)


def test_nothing_unfinished_is_left_beside_it(source: Path, kept: Path) -> None:
    compiled(source, ADA)
    assert [file.suffix for file in kept.iterdir()] == [".cubin"]


def test_where_nothing_can_be_kept_it_is_compiled_each_time(source: Path, kept: Path, compiler: mock.Mock) -> None:
    kept.parent.mkdir()
    kept.write_text("a file where the folder should be")
    assert compiled(source, ADA) == compiled(source, ADA)
    assert compiler.call_count == 2


def test_a_folder_in_its_place_is_no_obstacle(source: Path, kept: Path, compiler: mock.Mock) -> None:
    compiled(source, ADA)
    (file,) = kept.iterdir()
    file.unlink()
    file.mkdir()
    assert compiled(source, ADA)[:4] == b"\x7fELF"


def test_an_error_in_the_source_is_told_with_its_line() -> None:
    with pytest.raises(DeviceError) as raised:
        compile_source(TEXT.replace("2.f", "twice").encode(), "some.cu", ADA)
    assert raised.value.message.startswith("some.cu can't be compiled for this GPU: some.cu(1): error: ")
    assert "twice" in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("capability", "hint"),
    [((3, 0), "bgcamd needs a newer GPU"), ((99, 0), "pip install --upgrade nvidia-cuda-nvrtc")],
)
def test_a_gpu_that_the_compiler_does_not_know_is_told(capability: tuple[int, int], hint: str) -> None:
    with pytest.raises(DeviceError, match="makes no code for this GPU, sm_") as raised:
        compile_source(TEXT.encode(), "some.cu", capability)
    assert raised.value.hint == hint


def test_a_gpu_that_is_newer_than_the_compiler_runs_the_code_of_the_one_before() -> None:
    assert compile_source(TEXT.encode(), "some.cu", (8, 5)) == compile_source(TEXT.encode(), "some.cu", (8, 0))


def test_a_failed_compilation_keeps_nothing(source: Path, kept: Path) -> None:
    source.write_text("this is no CUDA")
    with pytest.raises(DeviceError):
        compiled(source, ADA)
    assert not kept.exists()


def test_without_cuda_python_it_says_what_to_install(source: Path) -> None:
    with mock.patch.dict("sys.modules", {"cuda.bindings": None}), pytest.raises(DeviceError) as raised:
        compiled(source, ADA)
    assert (raised.value.message, raised.value.hint) == (
        "NVRTC, CUDA's compiler, is not installed",
        "pip install 'bgcamd[rtx]'",
    )


def test_without_the_compilers_library_too(source: Path) -> None:
    nvrtc = mock.Mock()
    nvrtc.nvrtcVersion.side_effect = RuntimeError("Failed to dlopen libnvrtc.so.13")
    with (
        mock.patch.dict("sys.modules", {"cuda.bindings": mock.Mock(nvrtc=nvrtc)}),
        pytest.raises(DeviceError) as raised,
    ):
        compiled(source, ADA)
    assert raised.value.hint == "pip install 'bgcamd[rtx]'"
