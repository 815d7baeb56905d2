"""How this distribution installs what is missing."""

from __future__ import annotations

import shlex
from dataclasses import astuple, dataclass

from bgcamd.doctor.machine import Machine


@dataclass(frozen=True)
class Distribution:
    """One family. module, rebuild, headers, nvidia: commands that install v4l2loopback (again), or what it says."""

    module: str
    rebuild: str
    headers: str
    nvidia: str


_FAMILIES = {
    "ubuntu": Distribution(
        "sudo apt install v4l2loopback-dkms linux-headers-{release}",
        "sudo apt install --reinstall v4l2loopback-dkms",
        "sudo apt install linux-headers-{release}",
        "sudo ubuntu-drivers install",
    ),
    "debian": Distribution(
        "sudo apt install v4l2loopback-dkms linux-headers-{release}",
        "sudo apt install --reinstall v4l2loopback-dkms",
        "sudo apt install linux-headers-{release}",
        "sudo apt install nvidia-driver",
    ),
    "fedora": Distribution(
        "sudo dnf install akmod-v4l2loopback kernel-devel-{release}",
        "sudo akmods --force --rebuild --akmod v4l2loopback",
        "sudo dnf install kernel-devel-{release}",
        "sudo dnf install akmod-nvidia xorg-x11-drv-nvidia-cuda",
    ),
    "arch": Distribution(
        "sudo pacman -S v4l2loopback-dkms linux-headers",
        "sudo pacman -S v4l2loopback-dkms",
        "sudo pacman -S linux-headers",
        "sudo pacman -S nvidia-open-dkms",
    ),
    "suse": Distribution(
        "sudo zypper install v4l2loopback-kmp-default",
        "sudo zypper install --force v4l2loopback-kmp-default",
        "sudo zypper install kernel-default-devel",
        "sudo zypper install nvidia-open-driver-G06-signed-kmp-default",
    ),
}
_UNKNOWN = Distribution(
    "install v4l2loopback for Linux {release}, as your system does it",
    "build v4l2loopback anew, and sign it, as your system does it",
    "install the headers of Linux {release}, as your system does it",
    "install NVIDIA's driver, as your system does it",
)


def distribution(machine: Machine) -> Distribution:
    """The family that /etc/os-release names, or one that only says what to do."""
    fields = os_release(machine.text("/etc/os-release") or "")
    names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    found = next((_FAMILIES[name] for name in names if name in _FAMILIES), None)
    if found is None and any("suse" in name for name in names):
        found = _FAMILIES["suse"]
    family, release = found or _UNKNOWN, machine.release
    return Distribution(*(text.format(release=release) for text in astuple(family)))


def system_name(machine: Machine) -> str:
    """ "Debian GNU/Linux 12 (bookworm)"; "Linux" where it has no name."""
    return os_release(machine.text("/etc/os-release") or "").get("PRETTY_NAME", "Linux")


def os_release(text: str) -> dict[str, str]:
    """Read os-release(5): lines of KEY=VALUE, quoted as for a shell; what is not such a line is passed over."""
    fields = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and key.strip().isidentifier():
            try:
                fields[key.strip()] = " ".join(shlex.split(value))
            except ValueError:  # a quote that does not end
                fields[key.strip()] = value.strip("\"'")
    return fields
