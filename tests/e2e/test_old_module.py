"""A module without events, as releases before 0.13 are: who reads is told by its reference count."""

from __future__ import annotations

from conftest import Say
from guest import Guest


def test_the_reference_count_tells_who_reads(guest: Guest, webcam: str, say: Say) -> None:
    guest.run("systemctl stop bgcamd.socket bgcamd.service 'bgcamd@*'")
    said = guest.run("/opt/bgcamd/bin/python /share/inside/old_module.py")
    say(f"without events: {said.strip()}")
    assert said.strip() == "nobody False, probes False, somebody True, gone False"
