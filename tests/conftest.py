"""What tests share: the real pictures, where there are some, and the fetched models."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bgcamd.cuda.driver import CudaDriver
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.paths import models_folder

# Programs that tests start heed signals, also where the tests themselves run in the background or under nohup.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
settings.register_profile("bgcamd", deadline=None)  # a busy machine is no failure
settings.load_profile("bgcamd")

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tests" / "cuda"))  # for on_cpu, which is no test
ON_GPU = os.environ.get("BGCAMD_TEST_GPU") == "1"  # `tests/gpu/run test`: the same tests on the machine's own GPU
ASKED_FOR = {"e2e": "tests/e2e", "programs": "tests/programs"}  # `make e2e` runs them: in a guest, with real programs


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that need more than this checkout, unless they are asked for by name."""
    folder = ASKED_FOR.get(collection_path.name)
    if folder is None or collection_path != CHECKOUT / folder:
        return None
    named = [Path(arg.partition("::")[0]).resolve() for arg in config.args]
    return None if any(path == collection_path or collection_path in path.parents for path in named) else True


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures and clips beside the checkout; without it the test is skipped."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real pictures in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of fetched models; ``make test`` fetches what the tests use."""
    return models_folder()


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings of its own; returns the folder that ~/.config would be."""
    monkeypatch.delenv("BGCAMD_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture(scope="session")
def kernels_on_cpu(request: pytest.FixtureRequest) -> Run:
    """Every kernel of every .cu file, run on the CPU: ``FakeDriver(run=kernels_on_cpu)``. Compiled once, then kept."""
    from on_cpu import CpuKernels

    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return CpuKernels(request.config.cache.mkdir("kernels"))


@pytest.fixture
def fake_gpu(kernels_on_cpu: Run) -> Iterator[Gpu]:
    """A GPU whose kernels really run, on the CPU; afterwards all that was allocated must have been freed."""
    driver = FakeDriver(run=kernels_on_cpu)
    with Gpu(driver, compiler=fake_compiler) as made:
        yield made
    driver.check_nothing_left()


@pytest.fixture(scope="session")
def real_gpu() -> Iterator[Gpu]:
    """The machine's own, kept open: to open it takes a part of a second."""
    with Gpu(CudaDriver()) as made:
        yield made


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> Iterator[Gpu]:
    """The fake GPU; with ON_GPU the machine's own."""
    if not ON_GPU:
        yield request.getfixturevalue("fake_gpu")
        return
    request.getfixturevalue("real_gpu")
    with Gpu(CudaDriver()) as made:
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a GPU only what can use it is tested."""
    if ON_GPU:
        names = {item: set(getattr(item, "fixturenames", ())) for item in items}
        without = [item for item in items if "gpu" not in names[item] or "fake_gpu" in names[item]]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
