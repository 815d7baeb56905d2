"""The daemon: whether it answers, who may ask it, and what systemd says of it."""

from __future__ import annotations

from collections.abc import Iterator

from bgcamd import __version__
from bgcamd.doctor.contact import Contact
from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.units import Unit
from bgcamd.doctor.virtual import start
from bgcamd.paths import service_socket, user_socket


def check_service(machine: Machine) -> Iterator[Finding]:
    """Look at systemd's unit, where there is one."""
    unit = machine.unit
    if unit.properties is None:
        yield ok(check="service.state", what="systemd does not run here: bgcamd is a program as any other")
    elif not unit.installed:
        yield ok(check="service.state", what=f"{unit.name} is not installed: bgcamd is a program as any other")
    elif unit["ActiveState"] == "failed":
        yield _failed(machine, unit)
    elif unit.active:
        restarts = unit["NRestarts"]
        often = f"; it was started again {restarts} times" if restarts not in {"", "0"} else ""
        at_boot = "" if _enabled(unit) else "; not at boot"
        facts = {"unit": unit.name, "pid": unit["MainPID"], "restarts": restarts}
        yield ok(check="service.state", what=f"{unit.name} runs{at_boot}{often}", facts=facts)
    else:
        cure = f"sudo systemctl {'start' if _enabled(unit) else 'enable --now'} {unit.name.removesuffix('.service')}"
        yield note(check="service.state", what=f"{unit.name} is installed, and does not run", cure=cure)


def _enabled(unit: Unit) -> bool:
    return unit["UnitFileState"] in {"enabled", "enabled-runtime", "static"}


def _failed(machine: Machine, unit: Unit) -> Finding:
    answer = machine.run("journalctl", "--unit", unit.name, "--lines", "1", "--output", "cat", "--no-pager", "--quiet")
    last = answer.text.strip().rpartition("\n")[2] if answer is not None and answer.code == 0 else ""
    said = unit["StatusText"] or last
    name = unit.name.removesuffix(".service")
    often = unit["Result"] == "start-limit-hit"
    return broken(
        check="service.state",
        what=f"{unit.name} has failed ({unit['Result']}, exit code {unit['ExecMainStatus']})",
        means=f"It said: {said}" if said else "Its log says why: journalctl -u " + name,
        cure=f"sudo systemctl {'reset-failed' if often else 'restart'} {name}"
        + (f" && sudo systemctl restart {name}" if often else ""),
        facts={"unit": unit.name, "result": unit["Result"], "last": said},
    )


def check_daemon(machine: Machine) -> Iterator[Finding]:
    """Talk to the daemon."""
    daemon = machine.daemon
    if daemon.state == "answers":
        yield from _answers(machine, daemon)
    else:
        yield _unheard(machine, daemon)
    if (
        machine.socket is None
        and machine.unit.active
        and daemon.socket == user_socket(machine.name) != service_socket(machine.name)
    ):
        yield note(
            check="daemon.second",
            what="a daemon of yours is there beside the system's service",
            means="Only one can have the camera and the virtual one. bgcam talks to yours.",
            cure="bgcam stop",
        )


def _unheard(machine: Machine, daemon: Contact) -> Finding:
    message = daemon.error.message if daemon.error else ""
    facts = {"socket": str(daemon.socket), "pid": daemon.pid}
    match daemon.state:
        case "asleep":
            what = f"nobody runs; who asks on {daemon.socket} starts the service"
            return ok(check="daemon.answers", what=what, facts=facts)
        case "absent":
            means = "No app gets a picture from it."
            return note(check="daemon.answers", what=message, means=means, cure=start(machine), facts=facts)
        case "denied":
            hint = daemon.error.hint.replace("`", "") if daemon.error else ""
            cure = hint.removeprefix("join its group: ")
            means = who_may(machine, daemon)
            return broken(check="daemon.answers", what=message, means=means, cure=cure, facts=facts)
    means, cure = _stuck(machine, daemon)
    return broken(check="daemon.answers", what=message, means=means, cure=cure, facts=facts)


def _stuck(machine: Machine, daemon: Contact) -> tuple[str, str]:
    """What it does instead of answering, and what ends that."""
    pid = daemon.pid or machine.unit["MainPID"]
    match process_state(machine.text(f"/proc/{pid}/stat") or ""):
        case "T":
            return "It was stopped, by Ctrl-Z for one.", f"kill -CONT {pid}"
        case "D":
            return "It waits for the kernel, where a device or its driver hangs.", "unplug the camera, or: sudo reboot"
    return "It hangs. Ended so, it leaves in its log where each of its threads was.", _end(machine, daemon)


def process_state(text: str) -> str:
    """The letter of /proc/PID/stat, "R", "S", "T" …, which comes after the name in brackets; "" where there is none."""
    return text.rpartition(")")[2].strip()[:1] if ")" in text else ""


def _end(machine: Machine, daemon: Contact) -> str:
    if machine.unit.active and daemon.socket == service_socket(machine.name):
        return f"sudo systemctl kill --signal=ABRT {machine.unit.name.removesuffix('.service')}"
    return f"kill -ABRT {daemon.pid}" if daemon.pid else "restart bgcamd"


def _answers(machine: Machine, daemon: Contact) -> Iterator[Finding]:
    state, version = daemon.said("state"), daemon.said("version")
    facts = {"socket": str(daemon.socket), "pid": daemon.pid, "state": state, "version": version}
    what = f"bgcamd {version} answers on {daemon.socket}: {state}"
    yield ok(check="daemon.answers", what=what, means=who_may(machine, daemon), facts=facts)
    if version != __version__:
        yield note(
            check="daemon.version",
            what=f"the daemon is {version}, this bgcam {__version__}",
            means="It was upgraded while it ran, or there are two installed.",
            cure="sudo systemctl restart bgcamd" if machine.unit.active else "bgcam stop, then start bgcamd",
        )
    problems = daemon.status.get("problems")
    for problem in problems if isinstance(problems, list) else []:
        message, _, hint = str(problem).partition(" (")
        yield broken(check="daemon.problem", what=message, means="The daemon says so.", cure=hint.removesuffix(")"))


def who_may(machine: Machine, daemon: Contact) -> str:
    """Who may talk to it, by its socket: "Its owner bgcamd, the group video and root may talk to it."."""
    socket = machine.path(daemon.socket)
    try:
        owner, group, mode = machine.owner(daemon.socket) if socket.exists() else ("", "", 0)
    except OSError:
        return ""
    if not owner:
        return ""
    if mode & 0o002:
        return "Everybody may talk to it."
    those = [owner] + ([f"the group {group}"] if mode & 0o020 else []) + (["root"] if owner != "root" else [])
    return f"{_listed(those)} may talk to it.".capitalize() if owner == "root" else f"{_listed(those)} may talk to it."


def _listed(words: list[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else f"Only {last}"
