"""Secure Boot: whether this kernel takes only signed modules, and whether v4l2loopback is one that it would take."""

from __future__ import annotations

from bgcamd.doctor.distribution import distribution
from bgcamd.doctor.finding import Finding, broken
from bgcamd.doctor.machine import Machine

_VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_KEYS = ("/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub")
"""Where Ubuntu and DKMS keep the key that they sign modules of this machine with."""


def only_signed(machine: Machine) -> bool:
    """Whether the kernel refuses a module without a signature that it knows."""
    if machine.text("/sys/module/module/parameters/sig_enforce") == "Y":
        return True
    if lockdown := _lockdown(machine):
        return lockdown != "none"
    return secure_boot(machine)


def secure_boot(machine: Machine) -> bool:
    """Whether the firmware says so: four bytes of attributes, then 1."""
    return (machine.data(_VARIABLE) or b"")[4:5] == b"\1"


def check_signature(machine: Machine) -> Finding | None:
    """What hinders a module that is there, and not loaded; None where it is not its signature."""
    if not only_signed(machine):
        return None
    why = "Secure Boot is on" if secure_boot(machine) else "This kernel is locked down"
    key = next((key for key in _KEYS if machine.exists(key)), None)
    signer = machine.run("modinfo", "-F", "signer", "v4l2loopback")
    if signer is None:
        return None
    facts = {"secure_boot": secure_boot(machine), "signer": signer.text}
    if not signer.text:
        return broken(
            check="module.signature",
            what="v4l2loopback is not signed, and this kernel takes only what is",
            means=f"{why}. Built anew, the module is signed with a key of this machine; Secure Boot has to be told of "
            "that key once, at the next start.",
            cure=distribution(machine).rebuild,
            facts=facts,
        )
    if key is not None and _not_enrolled(machine, key):
        return broken(
            check="module.signature",
            what="v4l2loopback is signed with a key that Secure Boot does not know",
            means=f'{why}. The key\'s password is asked for once, at the next start, under "Enroll MOK".',
            cure=f"sudo mokutil --import {key} && sudo reboot",
            facts=facts,
        )
    return None


def _not_enrolled(machine: Machine, key: str) -> bool:
    answer = machine.run("mokutil", "--test-key", key)
    return answer is not None and "is not enrolled" in answer.text


def _lockdown(machine: Machine) -> str:
    """The mode in brackets of "none [integrity] confidentiality"; "" where it is not told."""
    try:
        text = machine.text("/sys/kernel/security/lockdown") or ""
    except OSError:  # some let only root look
        return ""
    return text.partition("[")[2].partition("]")[0]
