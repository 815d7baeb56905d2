"""One wheel from a package index, through ``pip download``, and what its complaints mean.

pip brings the user's mirror, proxy, certificates and configuration with it, and checks the wheel's hash.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bgcamd.errors import ModelError

_POLL_S = 0.1

_CAUSES = (  # what pip's output holds, what failed, what to do; the first that fits
    ("No module named pip", "pip is missing in {python}", "install it: {python} -m ensurepip --upgrade"),
    ("[Errno 28]", "no space left on the disk", "free some space and run it again"),
    ("DO NOT MATCH THE HASHES", "what is {place} has another sha256 than it should", "it was not stored"),
    ("connection broken by", "no connection to the package index", "check network and proxy, or use --find-links"),
    ("No matching distribution", "not found {place}", "check --find-links, or pip's index-url"),
)


def download_wheel(
    requirement: str,
    selectors: Sequence[str],
    folder: Path,
    *,
    find_links: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Bring one wheel into ``folder`` and return its path; pip's own temporary files stay in there, too.

    Parameters
    ----------
    requirement: a line of a requirements file, with its ``--hash``.
    selectors: options of ``pip download`` such as ``--platform=``.
    find_links: take the wheel from this folder and nowhere else.
    progress: is called about ten times a second with the bytes that have come so far.

    Raises
    ------
    ModelError: there is no such wheel, it is another than it should be, or pip failed otherwise.
    """
    if find_links is not None and not find_links.is_dir():
        raise ModelError(f"--find-links: {find_links} is not a folder")
    wanted, log, wheels = folder / "wanted.txt", folder / "pip.log", folder / "wheels"
    wanted.write_text(f"{requirement}\n", encoding="utf-8")
    wheels.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "-r", str(wanted), "-d", str(wheels)]
    command += [*selectors, *(["--no-index", f"--find-links={find_links.resolve()}"] if find_links else [])]
    if _run(command, folder, log, progress) != 0:
        place = f"in {find_links}" if find_links else "in the package index"
        raise _explain(requirement.partition(" ")[0], place, log.read_text(encoding="utf-8", errors="replace"))
    (wheel,) = wheels.iterdir()
    return wheel


def _run(command: list[str], folder: Path, log: Path, progress: Callable[[int], None] | None) -> int:
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                if progress is not None:
                    progress(_largest(folder))
                time.sleep(_POLL_S)
        except BaseException:
            pip.kill()
            raise
    return pip.returncode


def _largest(folder: Path) -> int:
    """The size of the largest file: the wheel, as far as it has come, wherever pip keeps it meanwhile."""
    largest = 0
    for file in folder.rglob("*"):
        try:
            largest = max(largest, file.stat().st_size)
        except FileNotFoundError:  # moved by pip since we listed it
            continue
    return largest


def _explain(package: str, place: str, log: str) -> ModelError:
    for sign, cause, hint in _CAUSES:
        if sign in log:
            words = {"python": sys.executable, "place": place}
            return ModelError(f"can't fetch {package}: {cause.format(**words)}", hint.format(**words))
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["pip said nothing"]
    return ModelError(f"can't fetch {package}: pip failed: {errors[-1].removeprefix('ERROR:').strip()}")
