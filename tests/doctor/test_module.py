"""The kernel module: every way in which it can be missing, and its cure."""

from __future__ import annotations

import pytest

from bgcamd.doctor.fake import FakeMachine
from bgcamd.doctor.finding import Finding, Level
from bgcamd.doctor.machine import Answer
from bgcamd.doctor.module import check_module, quirks

SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
NEW = "6.1.0-20-amd64"


def only(machine: FakeMachine) -> Finding:
    (finding,) = check_module(machine)
    return finding


def upgrade_kernel(machine: FakeMachine) -> None:
    machine.unload()
    machine.write("/proc/sys/kernel/osrelease", NEW)
    machine.write(f"/lib/modules/{NEW}/modules.dep", "kernel/drivers/media/mc/mc.ko:\n")


def test_a_loaded_module_is_fine_and_its_version_and_parameters_are_told(machine: FakeMachine) -> None:
    finding = only(machine)
    assert (finding.level, finding.what) == (Level.OK, "v4l2loopback 0.15.0 is loaded")
    assert finding.facts["parameters"] == {"exclusive_caps": "Y,N,N,N,N,N,N,N"}


def test_another_version_on_disk_than_loaded_is_worth_knowing(machine: FakeMachine) -> None:
    machine.answers["modinfo -F version v4l2loopback"] = "0.15.4"
    *_, finding = check_module(machine)
    assert finding.level is Level.NOTE
    assert "0.15.4 is installed" in finding.what
    assert finding.cure.startswith("sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1")


def test_a_reload_stops_the_service_that_holds_the_module(machine: FakeMachine) -> None:
    machine.answers["modinfo -F version v4l2loopback"] = "0.15.4"
    properties = ",".join(type(machine.unit).PROPERTIES)
    del machine.unit
    machine.answers[f"systemctl show bgcamd.service --property={properties}"] = "LoadState=loaded\nActiveState=active"
    *_, finding = check_module(machine)
    assert finding.cure.startswith("sudo systemctl stop bgcamd && ")
    assert finding.cure.endswith(" && sudo systemctl start bgcamd")


def test_one_that_is_installed_is_loaded(machine: FakeMachine) -> None:
    machine.unload()
    finding = only(machine)
    assert finding.level is Level.BROKEN
    assert finding.cure == 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="Virtual BG Camera" max_buffers=4'


def test_one_that_is_not_signed_under_secure_boot_is_built_anew(machine: FakeMachine) -> None:
    machine.unload()
    machine.write(SECURE_BOOT, b"\6\0\0\0\1")
    machine.answers["modinfo -F signer v4l2loopback"] = ""
    finding = only(machine)
    assert finding.check == "module.signature"
    assert finding.facts["secure_boot"] is True
    assert finding.cure == "sudo apt install --reinstall v4l2loopback-dkms"


def test_one_that_is_signed_with_a_key_that_is_not_enrolled_has_it_enrolled(machine: FakeMachine) -> None:
    machine.unload()
    machine.write(SECURE_BOOT, b"\6\0\0\0\1")
    machine.write("/var/lib/dkms/mok.pub", b"key")
    machine.answers["modinfo -F signer v4l2loopback"] = "DKMS module signing key"
    machine.answers["mokutil --test-key /var/lib/dkms/mok.pub"] = Answer(0, "/var/lib/dkms/mok.pub is not enrolled")
    assert only(machine).cure == "sudo mokutil --import /var/lib/dkms/mok.pub && sudo reboot"


def test_one_that_is_signed_with_an_enrolled_key_is_just_loaded(machine: FakeMachine) -> None:
    machine.unload()
    machine.write(SECURE_BOOT, b"\6\0\0\0\1")
    machine.write("/var/lib/dkms/mok.pub", b"key")
    machine.answers["modinfo -F signer v4l2loopback"] = "DKMS module signing key"
    machine.answers["mokutil --test-key /var/lib/dkms/mok.pub"] = Answer(1, "mok.pub is already enrolled")
    assert only(machine).check == "module.loaded"


@pytest.mark.parametrize("variable", [b"\6\0\0\0\0", b"", b"\6\0"])
def test_without_secure_boot_no_signature_is_asked_for(machine: FakeMachine, variable: bytes) -> None:
    machine.unload()
    machine.write(SECURE_BOOT, variable)
    machine.answers["modinfo -F signer v4l2loopback"] = ""
    assert only(machine).check == "module.loaded"


def test_a_kernel_that_is_locked_down_takes_only_what_is_signed(machine: FakeMachine) -> None:
    machine.unload()
    machine.write("/sys/kernel/security/lockdown", "none [integrity] confidentiality")
    machine.answers["modinfo -F signer v4l2loopback"] = ""
    assert only(machine).check == "module.signature"


def test_after_a_kernel_upgrade_without_headers_they_are_installed(machine: FakeMachine) -> None:
    upgrade_kernel(machine)
    finding = only(machine)
    assert "is there for 6.1.0-18-amd64, but not for the kernel that runs, 6.1.0-20-amd64" in finding.what
    assert finding.cure.startswith(f"sudo apt install linux-headers-{NEW} && sudo modprobe v4l2loopback")


def test_after_a_kernel_upgrade_with_headers_the_module_is_built(machine: FakeMachine) -> None:
    upgrade_kernel(machine)
    machine.write(f"/lib/modules/{NEW}/build/Makefile", "")
    assert only(machine).cure.startswith("sudo dkms autoinstall && ")


def test_a_kernel_whose_modules_are_gone_wants_a_restart(machine: FakeMachine) -> None:
    machine.unload()
    machine.write("/proc/sys/kernel/osrelease", "6.1.0-17-amd64")
    assert only(machine).cure == "sudo reboot"


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian", "sudo apt install v4l2loopback-dkms linux-headers-6.1.0-18-amd64 && sudo modprobe"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "sudo apt install v4l2loopback-dkms"),
        ("ID=arch", "sudo pacman -S v4l2loopback-dkms"),
        ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', "sudo zypper install"),
        ("ID=nixos", "install v4l2loopback for Linux 6.1.0-18-amd64, as your system does it"),
    ],
)
def test_one_that_is_not_installed_is_installed_as_the_distribution_does_it(
    machine: FakeMachine, release: str, command: str
) -> None:
    machine.unload()
    machine.write("/lib/modules/6.1.0-18-amd64/modules.dep", "")
    machine.write("/etc/os-release", release)
    assert only(machine).cure.startswith(command)


def test_in_a_container_the_host_has_to_load_it(machine: FakeMachine) -> None:
    machine.unload()
    machine.write("/.dockerenv", "")
    assert "this is a container (docker)" in only(machine).what


def test_a_kernel_without_modules_is_told_so(machine: FakeMachine) -> None:
    machine.unload()
    machine.remove("/proc/modules")
    assert "takes no modules" in only(machine).what


def test_a_kernel_that_takes_no_more_modules_has_it_loaded_at_boot(machine: FakeMachine) -> None:
    machine.unload()
    machine.write("/proc/sys/kernel/modules_disabled", "1")
    assert "modules-load.d" in only(machine).cure


@pytest.mark.parametrize(
    ("version", "said"),
    [("0.12.7", "does not tell who watches"), ("0.13.1", "One app at a time"), ("0.15.4-2-gabc", "One app at a time")],
)
def test_what_is_peculiar_to_a_version_is_told(version: str, said: str) -> None:
    assert said in quirks(version)


@pytest.mark.parametrize("version", ["", "snapshot", "9"])
def test_of_a_version_that_is_none_nothing_is_told(version: str) -> None:
    assert quirks(version) == ""
