"""bgcam doctor, devices and report on a real kernel: what they say is true there, and the cure cures."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Say
from guest import Done, Guest
from looks import watching
from service import Service

RATE = 30


@pytest.fixture
def daemon(guest: Guest, service: Service, vivid: str) -> Service:
    """bgcamd with vivid; enabled, as a user would have it."""
    guest.run("systemctl --quiet enable bgcamd")
    service.start(camera={"address": vivid}, scene={"blur": 50})
    return service


def doctor(guest: Guest, user: str, options: str = "") -> tuple[int, dict[str, Any]]:
    """Its exit status, and what it found."""
    done: Done = guest.call(f"bgcam doctor --json {options}", user=user)
    return done.status, json.loads(done.output)


def findings(diagnosis: dict[str, Any], *levels: str) -> dict[str, dict[str, Any]]:
    """By check: those of some levels."""
    return {each["check"]: each for each in diagnosis["findings"] if each["level"] in levels}


def test_a_service_that_runs_is_healthy_for_its_user_and_for_root(guest: Guest, daemon: Service, say: Say) -> None:
    for user, worth_knowing in {"desk": {"models.missing"}, "root": set()}.items():
        status, diagnosis = doctor(guest, user)
        say(f"{user}: exit code {status}, {diagnosis['counts']} in {diagnosis['took_s']} s")
        assert (status, diagnosis["healthy"]) == (0, True)
        assert set(findings(diagnosis, "note", "broken")) == worth_knowing
        fine = findings(diagnosis, "ok")
        assert "/dev/video10" in fine["virtual.device"]["what"]
        assert fine["apps.udev"]["facts"] == {"ID_V4L_CAPABILITIES": ":capture:"}
        assert fine["disk.free"]["facts"]["folder"] == "/var/lib/bgcamd"
        assert "YUYV 1280x720" in fine["camera.formats"]["what"]


def test_it_says_who_shows_the_picture_and_who_has_the_camera(guest: Guest, daemon: Service, say: Say) -> None:
    with watching(guest, seconds=8):
        daemon.wait_for_state("live")
        _, diagnosis = doctor(guest, "root")
    fine = findings(diagnosis, "ok")
    writer, camera, engine = (fine[check] for check in ("virtual.writer", "camera.holder", "engine.works"))
    say(f"{writer['what']}; {camera['what']}; {engine['what']}")
    assert writer["facts"]["readers"] == 1
    assert "systemd" not in writer["what"]
    assert {each["program"] for each in writer["facts"]["holders"]} == {"bgcamd", "watch.py", "systemd"}
    assert [each["program"] for each in camera["facts"]["holders"]] == ["bgcamd"]
    assert engine["facts"]["fps"] > RATE / 3
    assert engine["facts"]["infer_ms"] > 0


def test_it_measures_what_the_camera_really_gives(guest: Guest, daemon: Service, say: Say) -> None:
    daemon.wait_for_state("idle")
    _, diagnosis = doctor(guest, "desk", "--measure")
    measured = findings(diagnosis, "ok", "note")["camera.measured"]
    say(measured["what"])
    assert abs(measured["facts"]["measured_fps"] - RATE) < RATE / 3
    assert "1280x720" in measured["facts"]["mode"]


@pytest.fixture
def unloaded(guest: Guest, daemon: Service) -> Iterator[Service]:
    """The service is stopped, and the module unloaded."""
    guest.run("systemctl stop bgcamd.service bgcamd.socket; udevadm settle")
    guest.wait_for("modprobe -r v4l2loopback")
    yield daemon
    guest.run("modprobe v4l2loopback; systemctl start bgcamd.socket")


def test_a_module_that_is_not_loaded_is_found_and_its_cure_loads_it(guest: Guest, unloaded: Service, say: Say) -> None:
    status, diagnosis = doctor(guest, "root")
    broken = findings(diagnosis, "broken")
    say(f"exit code {status}; {broken['module.loaded']['what']} → {broken['module.loaded']['cure']}")
    assert status == 1
    assert set(broken) == {"module.loaded"}
    guest.run(broken["module.loaded"]["cure"].removeprefix("sudo ") + "; udevadm settle")
    cured = findings(doctor(guest, "root")[1], "ok", "note")
    assert "module.loaded" in cured
    guest.run(cured["service.state"]["cure"].removeprefix("sudo "))
    status, diagnosis = doctor(guest, "root")
    say(f"cured: exit code {status}; {findings(diagnosis, 'ok')['virtual.writer']['what']}")
    assert (status, findings(diagnosis, "note", "broken")) == (0, {})


def test_devices_are_listed_with_who_has_them(guest: Guest, daemon: Service, say: Say) -> None:
    listed = guest.run("bgcam devices", user="desk")
    for line in listed.splitlines():
        say(line)
    assert re.search(r"/dev/video0 +vivid +\[platform:vivid-000\]\n +YUYV +\S+@\d+", listed)
    assert re.search(r"/dev/video10 +Virtual BG Camera +\[.*\]\n +bgcamd writes to it, no app shows it now", listed)


def test_a_report_has_the_log_and_no_picture(guest: Guest, daemon: Service, say: Say) -> None:
    guest.run("install -o desk /share/coral.jpg /home/desk/my-holiday.jpg")
    daemon.bgcam("set --replace=my-holiday.jpg")
    said = guest.run("rm -f /share/report.tar.gz; bgcam report /share/report.tar.gz")
    say(said.splitlines()[0])
    contents = packed(guest.share / "report.tar.gz")
    assert {"doctor.txt", "doctor.json", "status.json", "settings.toml", "versions.txt", "log.txt"} == set(contents)
    assert "Started bgcamd.service" in contents["log.txt"]
    assert json.loads(contents["doctor.json"])["healthy"]
    everything = "\n".join(contents.values())
    assert "holiday" not in everything
    assert "desk" not in everything
    guest.run("rm /share/report.tar.gz")


def packed(archive: Path) -> dict[str, str]:
    """Its files, by name, as text: a picture would be none."""
    with tarfile.open(archive) as files:
        members = [member for member in files.getmembers() if member.isfile()]
        return {
            Path(each.name).name: (files.extractfile(each) or archive.open("rb")).read().decode() for each in members
        }
