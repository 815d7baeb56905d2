"""Everything that can go wrong, one by one, in mid-stream: what viewers see, what the status says, how it ends."""

from __future__ import annotations

import pytest
from conftest import Begin
from fault_house import House, Written
from fault_list import ALL, ENGINE, Fault
from fault_room import GREY_LUMA

NAMES = [fault.name for fault in ALL]
NO_MATTE = [fault for fault in ENGINE if fault.sees == "card"]


def background_alone(picture: Written) -> bool:
    return not picture.card and not picture.live and abs(float(picture.planes[0].mean()) - GREY_LUMA) < 2


WANTED = {"card": lambda picture: picture.card, "live": lambda picture: picture.live, "background": background_alone}


@pytest.mark.parametrize("fault", ALL, ids=NAMES)
def test_viewers_see_what_is_said_and_it_is_live_again_by_itself(begin: Begin, fault: Fault) -> None:
    house = begin(format=fault.format)
    house.live()
    start = len(house.written)
    fault.strike(house)
    try:
        if fault.sees in WANTED:
            house.see(WANTED[fault.sees], start)
        if not fault.once:
            status = house.until(fault.state, fault.said)
            assert fault.state == "live" or status["problems"] or fault.state == "hidden"
    finally:
        fault.mend(house)
    house.live()
    house.until("live")


@pytest.mark.parametrize("fault", NO_MATTE, ids=[fault.name for fault in NO_MATTE])
def test_of_the_very_frame_without_a_matte_viewers_see_the_card(house: House, fault: Fault) -> None:
    """Not one more picture goes out between the network's failure and the card, whatever the camera's pace."""
    failing = house.engine
    start = len(house.written)
    fault.strike(house)
    first = house.see(lambda picture: picture.card, start)
    fault.mend(house)
    expected = failing.failed_at if failing.failed_at is not None else first
    assert first == expected
