"""bgcamd on a fake kernel in a room that nobody may see; every picture that left is searched for the room."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for what is no test

from fault_house import House

Begin = Callable[..., House]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a house; when the test ends, no picture of any of them may have shown the room."""
    begun: list[House] = []
    with ExitStack() as stack:

        def start(**given: Any) -> House:
            begun.append(stack.enter_context(House(tmp_path, **given)))
            return begun[-1]

        yield start
    for house in begun:
        assert house.traces() == []
        assert house.traces_in_page() == []
        assert len(house.written) > 1


@pytest.fixture
def house(begin: Begin) -> House:
    """One that is live, in front of a grey background."""
    house = begin()
    house.live()
    return house


@pytest.fixture
def patient(begin: Begin) -> House:
    """The same at the usual pace, for tests in which a busy machine must not look like a fault."""
    house = begin(pace=1)
    house.live()
    return house
