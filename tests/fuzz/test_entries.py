"""What the fuzzers check by the million, here by the hundred: no bytes from outside break a promise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("wire", "calls", "scene", "names", "settings", "manifest", "address", "rtsp", "page", "decoder", "offer")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Every entry, by name."""
    sys.path.insert(0, str(Path(__file__).parent))
    from entries import entries

    with entries(tmp_path_factory.mktemp("fuzz")) as found:
        yield found


def test_every_entry_is_fuzzed(known: dict[str, Any]) -> None:
    assert tuple(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=80)
def test_what_is_damaged_keeps_every_promise(known: dict[str, Any], name: str, data: st.DataObject) -> None:
    entry = known[name]
    parts = st.one_of(st.sampled_from([*entry.seeds, *(word.encode() for word in entry.words)]), st.binary(max_size=20))
    whole = b"".join(data.draw(st.lists(parts, min_size=1, max_size=4)))
    cut = data.draw(st.integers(0, len(whole)))
    entry.target(whole[:cut] + data.draw(st.binary(max_size=3)) + whole[cut + data.draw(st.integers(0, 3)) :])


@pytest.mark.parametrize("name", NAMES)
def test_good_inputs_are_taken(known: dict[str, Any], name: str) -> None:
    for seed in known[name].seeds:
        known[name].target(seed)
