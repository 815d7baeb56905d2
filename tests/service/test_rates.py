"""How many calls a user may make."""

from __future__ import annotations

import pytest

from bgcamd.service import rates
from bgcamd.service.rates import AT_ONCE, PER_S, Rates


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_at_once_are_free_and_then_so_many_a_second() -> None:
    some = Rates(Clock())
    assert [some.wait_s(1) for _ in range(int(AT_ONCE))] == [0] * int(AT_ONCE)
    assert [some.wait_s(1) * PER_S for _ in range(3)] == pytest.approx([1, 2, 3])


def test_each_user_has_calls_of_their_own() -> None:
    some = Rates(Clock())
    for _ in range(1000):
        some.wait_s(1)
    assert some.wait_s(2) == 0


def test_who_makes_none_for_a_while_may_make_a_few_again_but_no_more() -> None:
    clock = Clock()
    some = Rates(clock)
    for _ in range(int(AT_ONCE) + 10):
        some.wait_s(1)
    clock.now += 3600
    assert [some.wait_s(1) > 0 for _ in range(int(AT_ONCE) + 1)] == [False] * int(AT_ONCE) + [True]


def test_only_so_many_users_are_remembered() -> None:
    some = Rates(Clock())
    for uid in range(1000):
        some.wait_s(uid)
    assert len(some._left) == rates._MOST_USERS
