"""The guest: boot it, run commands in it, end it. What ``tests/e2e/rig`` made is its kernel and its disk."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

MEMORY_MB = 3072
BOOT_S = 60.0
POLL_S = 0.02


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit status, and what it wrote to stdout and stderr."""

    status: int
    output: str


class GuestError(AssertionError):
    """A command in the guest ended with another status than 0, or not in time."""


@dataclass
class Guest:
    """A running guest. ``share`` is a folder that both see; in the guest it is /share."""

    share: Path
    console: Path
    process: subprocess.Popen[bytes]
    _number: Iterator[int] = field(default_factory=count)

    def run(self, script: str, *, user: str = "root", timeout: float = 60) -> str:
        """Run a script in bash and return what it wrote. Raises GuestError."""
        done = self.call(script, user=user, timeout=timeout)
        if done.status != 0:
            raise GuestError(f"{script}\nended with {done.status}:\n{done.output}")
        return done.output

    def call(self, script: str, *, user: str = "root", timeout: float = 60) -> Done:
        """Run a script in bash, however it ends. Raises GuestError when it takes too long."""
        return self.finish(self.start(script, user=user), timeout=timeout)

    def start(self, script: str, *, user: str = "root") -> Path:
        """Start a script in bash and return at once what ``finish`` wants."""
        job = self.share / "jobs" / str(next(self._number))
        job.with_suffix(".new").write_text(script if user == "root" else _as(user, script))
        job.with_suffix(".new").rename(job.with_suffix(".job"))
        return job

    def finish(self, job: Path, *, timeout: float = 60) -> Done:
        """Wait for the end of what ``start`` started. Raises GuestError when it takes too long."""
        end = time.monotonic() + timeout
        while not job.with_suffix(".status").exists():
            if self.process.poll() is not None or time.monotonic() > end:
                script = _text(job.with_suffix(".running"))
                raise GuestError(f"{script}\nnot done after {timeout:.0f} s:\n{_text(job.with_suffix('.output'))}")
            time.sleep(POLL_S)
        return Done(int(job.with_suffix(".status").read_text()), _text(job.with_suffix(".output")))

    @contextmanager
    def background(self, name: str, command: str, *, user: str = "root") -> Iterator[None]:
        """Run a command beside the others, as the transient unit ``name``, until the block ends."""
        self.run(f"systemd-run --quiet --collect --unit={name} --uid={user} {command}")
        try:
            yield
        finally:
            self.call(f"systemctl stop {name}")

    def clock(self) -> float:
        """The guest's monotonic clock, in seconds; the clock of ``looks.Looks``."""
        return float(self.run("cut -d' ' -f1 /proc/uptime"))

    def wait_for(self, script: str, *, timeout: float = 30) -> str:
        """Run a script again and again until it ends with 0; return what it wrote then. Raises GuestError."""
        end = time.monotonic() + timeout
        while (done := self.call(script)).status != 0:
            if time.monotonic() > end:
                raise GuestError(f"{script}\nstill ends with {done.status} after {timeout:.0f} s:\n{done.output}")
        return done.output


@contextmanager
def booted(rig: Path) -> Iterator[Guest]:
    """Boot a fresh guest in the folder of the rig; what it writes to its disk is forgotten at the end."""
    here = rig / "run"
    shutil.rmtree(here, ignore_errors=True)
    share = here / "share"
    (share / "jobs").mkdir(parents=True)
    share.chmod(0o777)  # everybody in the guest may write there
    console = here / "console.log"
    with console.open("wb") as log:
        process = subprocess.Popen(
            _command(rig, here),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(here),
            process_group=0,
        )
    try:
        guest = Guest(share, console, process)
        _await_agent(guest)
        yield guest
        _power_off(guest)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (here / "disk.changes").unlink(missing_ok=True)


def _command(rig: Path, here: Path) -> list[str]:
    disk = f"ubd0={here}/disk.changes,{rig}/disk"
    machine = [f"mem={MEMORY_MB}M", "seccomp=on", f"ncpus={min(os.cpu_count() or 1, 4)}"]
    folders = [f"uml_dir={here}", f"share={here}/share"]
    console = ["con=null", "con0=null,fd:1", "loglevel=4"]
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"]
    return [
        *dies_with_us,
        str(rig / "linux"),
        *machine,
        disk,
        "root=/dev/ubda",
        "rw",
        "fsck.mode=skip",
        *folders,
        *console,
    ]


def _environment(here: Path) -> dict[str, str]:
    """The guest's memory is a file in TMPDIR: in memory, where there is room for it (in a container, often not)."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_MB << 20
    return os.environ | {"TMPDIR": str(memory if roomy else here)}


def _await_agent(guest: Guest) -> None:
    end = time.monotonic() + BOOT_S
    while not (guest.share / "jobs" / "up").exists():
        if guest.process.poll() is not None or time.monotonic() > end:
            raise GuestError(f"the guest did not come up:\n{_text(guest.console)[-3000:]}")
        time.sleep(POLL_S)


def _power_off(guest: Guest) -> None:
    with suppress(GuestError):
        guest.call("systemctl --no-block poweroff", timeout=10)
    with suppress(subprocess.TimeoutExpired):
        guest.process.wait(20)


def _as(user: str, script: str) -> str:
    """The script as another user, with the session that PipeWire and ``systemctl --user`` want."""
    return (
        f"cd ~{user}; exec runuser -u {user} -- env HOME=$PWD XDG_RUNTIME_DIR=/run/user/$(id -u {user}) "
        f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u {user})/bus bash -c {shlex.quote(script)}"
    )


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""
