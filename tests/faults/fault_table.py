"""Print the table of docs/reliability.md for the fake kernel: every fault of ``fault_list``, at the usual pace.

    .venv/bin/python tests/faults/fault_table.py            # seven minutes
    .venv/bin/python tests/faults/fault_table.py camera     # the rows that have this word

Each fault comes three times, to a daemon of its own, is mended after three seconds, and may leave no trace of the room.
What is measured in the camera's frames goes from the one that was the newest when the fault came about to the one that
was when the first card was written; what is measured in seconds from the mending, or from that card where it is over
by itself, to the next live picture. The least and the most of the three.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fault_house import House
from fault_list import ALL, Fault

TIMES, LASTS_S = 3, 3.0


def main() -> None:
    """A row for each."""
    logging.disable()
    words = sys.argv[1:]
    for fault in ALL:
        if all(word in fault.name for word in words):
            print(" | ".join(row(fault)), flush=True)  # noqa: T201 - this is what it is for


def row(fault: Fault) -> Iterator[str]:
    """The cells, of what viewers saw and until when."""
    seen, back, states, traces = [], [], set(), 0
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as home, House(Path(home), pace=1, format=fault.format) as house:
            house.live()
            frames, seconds, state = endured(house, fault)
        seen.append(frames)
        back.append(seconds)
        states.add(state)
        traces += len(house.traces()) + len(house.traces_in_page())
    yield f"| {fault.name}"
    yield fault.how
    yield " / ".join(sorted(states)) + (f": “{fault.said}”" if fault.said else "")
    yield told(fault, seen, traces)
    yield f"{span(back)} s |"


def endured(house: House, fault: Fault) -> tuple[int | None, float, str]:
    """Frames until the card, if one is to come; seconds until it is live again; the state until then."""
    start, number = len(house.written), house.number
    fault.strike(house)
    frames = None
    if fault.sees == "card":
        card = house.see(lambda seen: seen.card, start)
        frames = house.written[card].number - (number if house.struck_at is None else house.struck_at)
    if not fault.once:
        time.sleep(LASTS_S)
    briefly = "live" if frames is None else "hidden, for that frame"
    state = briefly if fault.once else str(house.status()["state"])
    mended, place = time.perf_counter(), start if fault.once else len(house.written)
    if fault.once and frames is not None:
        place = house.see(lambda seen: seen.card, start)
        mended = house.written[place].at
    fault.mend(house)
    return frames, house.written[house.see(lambda seen: seen.live, place)].at - mended, state


def told(fault: Fault, frames: Sequence[int | None], traces: int) -> str:
    """What viewers saw."""
    if traces:
        return f"THE ROOM, in {traces} pictures"
    known = [count for count in frames if count is not None]
    if known:
        return f"the card, {span(known)} frames later" if any(known) else "the card, in the same frame"
    return {"background": "the background alone", "nothing": "the last picture", "live": "no difference"}[fault.sees]


def span(values: Sequence[float]) -> str:
    """The least and the most."""
    least, most = (f"{value:.2f}" if isinstance(value, float) else str(value) for value in (min(values), max(values)))
    return least if least == most else f"{least}–{most}"


if __name__ == "__main__":
    main()
