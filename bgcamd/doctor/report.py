"""What goes into a report: texts, each without what is nobody's business, packed into one file. Never a picture."""

from __future__ import annotations

import gzip
import io
import json
import os
import platform
import tarfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import click

from bgcamd import __version__
from bgcamd.atomic import replacing
from bgcamd.doctor.distribution import system_name
from bgcamd.doctor.examine import Diagnosis
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.page import diagnosis_page
from bgcamd.doctor.redaction import Redaction
from bgcamd.toml_file import find

PACKAGES = (
    *("aiortc", "av", "click", "cuda-bindings", "cuda-python", "flatbuffers", "numpy", "nvidia-cuda-nvrtc", "onnx"),
    *("onnxruntime", "opencv-python", "opencv-python-headless", "pillow", "pygame-ce", "pyvirtualcam"),
    *("systemd-python", "tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx", "tensorrt-rtx-cu13", "tflite"),
)
"""Those that bgcamd's work depends on."""
_MOST_LINES = 3000
_MOST_BYTES = 1 << 20
_WIDTH = 100


def gather(machine: Machine, diagnosis: Diagnosis) -> dict[str, str]:
    """The report's files, by name, redacted. What could not be had says so in its place."""
    redact = redaction_for(machine)
    texts = {
        "doctor.txt": redact(click.unstyle(diagnosis_page(diagnosis, _WIDTH))),
        "doctor.json": json.dumps(redact.within(diagnosis.as_dict()), indent=2, ensure_ascii=False),
        "status.json": json.dumps(redact.within(_status(machine)), indent=2, ensure_ascii=False),
        "settings.toml": redact(_settings(machine)),
        "versions.txt": redact("\n".join(_versions(machine))),
        "log.txt": redact(_log(machine)),
    }
    return {name: text.rstrip("\n") + "\n" for name, text in texts.items()}


def redaction_for(machine: Machine) -> Redaction:
    """Who and where we are, and the secrets of this user's daemon."""
    person = machine.person()
    name = person.name if person else ""
    users = {name, *(os.environ.get(key, "") for key in ("USER", "LOGNAME", "SUDO_USER"))} - {""}
    node = machine.text("/proc/sys/kernel/hostname") or ""
    hosts = {node, node.partition(".")[0], machine.text("/etc/hostname") or ""} - {""}
    homes = {str(Path.home())} - {"/"}
    secret = _secret(machine.state / "secret")
    return Redaction(frozenset(users), frozenset(hosts), frozenset(homes), frozenset({secret} if secret else ()))


def _secret(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _status(machine: Machine) -> Mapping[str, object]:
    daemon = machine.daemon
    if daemon.state != "answers":
        return {"daemon": daemon.state, "error": daemon.error.message if daemon.error else ""}
    status = dict(daemon.status)
    if isinstance(scene := status.get("scene"), Mapping) and scene.get("name"):
        status["scene"] = {**scene, "name": "(a name)"}
    return status


def _settings(machine: Machine) -> str:
    """The file as it is, comments left out: who knows what is written there."""
    file = find(machine.config, machine.name)
    if file is None:
        return "# there is no settings file"
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"# {file} can't be read: {error.strerror}"
    return "\n".join([f"# {file}", *(line for line in lines if line.strip() and not line.lstrip().startswith("#"))])


def _versions(machine: Machine) -> Iterator[str]:
    machine_kind = platform.uname().machine
    yield f"bgcamd {__version__}"
    yield f"Python {platform.python_version()}"
    yield f"{system_name(machine)}, Linux {machine.release} {machine_kind}" + (
        f", in a container ({machine.container})" if machine.container else ""
    )
    yield from _hardware(machine)
    for package in PACKAGES:
        try:
            yield f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue


def _hardware(machine: Machine) -> Iterator[str]:
    cpus = [
        line.partition(":")[2].strip() for line in _lines(machine, "/proc/cpuinfo") if line.startswith("model name")
    ]
    yield f"{len(cpus) or os.cpu_count()} × {cpus[0] if cpus else platform.processor() or 'a CPU'}"
    yield from (line for line in _lines(machine, "/proc/meminfo") if line.startswith("MemTotal"))
    yield from _lines(machine, "/proc/driver/nvidia/version")


def _lines(machine: Machine, path: str) -> list[str]:
    try:
        return (machine.text(path) or "").splitlines()
    except OSError:
        return []


def _log(machine: Machine) -> str:
    """The journal of the last hour, of the system's service and of this user's own."""
    unit = machine.unit.name.removesuffix(".service")
    common = ("--since=-1h", "--no-pager", "--quiet", "--output=short-iso", f"--lines={_MOST_LINES}")
    parts = []
    for whose in ((), ("--user",)):
        answer = machine.run("journalctl", *whose, "--unit", unit, *common)
        if answer is not None and answer.code == 0 and answer.text:
            parts.append(answer.text[-_MOST_BYTES:])
    return "\n".join(parts) or (
        "The journal holds nothing of bgcamd in the last hour that this user may read.\n"
        "What runs in a terminal logs there. Members of the group systemd-journal, and root, may read all."
    )


def pack(files: Mapping[str, str], target: Path, folder: str, time_s: int) -> int:
    """Write the files as a .tar.gz that holds one ``folder``, whole or not at all; return its size in bytes.

    time_s: when they are said to have been made. Raises OutputError, also where ``target`` is there.
    """
    with replacing(target, overwrite=False) as part:
        part.write_bytes(gzip.compress(_tar(files, folder, time_s), mtime=time_s))
        return part.stat().st_size


def _tar(files: Mapping[str, str], folder: str, time_s: int) -> bytes:
    """Users and groups are not named in it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), time_s, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()
