"""What the tests of streams share."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for stream_pictures, which is no test


@pytest.fixture
def even_port() -> int:
    """A port of UDP on 127.0.0.1 that is free, and the one after too."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            if port % 2 == 0:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
                    try:
                        second.bind(("127.0.0.1", port + 1))
                    except OSError:
                        continue
                return port
    raise AssertionError("no two ports are free")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whatever a test opened and closed must have ended its threads."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) - before == set()
