"""Keys of an output are obeyed beside the loop."""

from __future__ import annotations

import threading

import pytest

from bgcamd.errors import InputError
from bgcamd.protocols import Command
from bgcamd.service.orders import Orders


def test_they_are_obeyed_in_order_in_another_thread() -> None:
    orders, seen, done = Orders(), list[tuple[Command, bool]](), threading.Event()

    def obey(command: Command) -> None:
        seen.append((command, threading.current_thread() is threading.main_thread()))
        if command is Command.QUIT:
            done.set()

    orders.obey = obey
    with orders:
        for command in Command:
            orders.take(command)
        assert done.wait(5)
    assert seen == [(command, False) for command in Command]


def test_one_that_fails_is_logged_and_the_next_is_obeyed(caplog: pytest.LogCaptureFixture) -> None:
    orders, done = Orders(), threading.Event()

    def obey(command: Command) -> None:
        if command is Command.MIRROR:
            raise InputError("a bad picture")
        if command is Command.NEXT_BACKGROUND:
            raise ZeroDivisionError("a bug")
        done.set()

    orders.obey = obey
    with orders:
        for command in Command:
            orders.take(command)
        assert done.wait(5)
    assert "mirror: a bad picture" in caplog.text
    assert "ZeroDivisionError: a bug" in caplog.text


def test_to_take_one_never_waits(caplog: pytest.LogCaptureFixture) -> None:
    orders, go = Orders(), threading.Event()
    orders.obey = lambda _: go.wait(5)
    with orders:
        for _ in range(20):
            orders.take(Command.MIRROR)
        go.set()
    assert "too much was asked for at once" in caplog.text
