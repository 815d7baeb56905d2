"""What bgcamd itself needs: models, an engine, a GPU that fits, settings and room."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.assets import Asset
from bgcamd.canvas.host import HostCanvas
from bgcamd.doctor.distribution import os_release
from bgcamd.doctor.engine import check_engine
from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding, Level
from bgcamd.doctor.folders import check_settings, check_state
from bgcamd.doctor.graphics import check_gpu, driver_version
from bgcamd.doctor.weights import check_models
from bgcamd.errors import EngineError, ModelError
from bgcamd.frame import Size
from bgcamd.matting.engines import Reason
from bgcamd.matting.fake import FakeEngine
from bgcamd.matting.manifest import Input, Manifest, Output
from bgcamd.pipeline import Pipeline
from bgcamd.service.model import Model

Found = Callable[[Iterable[Finding]], dict[str, Finding]]
Answering = Callable[..., None]
NVRM = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:07:00 UTC 2025\nGCC version: 12\n"


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The model "selfie" of four bytes, not fetched yet."""
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path / "models"))
    asset = Asset("p", "1", "0" * 64, 9, "m", hashlib.sha256(b"onnx").hexdigest(), 4)
    return Manifest("selfie", "S", "MIT", Input("x", size=(64, 64)), Output("y"), asset=asset)


def fetched(manifest: Manifest, content: bytes = b"onnx") -> Manifest:
    manifest.path().parent.mkdir(exist_ok=True)
    manifest.path().write_bytes(content)
    return manifest


class TestModels:
    def test_one_that_is_right_to_the_bit_is_fine(self, machine: FakeMachine, manifest: Manifest) -> None:
        (finding,) = check_models(machine, [fetched(manifest)])
        assert (finding.level, finding.facts) == (Level.OK, {"models": ["selfie"]})

    def test_a_flipped_bit_is_found(self, machine: FakeMachine, manifest: Manifest) -> None:
        (finding,) = check_models(machine, [fetched(manifest, b"onny")])
        assert (finding.level, finding.cure) == (Level.BROKEN, "bgcam models fetch selfie")

    def test_one_that_is_missing_is_fetched(self, machine: FakeMachine, manifest: Manifest) -> None:
        (finding,) = check_models(machine, [manifest])
        assert (finding.level, finding.cure) == (Level.BROKEN, "bgcam models fetch selfie")

    def test_a_daemon_that_runs_has_its_own(
        self, machine: FakeMachine, manifest: Manifest, answering: Answering
    ) -> None:
        answering()
        (finding,) = check_models(machine, [manifest])
        assert finding.level is Level.NOTE

    def test_others_than_the_settings_one_need_not_be_there(self, machine: FakeMachine, manifest: Manifest) -> None:
        other = replace(manifest, name="other")
        assert [finding.level for finding in check_models(machine, [fetched(manifest), other])] == [Level.OK]

    def test_a_model_that_there_is_not_is_told(self, machine: FakeMachine, manifest: Manifest) -> None:
        machine.write("/etc/bgcamd/bgcamd.toml", '[model]\nname = "selfy"\n')
        (finding,) = check_models(machine, [manifest])
        assert (finding.check, finding.level) == ("models.known", Level.BROKEN)


class TestEngine:
    def test_the_daemons_own_word_and_figures_are_told(self, machine: FakeMachine, answering: Answering) -> None:
        answering(engine="selfie on cpu", model="selfie", fps=30.0, stages={"infer": {"wall_p50": 2.5}}, why="w")
        (finding,) = check_engine(machine, lambda _: pytest.fail("it runs already"))
        assert finding.what == "selfie on cpu, 2.5 ms a frame; 30.0 frames a second are written"
        assert finding.facts["infer_ms"] == 2.5

    def test_without_a_daemon_the_settings_model_is_tried(
        self, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bgcamd.doctor.engine._TRIED_S", 0.0)
        closed = []
        pipeline = Pipeline(HostCanvas(Size(1280, 720)), FakeEngine())
        model = Model("fake", pipeline, "nothing is faster", close=lambda: closed.append(1))
        (finding,) = check_engine(machine, lambda _: model)
        assert finding.means.endswith("othing is faster.")
        assert isinstance(finding.facts["frame_ms"], float)
        assert closed == [1]

    def test_one_that_does_not_work_is_a_fault(self, machine: FakeMachine) -> None:
        def fails(_: object) -> Any:
            raise EngineError("no TensorRT", "pip install it")

        (finding,) = check_engine(machine, fails)
        assert (finding.level, finding.what, finding.cure) == (Level.BROKEN, "no TensorRT", "pip install it")

    def test_a_missing_model_is_for_the_models_to_tell(self, machine: FakeMachine) -> None:
        def fails(_: object) -> Any:
            raise ModelError("not fetched")

        assert list(check_engine(machine, fails)) == []


class TestGpu:
    def test_none_is_fine(self, machine: FakeMachine) -> None:
        (finding,) = check_gpu(machine)
        assert (finding.level, finding.what) == (Level.OK, "no NVIDIA GPU: the CPU does the work")

    def test_one_without_a_driver_gets_it(self, machine: FakeMachine) -> None:
        machine.write("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
        machine.write("/sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
        (finding,) = check_gpu(machine)
        assert (finding.level, finding.cure) == (Level.NOTE, "sudo apt install nvidia-driver")

    def test_other_devices_of_nvidias_are_no_gpus(self, machine: FakeMachine) -> None:
        machine.write("/sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n")
        machine.write("/sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n")
        (finding,) = check_gpu(machine)
        assert finding.level is Level.OK

    def test_a_driver_upgraded_under_the_running_kernel_wants_a_restart(self, machine: FakeMachine) -> None:
        machine.write("/proc/driver/nvidia/version", NVRM)
        machine.write("/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07", "")
        (finding,) = check_gpu(machine)
        assert (finding.level, finding.cure) == (Level.NOTE, "sudo reboot")
        assert finding.facts == {"driver": "580.65.06", "library": "580.82.07"}

    def test_who_may_not_use_it_joins_its_group(self, machine: FakeMachine) -> None:
        machine.write("/proc/driver/nvidia/version", NVRM)
        machine.write("/dev/nvidia0", "")
        machine.forbidden.add("/dev/nvidia0")
        (finding,) = check_gpu(machine)
        assert finding.cure == "sudo usermod -aG video ada, then log in again"

    def test_what_hinders_our_packages_is_told_with_its_cure(self, machine: FakeMachine) -> None:
        machine.write("/proc/driver/nvidia/version", NVRM)
        error = EngineError("tensorrt_rtx is for CUDA 13, the driver runs 12.4", "update the GPU's driver")
        (finding,) = check_gpu(machine, lambda _: ((), (Reason("tensorrt-rtx", error),)))
        assert (finding.level, finding.cure) == (Level.NOTE, "update the GPU's driver")

    def test_one_that_works_is_told_with_its_driver_and_runtime(self, machine: FakeMachine, found: Found) -> None:
        machine.write("/proc/driver/nvidia/version", NVRM)
        driver = SimpleNamespace(card=lambda _: SimpleNamespace(name="RTX 4070"), version=lambda: 99000)
        way: Any = SimpleNamespace(driver=driver, runtime=SimpleNamespace(name="tensorrt-rtx", version="1.7.1"))
        finding = found(check_gpu(machine, lambda _: ((way,), ())))["gpu.driver"]
        assert finding.what == "RTX 4070, driver 580.65.06 (CUDA 99.0), TensorRT-RTX 1.7.1"

    @pytest.mark.parametrize(
        ("text", "version"),
        [
            (NVRM, "580.65.06"),
            ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build", "550.54.14"),
            ("GCC version:  gcc 12.2.0", ""),
            ("", ""),
        ],
    )
    def test_the_drivers_version_is_found(self, text: str, version: str) -> None:
        assert driver_version(text) == version


class TestFolders:
    def test_valid_settings_are_fine(self, machine: FakeMachine) -> None:
        assert [finding.level for finding in check_settings(machine)] == [Level.OK]

    @pytest.mark.parametrize("text", ['[camera]\nfps = "x"\n', "[camera\n", '[output]\naddresses = ["rtps://@/x"]\n'])
    def test_settings_that_make_no_sense_are_a_fault_with_the_file_to_edit(
        self, machine: FakeMachine, text: str
    ) -> None:
        machine.write("/etc/bgcamd/bgcamd.toml", text)
        (finding,) = check_settings(machine)
        assert finding.level is Level.BROKEN
        assert finding.cure.endswith("bgcamd.toml")

    @pytest.mark.parametrize(("free", "level"), [(1 << 20, Level.BROKEN), (100 << 20, Level.NOTE), (1 << 30, Level.OK)])
    def test_too_little_room_is_told(self, machine: FakeMachine, found: Found, free: int, level: Level) -> None:
        machine.free = free
        assert found(check_state(machine))["disk.free"].level is level

    def test_a_state_that_can_not_be_written_is_a_fault(
        self, machine: FakeMachine, found: Found, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.access", lambda path, mode: False)  # which root always may
        finding = found(check_state(machine))["disk.state"]
        assert (finding.level, finding.cure) == (Level.BROKEN, f"sudo install -d -o ada {machine.state}")
        machine.state.mkdir(parents=True)
        assert found(check_state(machine))["disk.state"].cure == f"sudo chown -R ada {machine.state}"

    def test_a_damaged_scene_is_told(self, machine: FakeMachine, found: Found) -> None:
        machine.write("/var/lib/state/scene.json", "{")
        assert found(check_state(machine))["disk.scene"].cure.startswith("rm ")


@given(st.text())
def test_any_os_release_can_be_read(text: str) -> None:
    assert isinstance(os_release(text), dict)


@pytest.mark.parametrize(
    ("line", "value"), [('PRETTY_NAME="A \\"b\\" c"', 'A "b" c'), ("PRETTY_NAME=x", "x"), ("PRETTY_NAME='y z'", "y z")]
)
def test_values_of_os_release_are_quoted_as_for_a_shell(line: str, value: str) -> None:
    assert os_release(line)["PRETTY_NAME"] == value
