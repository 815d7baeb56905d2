"""The daemon as a program: start, rate, age of frames, CPU, memory, the client's time, and what ``set`` costs.

python tests/bench/daemon.py [--seconds N] [--runs N]
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from measuring import HD, held, resident_mb, show, spread, write_clip, write_picture

from bgcamd.errors import ControlError
from bgcamd.frame import Size
from bgcamd.paths import models_folder
from bgcamd.service.client import Client

HERE = Path(__file__).resolve().parent
LARGE = Size(4000, 3000)


class Desk:
    """A home for daemons, with a clip for a camera."""

    def __init__(self, home: Path) -> None:
        self.socket, self.times, self.log = home / "bgcamd.sock", home / "times.npy", home / "bgcamd.log"
        self.clip = write_clip(home / "camera.mp4", HD, 600)
        self.pictures = [write_picture(home / f"{number}.jpg", LARGE) for number in range(2)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "BGCAMD_"))}
        self.environment = {
            **kept,
            "HOME": str(home),
            "BGCAMD_MODELS": str(models_folder()),
            "BGCAMD_SOCKET": str(self.socket),
            "XDG_RUNTIME_DIR": str(home),
        }

    @contextmanager
    def daemon(self, *options: str) -> Iterator[int]:
        """A daemon that has shown its first live frame; gives its process id."""
        words = ["--camera", self.clip, "--output", "null:", "--socket", self.socket, *options]
        command = [sys.executable, HERE / "timed_daemon.py", self.times, *words]
        with self.log.open("wb") as log:
            started = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            while not self.frames():
                if started.poll() is not None:
                    raise click.ClickException(f"bgcamd ended by itself:\n{self.log.read_text()}")
                time.sleep(0.005)
            yield started.pid
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(20)

    def ask(self, method: str, *parameters: Any) -> dict[str, Any]:
        """One call, as ``bgcam`` makes it."""
        with Client(self.socket) as client:
            reply, fds = client.call(f"org.bgcam.{method}", *parameters, timeout_s=30)
            fds.close()
            return reply

    def frames(self) -> int:
        """How many live frames were written; 0 before the socket answers."""
        try:
            return int(self.ask("GetStatus")["status"]["frames"])
        except ControlError:
            return 0

    def gaps_ms(self) -> np.ndarray:
        """From each frame written by the last daemon to the next, without those of its first second."""
        times = np.load(self.times)
        return np.diff(times[times > times[0] + 1_000_000_000]) / 1e6

    def ages_ms(self) -> np.ndarray:
        """How old each live frame of the last daemon was when it had been written, but for its first second."""
        return np.load(self.times.with_suffix(".ages.npy"))[30:] / 1e6


@click.command()
@click.option("--seconds", default=60, show_default=True, help="How long the daemon runs in its steady state.")
@click.option("--runs", default=7, show_default=True, help="Of what is short.")
def main(seconds: int, runs: int) -> None:
    """Measure, and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        show_start(desk, runs)
        show_steady(desk, seconds)
        show_loaded(desk, seconds)
        show_client(desk, runs)
        show_changes(desk, 10)


def show_start(desk: Desk, runs: int) -> None:
    """From the start of the program to the first live frame, with a picture for a background."""
    took = []
    for _ in range(runs):
        before = time.monotonic()
        with desk.daemon("--replace", str(desk.pictures[0])):
            took.append(time.monotonic() - before)
    show("start to first live picture", ("", f"s, of {runs}"), [("bgcamd --replace 12-Mpixel.jpg", spread(took))])


def show_steady(desk: Desk, seconds: int) -> None:
    """Nothing happens but frames."""
    rows = []
    for name, options in (("picture", ["--replace", str(desk.pictures[0])]), ("blur", ["--blur"])):
        with desk.daemon(*options) as pid:
            time.sleep(5)
            first, cpu, frames, start = resident_mb(pid), _cpu_s(pid), desk.frames(), time.monotonic()
            time.sleep(seconds)
            status, span = desk.ask("GetStatus")["status"], time.monotonic() - start
            busy, memory = (_cpu_s(pid) - cpu) / span, (first, resident_mb(pid), resident_mb(pid, "VmHWM"))
            fds, threads = held(pid)
        age, done = status["age_ms"], status["frames"] - frames
        rows.append(
            (
                name,
                f"{done / span:.2f}",
                status["dropped"],
                f"{age['p50']:.1f} / {age['p95']:.1f}",
                f"{np.percentile(desk.gaps_ms(), 99):.1f} / {desk.gaps_ms().max():.1f}",
                f"{busy * 100:.0f} %",
                " / ".join(f"{each:.0f}" for each in memory),
                f"{fds} / {threads}",
            )
        )
    head = (
        "background",
        "fps",
        "dropped",
        "age ms p50/p95",
        "gap ms p99/max",
        "CPU of a core",
        "RSS MB 5 s/end/most",
        "fds/threads",
    )
    show(f"steady state: a {HD} clip of 30 fps for a camera, {seconds} s", head, rows)


def show_loaded(desk: Desk, seconds: int) -> None:
    """Other programs want every core all the time, at the same priority."""
    rows = []
    for burners in (0, os.cpu_count() or 1, 2 * (os.cpu_count() or 1)):
        with desk.daemon("--replace", str(desk.pictures[0])), _busy(burners):
            time.sleep(seconds)
            dropped = desk.ask("GetStatus")["status"]["dropped"]
        ages, gaps = desk.ages_ms(), desk.gaps_ms()
        percentiles = " / ".join(f"{np.percentile(ages, share):.1f}" for share in (50, 95, 99))
        rows.append((burners, len(ages), dropped, percentiles, f"{ages.max():.1f}", f"{np.percentile(gaps, 99):.1f}"))
    head = ("busy processes", "frames", "dropped", "age ms p50/p95/p99", "age ms max", "gap ms p99")
    show(f"age at the write with {os.cpu_count()} cores busy, {HD} at 30 fps, {seconds} s", head, rows)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """So many processes that do nothing else than to compute."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def show_client(desk: Desk, runs: int) -> None:
    """``bgcam status`` as a program, while the daemon works."""
    bgcam = [sys.executable, "-c", "from bgcamd.cli import main; main()", "status"]
    bare = [sys.executable, "-c", "pass"]
    took: dict[str, list[tuple[float, float]]] = {"bgcam status": [], "python -c pass": []}
    with desk.daemon():
        for _ in range(runs):
            for name, command in zip(took, (bgcam, bare), strict=True):
                wall, cpu = time.monotonic(), _children_cpu_s()
                subprocess.run(command, env=desk.environment, stdout=subprocess.DEVNULL, check=True)
                took[name].append((time.monotonic() - wall, _children_cpu_s() - cpu))
    rows = [
        (name, spread((wall * 1e3 for wall, _ in times), 0), spread((cpu * 1e3 for _, cpu in times), 0))
        for name, times in took.items()
    ]
    show("the client", ("", f"wall ms, of {runs}", "CPU ms"), rows)


def show_changes(desk: Desk, seconds: int) -> None:
    """Another 12-Mpixel picture every 100 ms, or as soon as the one before is live."""
    rows = []
    for name, changing in (("no change", False), ("a picture every 100 ms", True)):
        answers = []
        with desk.daemon("--replace", str(desk.pictures[0])):
            time.sleep(2)
            end = time.monotonic() + seconds
            for picture in itertools.cycle(desk.pictures):
                before = time.monotonic()
                if before > end:
                    break
                if changing:
                    _set(desk, picture)
                    answers.append((time.monotonic() - before) * 1e3)
                time.sleep(max(0.0, before + 0.1 - time.monotonic()))
            dropped = desk.ask("GetStatus")["status"]["dropped"]
        gaps = desk.gaps_ms()
        told = spread(answers, 0) if answers else ""
        rows.append(
            (
                name,
                len(answers),
                told,
                f"{np.median(gaps):.1f} / {np.percentile(gaps, 99):.1f} / {gaps.max():.1f}",
                dropped,
            )
        )
    head = ("", "changes", "answered after ms", "gap between frames ms p50/p99/max", "dropped")
    show(f"what `bgcam set --replace` of a {LARGE} JPEG costs the live picture, {seconds} s", head, rows)


def _set(desk: Desk, picture: Path) -> None:
    with picture.open("rb") as file, Client(desk.socket) as client:
        call = {"replace": 0, "name": picture.name}
        client.call("org.bgcam.Set", call, [file.fileno()], timeout_s=30)[1].close()


def _cpu_s(pid: int) -> float:
    """User and system time of a process, s (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
