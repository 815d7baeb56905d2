"""Several things go wrong at once, at any moment, again and again, while clients change what is shown."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest
from conftest import Begin
from fault_house import House
from fault_list import CAMERA, ENGINE, MEMORY, OUTPUT, Fault

from bgcamd.errors import BgcamError
from bgcamd.frame import PixelFormat

TURNS = 12
CHANGES = (
    ("Set", {"color": "#595959"}), ("Set", {"mirror": True}), ("Set", {"mirror": False}), ("Set", {"color": "#707070"}),
    ("Set", {"light_wrap": 100}), ("Set", {"feather": 0, "shift": -10}), ("Set", {"model": "second"}),
    ("Set", {"model": "auto"}), ("Pause", {}), ("Pause", {"freeze": True}), ("Pause", {"text": "Back soon"}),
    ("Resume", {}), ("Snapshot", {}), ("Set", {"remove": True}),
)  # fmt: skip


def usual(fault: Fault) -> bool:
    return fault.format is PixelFormat.YUYV


def some(rng: random.Random) -> list[Fault]:
    """One of a kind at most: what holds the same thing in two ways can't be let go of in one."""
    return [rng.choice([*filter(usual, kind)]) for kind in (ENGINE, MEMORY, CAMERA, OUTPUT) if rng.random() < 0.6]


def change(house: House, rng: random.Random) -> None:
    method, parameters = rng.choice(CHANGES)
    with suppress(BgcamError):  # that nothing could be changed is an answer
        house.ask(method, **parameters)


@pytest.mark.parametrize("seed", range(4))
def test_the_room_is_never_shown_and_all_comes_back(begin: Begin, seed: int) -> None:
    rng = random.Random(seed)
    house = begin(quality=rng.choice(["low", "medium", "high"]))
    house.live()
    for _ in range(TURNS):
        struck = some(rng)
        for fault in struck:
            with suppress(AttributeError):  # a scene without a backdrop has none to break
                fault.strike(house)
            time.sleep(rng.random() * 0.1)
        if not any("hangs" in fault.name for fault in struck):  # else it is answered later
            change(house, rng)
        time.sleep(rng.random() * 0.2)
        rng.shuffle(struck)
        for fault in struck:
            fault.mend(house)
    house.ask("Resume")
    house.live()
    house.until_well()
