"""The GPU: whether there is one, its driver fits its libraries and ours, and who may use it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import metadata

from bgcamd.doctor.distribution import distribution
from bgcamd.doctor.finding import Finding, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.errors import BgcamError
from bgcamd.matting.engines import Choice, Reason, Way, find_ways
from bgcamd.matting.tensorrt.runtime import title

_NVIDIA = "0x10de"
_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm")
_LIBRARIES = ("/usr/lib/*/libcuda.so.*.*", "/usr/lib64/libcuda.so.*.*", "/usr/lib/libcuda.so.*.*")
_LOADED = "/proc/driver/nvidia/version"

Look = Callable[[Choice], tuple[tuple[Way, ...], tuple[Reason, ...]]]


def check_gpu(machine: Machine, look: Look = find_ways) -> Iterator[Finding]:
    """Look for NVIDIA's GPUs, and whether ours can be used; nothing is built.

    look: in place of asking the driver and the packages.
    """
    loaded = driver_version(machine.text(_LOADED) or "")
    if not loaded and not _on_the_bus(machine) and not any(map(machine.exists, _NODES)):
        yield ok(check="gpu.present", what="no NVIDIA GPU: the CPU does the work")
        return
    if not loaded:
        yield _no_driver(machine)
        return
    library = _library_version(machine)
    facts = {"driver": loaded, "library": library or None}
    if library and library != loaded:
        yield note(
            check="gpu.driver",
            what=f"the GPU's driver in the kernel is {loaded}, its libraries are {library}",
            means="The driver was upgraded: until the next start nothing can use the GPU, and the CPU does the work.",
            cure="sudo reboot",
            facts=facts,
        )
        return
    closed = [node for node in _NODES if machine.exists(node) and not machine.may(node)]
    if closed:
        yield _denied(machine, closed[0])
        return
    yield from _pairing(loaded, look, facts)


def driver_version(text: str) -> str:
    """The version in /proc/driver/nvidia/version, "550.54.14"; "" where it is not told."""
    first = text.partition("\n")[0]
    found = re.search(r"\b(\d{3,4}\.\d+(?:\.\d+)?)\b", first) if "NVRM" in first else None
    return found[1] if found else ""


def _on_the_bus(machine: Machine) -> bool:
    """Whether a display controller (PCI class 03) is NVIDIA's."""
    for path in machine.glob("/sys/bus/pci/devices/*/vendor"):
        folder = path.rpartition("/")[0]
        if machine.text(path) == _NVIDIA and (machine.text(f"{folder}/class") or "").startswith("0x03"):
            return True
    return False


def _no_driver(machine: Machine) -> Finding:
    nouveau = machine.exists("/sys/module/nouveau")
    return note(
        check="gpu.driver",
        what="there is an NVIDIA GPU, and NVIDIA's driver is not loaded: the CPU does the work",
        means="nouveau drives it, which has no CUDA." if nouveau else "Nothing drives it.",
        cure=distribution(machine).nvidia,
    )


def _library_version(machine: Machine) -> str:
    for pattern in _LIBRARIES:
        for path in machine.glob(pattern):
            if found := re.search(r"libcuda\.so\.(\d{3,4}\.\d+(?:\.\d+)?)$", path):
                return found[1]
    return ""


def _denied(machine: Machine, node: str) -> Finding:
    owner, group, mode = machine.owner(node)
    person = machine.person()
    name = person.name if person else "$USER"
    return note(
        check="gpu.access",
        what=f"{name} may not use the GPU: {node} is for {owner} and the group {group}, mode {mode:04o}",
        means="So the CPU does the work.",
        cure=f"sudo usermod -aG {group} {name}, then log in again"
        if group != "root"
        else "sudo nvidia-modprobe -c 0 -u",
    )


def _pairing(loaded: str, look: Look, facts: dict[str, str | None]) -> Iterator[Finding]:
    """Whether driver and packages fit each other."""
    ways, reasons = look("auto")
    if ways:
        way = ways[0]
        card, version = way.driver.card(0), way.driver.version()
        cuda = f"{version // 1000}.{version % 1000 // 10}"
        told = f"{card.name}, driver {loaded} (CUDA {cuda}), {title(way.runtime.name)} {way.runtime.version}"
        yield ok(check="gpu.driver", what=told, facts={**facts, "card": card.name, "cuda": cuda})
        yield from _compiler(version)
        return
    for reason in reasons[:1]:
        yield note(
            check="gpu.packages",
            what=f"there is an NVIDIA GPU (driver {loaded}), and bgcamd can't use it: {reason.error.message}",
            means="So the CPU does the work.",
            cure=_hint(reason.error),
            facts=facts,
        )


def _compiler(driver: int) -> Iterator[Finding]:
    """What NVRTC of a newer CUDA compiles, an older driver may not load."""
    try:
        version = metadata.version("nvidia-cuda-nvrtc")
    except metadata.PackageNotFoundError:
        return
    if int(version.partition(".")[0]) > driver // 1000:
        yield note(
            check="gpu.compiler",
            what=f"kernels are compiled by CUDA {version}, and the driver runs {driver // 1000} at most",
            means="The driver may not load them; then the CPU does the work.",
            cure="update the GPU's driver",
        )


def _hint(error: BgcamError) -> str:
    return error.hint.strip("`")
