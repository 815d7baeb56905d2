"""CPU a frame against the pipeline that such tools usually have, both on the same frames and one core.

python tests/bench/against_peer.py [--rounds N] [--frames N]

Makes .venv-peer with mediapipe 0.10.21 when it is missing (1 GB; needs Python 3.9 to 3.12).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from measuring import HD, as_sent, demo_frames, show, spread, write_picture

from bgcamd.frame import PixelFormat

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / ".venv-peer"
PEER = "mediapipe==0.10.21"
WAYS = ("usual", "careful")
QUALITIES = ("low", "medium", "high")
DISTINCT = 60


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How often each is measured, in turn.")
@click.option("--frames", default=200, show_default=True, help="In each measurement.")
def main(rounds: int, frames: int) -> None:
    """Measure bgcamd and the peer in turn, and print the ratio of the medians."""
    python = peer_python()
    if python is None:
        return
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # and of all that is started from here: one core, however many threads
    with tempfile.TemporaryDirectory() as folder:
        sent, picture = Path(folder) / "frames.npy", write_picture(Path(folder) / "picture.png", HD)
        np.save(sent, np.stack([as_sent(each, PixelFormat.YUYV).planes[0] for each in demo_frames(HD, DISTINCT)]))
        ours: dict[str, list[float]] = {quality: [] for quality in QUALITIES}
        theirs: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for quality in QUALITIES:
                ours[quality].append(_ours(frames, picture, quality))
            for way in WAYS:
                theirs[way].append(float(_said([python, HERE / "peer.py", sent, picture, way, frames])))
    rows = [(f"bgcamd, {quality}", spread(ours[quality]), *["–"] * len(QUALITIES)) for quality in QUALITIES]
    rows += [
        (f"{PEER}, {way}", spread(theirs[way]), *(_ratios(theirs[way], ours[q]) for q in QUALITIES)) for way in WAYS
    ]
    title = f"ms of CPU a frame, {HD} YUYV to I420 before a picture, selfie 256x256, all threads on core {core}"
    show(
        f"{title}: median (min..max) of {rounds} rounds of {frames} frames",
        ("", "CPU a frame", *(f"times {quality}" for quality in QUALITIES)),
        rows,
    )


def peer_python() -> Path | None:
    """The Python of .venv-peer, made when it is missing; None, and a line that says why, where it can't be."""
    python = VENV / "bin" / "python"
    if (VENV / ".installed").exists():
        return python
    base = next((each for each in ("python3.12", "python3.11", "python3.10", "python3.9") if _runs(each)), None)
    if base is None:
        click.echo(f"\nagainst the peer: not measured, since {PEER} needs Python 3.9 to 3.12, and none is here")
        return None
    click.echo(f"Installing {PEER} into {VENV.name} (once, 1 GB) …")
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.run([base, "-m", "venv", VENV], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER], check=True)
    (VENV / ".installed").touch()
    return python


def _runs(python: str) -> bool:
    """Whether it is there and can make a venv."""
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


def _ours(frames: int, picture: Path, quality: str) -> float:
    bgcam = [sys.executable, "-c", "from bgcamd.cli import main; main()"]
    said = _said(
        [*bgcam, "bench", "--json", "--size", str(HD), "--frames", frames, "--replace", picture, "--quality", quality]
    )
    return float(json.loads(said)["cpu_ms_per_frame"])


def _said(command: Sequence[object]) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _ratios(theirs: list[float], ours: list[float]) -> str:
    """Round by round: the two of one round ran within seconds of each other."""
    return spread(their / our for their, our in zip(theirs, ours, strict=True))


if __name__ == "__main__":
    main()
