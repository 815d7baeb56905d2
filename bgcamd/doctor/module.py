"""The kernel module v4l2loopback: whether it is here, why not, and what is peculiar to its version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bgcamd.doctor.distribution import distribution
from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.signing import check_signature, secure_boot
from bgcamd.video.v4l2.advice import load_module

_LOADED = "/sys/module/v4l2loopback"
RELOAD = "sudo modprobe -r v4l2loopback && {load}"


def is_loaded(machine: Machine) -> bool:
    """Whether the running kernel has it."""
    return machine.exists(_LOADED)


def reload_module(machine: Machine) -> str:
    """The command that unloads it and loads it as it should be; the service, which holds it, is stopped meanwhile."""
    command = RELOAD.format(load=load_module(machine.label))
    return f"sudo systemctl stop bgcamd && {command} && sudo systemctl start bgcamd" if machine.unit.active else command


def check_module(machine: Machine) -> Iterator[Finding]:
    """Look at the module."""
    if is_loaded(machine):
        yield from _loaded(machine)
    else:
        yield _missing(machine)


def _loaded(machine: Machine) -> Iterator[Finding]:
    version = machine.text(f"{_LOADED}/version") or ""
    facts = {"version": version or None, "parameters": _parameters(machine), "secure_boot": secure_boot(machine)}
    told = f"v4l2loopback {version}".rstrip()
    yield ok(check="module.loaded", what=f"{told} is loaded", means=quirks(version), facts=facts)
    on_disk = machine.run("modinfo", "-F", "version", "v4l2loopback")
    if version and on_disk is not None and on_disk.code == 0 and on_disk.text not in ("", version):
        yield note(
            check="module.version",
            what=f"{version} is loaded, and {on_disk.text} is installed",
            means="It was upgraded; the old one runs until it is loaded anew, or the machine is.",
            cure=reload_module(machine),
        )


def quirks(version: str) -> str:
    """What is peculiar to a version of the module, in a line; of one that is not told, nothing."""
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if len(numbers) < 2:
        return ""
    if numbers < (0, 13):
        return (
            "So old a module does not tell who watches: an app that has the device open counts as a viewer, and "
            "bgcamd can't make a device that is missing."
        )
    return "One app at a time can show it; a second one is told that the camera is busy."


def _parameters(machine: Machine) -> dict[str, str]:
    folder = f"{_LOADED}/parameters"
    found = {}
    for path in machine.glob(f"{folder}/*"):
        try:
            found[path.rpartition("/")[2]] = machine.text(path) or ""
        except PermissionError:  # only root may read some
            continue
    return found


def _missing(machine: Machine) -> Finding:
    """Why it is not loaded: the first reason that is true."""
    load = load_module(machine.label)
    if not machine.exists("/proc/modules"):
        return broken(
            check="module.loaded",
            what=f"this kernel, {machine.release}, takes no modules, so no v4l2loopback",
            means="No app can be given a camera here. Pictures, clips, streams and the preview page work.",
            cure="boot a kernel of your distribution's",
        )
    if machine.container:
        return broken(
            check="module.loaded",
            what=f"v4l2loopback is not loaded, and this is a container ({machine.container})",
            means="Its kernel is the host's. This has to be done there; then start the container with the device.",
            cure=load,
        )
    if not _has_it(machine, machine.release):
        return _not_for_this_kernel(machine)
    if machine.text("/proc/sys/kernel/modules_disabled") == "1":
        return broken(
            check="module.loaded",
            what="v4l2loopback is not loaded, and this kernel takes no more modules until it starts again",
            means="kernel.modules_disabled is 1: have it loaded at boot, before that is set.",
            cure="echo v4l2loopback | sudo tee /etc/modules-load.d/v4l2loopback.conf && sudo reboot",
        )
    return check_signature(machine) or broken(
        check="module.loaded",
        what="v4l2loopback is installed, and not loaded",
        means="There is no virtual camera without it.",
        cure=load,
    )


def _not_for_this_kernel(machine: Machine) -> Finding:
    release, commands = machine.release, distribution(machine)
    others = [other for other in _trees(machine) if other != release and _has_it(machine, other)]
    if release not in _trees(machine):
        return broken(
            check="module.kernel",
            what=f"the modules of the kernel that runs, {release}, are gone",
            means="It was upgraded or removed while it ran: the new one runs after a restart." if _trees(machine)
            else "There is no /lib/modules: this kernel was not installed by the system that runs on it.",
            cure="sudo reboot" if _trees(machine) else _then_load(machine, commands.module),
        )  # fmt: skip
    source = others or any(machine.glob("/usr/src/v4l2loopback-*")) or machine.exists("/var/lib/dkms/v4l2loopback")
    if not source:
        return broken(
            check="module.installed",
            what="v4l2loopback is not installed",
            means="It is the kernel's part of every virtual camera.",
            cure=_then_load(machine, commands.module),
        )
    built = f"is there for {', '.join(others)}" if others else "is there in source"
    headers = machine.exists(f"/lib/modules/{release}/build/Makefile")
    return broken(
        check="module.kernel",
        what=f"v4l2loopback {built}, but not for the kernel that runs, {release}",
        means="The module was not built for it yet." if headers
        else "The kernel was upgraded, and its headers are missing: without them the module can't be built for it.",
        cure=_then_load(machine, "sudo dkms autoinstall" if headers else commands.headers),
        facts={"kernel": release, "built_for": others, "headers": headers},
    )  # fmt: skip


def _then_load(machine: Machine, command: str) -> str:
    """The command and what loads the module, in one line; of advice that is no command, itself."""
    return f"{command} && {load_module(machine.label)}" if command.startswith("sudo ") else command


def _trees(machine: Machine) -> list[str]:
    return [path.rpartition("/")[2] for path in machine.glob("/lib/modules/*")]


def _has_it(machine: Machine, release: str) -> bool:
    """Whether a kernel's tree lists the module, or the kernel itself holds it."""
    lists = (machine.text(f"/lib/modules/{release}/{name}") or "" for name in ("modules.dep", "modules.builtin"))
    return any("/v4l2loopback.ko" in f"/{text}" for text in lists)
