"""Browsers for the tests, and what must be true after each."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bgcamd.video.webrtc.loop import LoopThread

sys.path.insert(0, str(Path(__file__).parent))  # for webrtc_client, which is no test

from webrtc_client import Client


@pytest.fixture
def clients() -> Iterator[Callable[..., Client]]:
    """Makes browsers; all leave in the end."""
    made: list[Client] = []
    with LoopThread("browsers") as loop:

        def make(**options: Any) -> Client:
            made.append(Client(loop, **options))
            return made[-1]

        yield make
        for client in made:
            if client.connection is not None:
                client.close()


@pytest.fixture(autouse=True)
def _nothing_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Afterwards no thread is left, and no task has failed unseen."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio" and record.levelno > 20] == []
