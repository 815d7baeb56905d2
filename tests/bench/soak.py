"""A long life in a short time: 2,000,000 frames and everything that can happen meanwhile; what the process holds after.

python tests/bench/soak.py [--frames N] [--rest SECONDS] [--seed N]

The daemon is the real one, put together by ``__main__.run`` and reached through its socket, on a fake kernel whose
camera has the next frame as soon as one is written, and with fake networks (see ``soak_house``). Meanwhile clients
change the scene in every way, look on, leave in the middle of a word and send garbage, plugs are pulled, networks fail
and are swapped (``soak_visitors``). Ten times all that is sent away, and counted what the process holds. It ends with 1
where that has grown since the first time.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
from measuring import held, resident_mb, show
from soak_house import House
from soak_visitors import Hand, Looker, User, visited

SLACK = {"descriptors": 1, "threads": 0, "processes": 1, "Python objects": 2000, "heap MB": 2.0}
"""What may be more than after the first tenth, besides RSS: a decoder may be there that waits for its first file."""
_PARTS = 10


class Complaints(logging.Handler):
    """Every traceback that the daemon logged, but for those of the crashes that were asked for."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.exc_info and "told to crash" not in str(record.exc_info[1]):
            self.found.append(logging.Formatter().format(record))

    def of_thread(self, ended: threading.ExceptHookArgs) -> None:
        """A thread's own end by an exception is one."""
        self.found.append(f"{ended.thread and ended.thread.name}: {ended.exc_value!r}")


class Record:
    """What the process held at each tenth, by name."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def take(self, frames: int) -> None:
        """One more; what only waits for the garbage collector is no leak."""
        gc.collect()
        fds, threads = held()
        children = "".join(each.read_text() for each in Path("/proc/self/task").glob("*/children"))
        self.rows.append(
            {
                "frames": frames,
                "RSS MB": resident_mb(),
                "heap MB": _heap_mb(),
                "descriptors": fds,
                "threads": threads,
                "processes": len(children.split()),
                "Python objects": len(gc.get_objects()),
            }
        )

    def grown(self, slack_mb: float) -> list[str]:
        """What has grown beyond its slack since the first."""
        slack = {"RSS MB": slack_mb, **SLACK}
        limits = {name: self.rows[0][name] + more for name, more in slack.items()}
        most = {name: max(row[name] for row in self.rows) for name in slack}
        return [f"{name}: {most[name]:.1f}, at most {limits[name]:.1f}" for name in slack if most[name] > limits[name]]


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    ]


def _heap_mb() -> float:
    """What malloc has given out (mallinfo2(3)): only leaks let it grow; RSS grows by gaps in between, too."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    found = mallinfo2()
    return float(found.uordblks + found.hblkhd) / 1e6


@click.command()
@click.option("--frames", default=2_000_000, show_default=True)
@click.option(
    "--rest",
    "rest_s",
    default=0.2,
    show_default=True,
    help="Seconds between two deeds of a client; of hands five times as long.",
)
@click.option("--slack", "slack_mb", default=8.0, show_default=True, help="MB that it may grow after the first tenth.")
@click.option("--seed", default=1, show_default=True)
def main(frames: int, rest_s: float, slack_mb: float, seed: int) -> None:
    """Run them, and print what the process holds by tenths of the run."""
    complaints, record, failures = Complaints(), Record(), []
    logging.basicConfig(level=logging.WARNING, handlers=[complaints])
    threading.excepthook = complaints.of_thread
    for name in [name for name in os.environ if name.startswith(("XDG_", "BGCAMD_"))]:
        del os.environ[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        house = House(Path(folder))
        visitors = [User(house, rest_s, seed), Looker(house, rest_s, seed + 1), Hand(house, 5 * rest_s, seed + 2)]

        def live() -> None:
            try:
                house.until_seen()
                for part in range(1, _PARTS + 1):
                    visited(visitors, lambda goal=part * frames // _PARTS: house.frames >= goal)
                    house.calm()
                    record.take(house.frames)
                    click.echo(f"  {part * 100 // _PARTS:>3} %  {record.rows[-1]['RSS MB']:.1f} MB", err=True)
            except BaseException as error:
                failures.append(error)
            finally:
                house.stop()

        driver = threading.Thread(target=live, name="driver")
        driver.start()
        house.run()
        driver.join()
        left = house.kernel.descriptors
    table = [[f"{value:,.1f}" if "MB" in name else f"{value:,}" for name, value in row.items()] for row in record.rows]
    show(f"what the process holds, of {time.monotonic() - began:.0f} s", list(record.rows[0]) if table else (), table)
    click.echo(
        f"\n{sum(visitor.done for visitor in visitors)} deeds: "
        + ", ".join(f"{type(each).__name__} {each.done}" for each in visitors)
    )
    if failures:
        raise failures[0]
    wrong = [*record.grown(slack_mb), *complaints.found, *([f"{left} descriptors of devices left"] if left else [])]
    for line in wrong:
        click.echo(line, err=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
