"""The virtual camera, who writes it, and what apps see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bgcamd.doctor.apps import camera_connected, check_apps, udev_properties
from bgcamd.doctor.contact import Contact
from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding, Level
from bgcamd.doctor.traffic import KEEP_FORMAT, TIMEOUT, VIDIOC_G_CTRL, Control, Writer, traffic
from bgcamd.doctor.virtual import check_virtual
from bgcamd.video.v4l2.fake_kernel import FakeKernel, FakeLoopback
from bgcamd.video.v4l2.kernel import Argument

Found = Callable[[Iterable[Finding]], dict[str, Finding]]
Answering = Callable[..., None]


class Controlled(FakeLoopback):
    """One with the module's own controls."""

    values: dict[int, int]

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        if request != VIDIOC_G_CTRL:
            super().ioctl(fd, request, argument)
        elif isinstance(argument, Control):
            argument.value = self.values.get(argument.id, 0)


OURS = {"output": "Virtual BG Camera (/dev/video10)", "state": "live"}
"""What the daemon says when it writes to the device."""


class TestVirtual:
    def test_a_device_that_bgcamd_writes_to_and_an_app_shows_is_fine(
        self, machine: FakeMachine, loopback: FakeLoopback, answering: Answering, found: Found
    ) -> None:
        loopback.held = True
        loopback.read_by(1)
        machine.start(1, "systemd", "/dev/video10")  # it keeps it open, and is no app
        machine.start(42, "zoom", "/dev/video10")
        answering(**OURS)
        writer = found(check_virtual(machine))["virtual.writer"]
        assert writer.what == "/dev/video10: bgcamd writes to it, an app shows it now (open in zoom (pid 42))"
        assert writer.facts["readers"] == 1

    def test_another_program_that_writes_is_named_and_ended(
        self, machine: FakeMachine, loopback: FakeLoopback, found: Found
    ) -> None:
        loopback.held = True
        machine.start(4242, "obs", "/dev/null", "/dev/video10")
        writer = found(check_virtual(machine))["virtual.writer"]
        assert writer.level is Level.BROKEN
        assert writer.what == "another program writes to /dev/video10: obs (pid 4242)"
        assert writer.cure == "kill 4242"

    def test_of_several_that_may_write_none_is_ended(
        self, machine: FakeMachine, loopback: FakeLoopback, found: Found
    ) -> None:
        loopback.held = True
        machine.start(1, "obs", "/dev/video10")
        machine.start(2, "zoom", "/dev/video10")
        assert found(check_virtual(machine))["virtual.writer"].cure == "sudo fuser -v /dev/video10"

    def test_nobody_is_accused_where_the_daemon_may_not_be_asked(
        self, machine: FakeMachine, loopback: FakeLoopback, tmp_path: Path
    ) -> None:
        loopback.held = True
        machine.daemon = Contact(tmp_path, "denied")
        assert traffic(machine, machine.devices[1]).writer is Writer.LIKELY_OURS

    def test_the_state_of_exclusive_caps_0_is_told_with_its_cure(
        self, machine: FakeMachine, loopback: FakeLoopback, found: Found
    ) -> None:
        loopback.exclusive_caps = False
        finding = found(check_virtual(machine))["virtual.exclusive_caps"]
        assert finding.level is Level.BROKEN
        assert "modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1" in finding.cure

    def test_without_the_module_nothing_more_is_said(self, machine: FakeMachine) -> None:
        machine.kernel = FakeKernel()
        machine.unload()
        assert list(check_virtual(machine)) == []

    def test_a_device_of_another_name_is_not_ours(self, machine: FakeMachine, loopback: FakeLoopback) -> None:
        loopback.name = "OBS Virtual Camera"
        (finding,) = check_virtual(machine)
        assert finding.level is Level.BROKEN
        assert 'there is /dev/video10 "OBS Virtual Camera"' in finding.what

    def test_a_device_that_bgcamd_can_make_is_no_fault(self, machine: FakeMachine) -> None:
        machine.kernel = FakeKernel()
        machine.write("/dev/v4l2loopback", "")
        machine.owners["/dev/v4l2loopback"] = ("root", "bgcamd", 0o660)
        (finding,) = check_virtual(machine)
        assert (finding.level, finding.cure) == (Level.NOTE, "bgcamd")

    def test_a_control_node_that_only_root_may_use_is_no_help(self, machine: FakeMachine) -> None:
        machine.kernel = FakeKernel()
        machine.write("/dev/v4l2loopback", "")
        machine.owners["/dev/v4l2loopback"] = ("root", "root", 0o600)
        machine.forbidden.add("/dev/v4l2loopback")
        (finding,) = check_virtual(machine)
        assert finding.level is Level.BROKEN

    @pytest.mark.parametrize(("control", "check"), [(KEEP_FORMAT, "virtual.keep_format"), (TIMEOUT, "virtual.timeout")])
    def test_controls_that_somebody_has_set_are_told(
        self, machine: FakeMachine, found: Found, control: int, check: str
    ) -> None:
        device = Controlled()
        device.values = {control: 1}
        machine.kernel = FakeKernel(device)
        assert check in found(check_virtual(machine))

    def test_too_few_openers_are_told(self, machine: FakeMachine, found: Found) -> None:
        machine.write("/sys/class/video4linux/video10/max_openers", "2")
        assert "can be opened 2 times" in found(check_virtual(machine))["virtual.max_openers"].what

    def test_no_descriptor_is_left_open(self, machine: FakeMachine, loopback: FakeLoopback) -> None:
        kernel = FakeKernel(loopback)
        machine.kernel = kernel
        list(check_virtual(machine))
        assert kernel.descriptors == 0


class TestApps:
    def test_all_list_a_device_that_is_written_to_and_noted_as_a_camera(
        self, machine: FakeMachine, loopback: FakeLoopback
    ) -> None:
        loopback.held = True
        assert [finding.level for finding in check_apps(machine)] == [Level.OK, Level.OK]

    def test_what_udev_noted_too_early_hides_it_from_pipewire(
        self, machine: FakeMachine, loopback: FakeLoopback, found: Found
    ) -> None:
        loopback.held = True
        machine.write("/run/udev/data/c81:10", "I:1\nE:ID_V4L_CAPABILITIES=:video_output:\n")
        finding = found(check_apps(machine))["apps.udev"]
        assert finding.level is Level.BROKEN
        assert finding.cure == "sudo udevadm trigger --action=change /dev/video10"

    def test_a_device_that_nobody_writes_to_is_no_camera_yet(self, machine: FakeMachine, found: Found) -> None:
        finding = found(check_apps(machine))["apps.caps"]
        assert (finding.level, finding.cure) == (Level.NOTE, "bgcamd")

    def test_a_daemon_that_writes_elsewhere_is_told_as_the_reason(
        self, machine: FakeMachine, answering: Answering, found: Found
    ) -> None:
        answering(output="preview: http://127.0.0.1:1/")
        assert "writes to preview:" in found(check_apps(machine))["apps.caps"].means

    def test_without_udev_pipewire_sees_nothing(
        self, machine: FakeMachine, loopback: FakeLoopback, found: Found
    ) -> None:
        loopback.held = True
        machine.remove("/run/udev")
        assert "udev does not run here" in found(check_apps(machine))["apps.udev"].what

    def test_a_snap_that_may_not_use_cameras_is_let(self, machine: FakeMachine, found: Found) -> None:
        machine.write("/snap/chromium/current/x", "")
        machine.answers["snap connections chromium"] = (
            "Interface  Plug  Slot  Notes\ncamera  chromium:camera  -  -\nhome  chromium:home  :home  -"
        )
        assert found(check_apps(machine))["apps.snap"].cure == "sudo snap connect chromium:camera"


@pytest.mark.parametrize(
    ("table", "connected"),
    [("camera  a:camera  :camera  manual", True), ("camera a:camera - -", False), ("home a:home :home -", None)],
)
def test_a_snaps_table_tells_whether_it_may(table: str, connected: bool | None) -> None:
    assert camera_connected(f"Interface  Plug  Slot  Notes\n{table}\n") is connected


def test_properties_of_udev_are_its_lines_with_e() -> None:
    assert udev_properties("S:v4l/x\nE:A=1=2\nE:broken\nG:seat") == {"A": "1=2"}
