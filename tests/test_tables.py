"""Strict TOML tables: what is right is read, what is wrong is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgcamd.errors import ModelError
from bgcamd.tables import read_toml


@dataclass(frozen=True)
class Wheel:
    spokes: int
    rim: str = "steel"


@dataclass(frozen=True)
class Bicycle:
    name: str
    gears: tuple[float, float] = (1.0, 2.0)
    kind: Literal["road", "city"] = "city"
    tyre: float | Literal["max"] = 1.0
    fast: bool = False
    front: Wheel | None = None
    wheels: tuple[Wheel, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name must not be empty")


def read(folder: Path, text: str) -> Bicycle:
    path = folder / "bicycle.toml"
    path.write_text(text, encoding="utf-8")
    return read_toml(path, Bicycle)


def test_every_kind_of_field_is_read(tmp_path: Path) -> None:
    text = """
        name = "mine"
        gears = [1, 2.5]
        kind = "road"
        tyre = "max"
        fast = true
        front = { spokes = 32 }
        parts = { bell = 1 }
        [[wheels]]
        spokes = 28
        rim = "wood"
    """
    wanted = Bicycle("mine", (1.0, 2.5), "road", "max", True, Wheel(32), (Wheel(28, "wood"),), {"bell": 1.0})
    assert read(tmp_path, text) == wanted


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("nam = 'x'", "nam is not a known key", "did you mean name?"),
        ("name = 'x'\nfront = { spoke = 1 }", "front.spoke is not a known key", "did you mean front.spokes?"),
        ("name = 'x'\nqqq = 1", "qqq is not a known key", "known are name"),
        ("", "name is missing", ""),
        ("name = 'x'\n[[wheels]]\nrim = 'wood'", "wheels[0].spokes is missing", ""),
        ("name = 3", "name must be a string, not 3", ""),
        ("name = ''", "name must not be empty", ""),
        ("name = 'x'\ngears = [1, 2, 3]", "gears must be an array of 2, not of 3", ""),
        ("name = 'x'\ngears = [1, true]", "gears[1] must be a number, not True", ""),
        ("name = 'x'\ngears = [1, nan]", "gears[1] must be a finite number", ""),
        ("name = 'x'\nkind = 'race'", "kind must be 'road' or 'city', not 'race'", ""),
        ("name = 'x'\nfront = 3", "front must be a table", ""),
        ("name = 'x'\nparts = { bell = 'loud' }", "parts.bell must be a number, not 'loud'", ""),
        ("name = 'x'\nfast = 1", "fast must be true or false, not 1", ""),
        ("name = 'x'\nwheels = 4", "wheels must be an array", ""),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(tmp_path, text)
    assert caught.value.message == f"{tmp_path}/bicycle.toml: {message}"
    assert hint in caught.value.hint


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"bicycle\.toml:1: Invalid value"):
        read(tmp_path, "name = ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none: can't be read: No such file"):
        read_toml(tmp_path / "none", Bicycle)


VALUES = st.recursive(
    st.integers() | st.booleans() | st.just("'x'") | st.just("inf"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["spokes", "rim", "q"]), inner),
    max_leaves=5,
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value).lower()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["gears", "kind", "tyre", "fast", "front", "wheels", "parts"]), value=VALUES)
def test_any_value_is_read_or_refused_by_name(tmp_path: Path, key: str, value: object) -> None:
    try:
        read(tmp_path, f"name = 'x'\n{key} = {toml(value)}")
    except ModelError as error:
        assert f": {key}" in error.message  # noqa: PT017 - either outcome is right, but no other


@given(st.binary(max_size=200))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_toml(path, Bicycle)
    assert "\n" not in caught.value.message


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ModelError, match="more than 1 MiB"):
        read_toml(Path("/dev/zero"), Bicycle)


def test_a_path_that_is_none_is_an_error_of_ours() -> None:
    with pytest.raises(ModelError, match="null"):
        read_toml(Path("a\0b.toml"), Bicycle)
