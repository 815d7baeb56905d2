"""Fuzzes every entry with atheris, one after the other; the control socket gets the runs that are asked for.

python tests/fuzz/run.py [--runs N] [NAME ...]

Inputs that led somewhere new are kept in .fuzz/NAME, and the next run begins with them; what breaks a promise is shown
with its traceback, and kept there as crash-*. Ends with 1 then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import atheris
import click

KEPT = Path(__file__).resolve().parent.parent.parent / ".fuzz"
_NAMES = ("wire", "calls", "scene", "names", "settings", "manifest", "address", "rtsp", "page", "decoder", "offer")
_MEMORY = Path("/dev/shm")  # files in memory: some entries write one for each run
_SHARE = 5  # of the runs of "wire", what the others get
_INSTRUMENTED = ["bgcamd", "http.server", "http.client", "email", "tomllib", "urllib.parse", "ipaddress"]


@click.command()
@click.argument("names", nargs=-1)
@click.option("--runs", default=1_000_000, show_default=True, help="Of the wire; of every other entry a fifth.")
@click.option("--one", "folder", type=click.Path(path_type=Path), hidden=True)
def main(names: tuple[str, ...], runs: int, folder: Path | None) -> None:
    """Fuzz the entries of these names, or all."""
    if folder is not None:
        fuzz(names[0], runs, folder)
    failed = []
    for name in names or _NAMES:
        share = runs if name == "wire" else runs // _SHARE
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as place:
            command = [sys.executable, __file__, "--one", place, "--runs", str(share), name]
            done = subprocess.run(command, check=False, text=True, errors="replace", capture_output=True)
        if done.returncode:
            failed.append(name)
            click.echo(f"{done.stdout}{done.stderr}\nit ended with {done.returncode}")
        took = time.monotonic() - began
        click.echo(
            f"{name:10} {share:>9,} runs in {took:5.0f} s, {share / took:6.0f} a second"
            + ("  FAILED" if name in failed else "")
        )
    sys.exit(bool(failed))


def fuzz(name: str, runs: int, folder: Path) -> None:
    """Never returns: libFuzzer ends the process."""
    with atheris.instrument_imports(include=_INSTRUMENTED):
        from entries import entries

    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    context = entries(folder)
    entry = context.__enter__()[name]
    for number, seed in enumerate(entry.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-runs={runs}", f"-max_len={entry.longest}", f"-artifact_prefix={corpus}/"]
    options += ["-timeout=20", "-rss_limit_mb=4096", "-verbosity=0"]
    if entry.words:
        words = folder / "words"
        words.write_text("".join(f"{_quoted(word)}\n" for word in entry.words))
        options.append(f"-dict={words}")
    atheris.Setup([sys.argv[0], *options, str(corpus)], entry.target)
    atheris.Fuzz()


def _quoted(word: str) -> str:
    """A word as libFuzzer's dictionaries have it: line ends by their code."""
    return json.dumps(word).replace("\\r", "\\x0d").replace("\\n", "\\x0a")


if __name__ == "__main__":
    main()
