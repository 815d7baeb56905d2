"""Decoders, real ones and ones that mean harm."""

from __future__ import annotations

import functools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bgcamd.decoding import helper
from bgcamd.decoding.decoders import Decoders

sys.path.insert(0, str(Path(__file__).parent))  # for mutants, which is no test

_HEAD = """
import json, mmap, os, socket, struct, sys, time
from bgcamd.decoding.order import CAME, FREE
sock = socket.socket(fileno=int(sys.argv[1]))
def order():
    raw, fds, _, _ = socket.recv_fds(sock, 4096, 2)
    if not raw:
        sys.exit()
    return json.loads(raw), fds
"""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small file of every format."""
    from mutants import seeds

    return seeds(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    with Decoders() as some:
        yield some


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Callable[[str], Decoders]]:
    """Decoders that run this program instead; ``order()`` waits for the next order."""
    made: list[Decoders] = []

    def decoders_that(code: str) -> Decoders:
        program = tmp_path / f"hostile{len(made)}.py"
        program.write_text(_HEAD + textwrap.dedent(code))
        some = Decoders(start=functools.partial(helper.start, (sys.executable, str(program))))
        made.append(some.__enter__())
        return some

    yield decoders_that
    for some in made:
        some.__exit__(None, None, None)
