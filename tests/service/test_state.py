"""The saved scene: comes back as it was, and never crashes the daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgcamd.errors import OutputError
from bgcamd.scene import EDGE_RANGES, Alpha, Background, Blur, Clip, Colour, Edge, Fit, Keep, Picture, Remove, Scene
from bgcamd.service.state import Saved, load, save, scene_to_dict

HERE = Path(__file__)
BYTE = st.integers(0, 255)
BACKGROUNDS: st.SearchStrategy[Background] = st.one_of(
    st.sampled_from([Keep(), Remove(), Alpha()]),
    st.builds(Blur, st.integers(1, 100)),
    st.builds(Colour, st.tuples(BYTE, BYTE, BYTE)),
    st.builds(Picture, st.just(HERE), st.text(max_size=20)),
    st.builds(Clip, st.just(HERE), st.text(max_size=20)),
)
EDGES = st.builds(Edge, **{key: st.integers(low, high) for key, (low, high) in EDGE_RANGES.items()})
SAVED = st.builds(
    Saved, st.builds(Scene, BACKGROUNDS, st.sampled_from(Fit), st.booleans(), EDGES), st.none() | st.text(max_size=20)
)
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


@given(saved=SAVED)
@one_folder
def test_what_is_saved_comes_back(tmp_path: Path, saved: Saved) -> None:
    save(tmp_path / "state" / "scene.json", saved)
    assert load(tmp_path / "state" / "scene.json") == (saved, "")


def test_without_a_file_the_scene_is_the_default_and_nothing_is_noted(tmp_path: Path) -> None:
    assert load(tmp_path / "scene.json") == (Saved(), "")


def test_a_file_cut_at_any_byte_gives_the_default_scene_and_a_note(tmp_path: Path) -> None:
    file = tmp_path / "scene.json"
    saved = Saved(Scene(Colour((1, 2, 3)), Fit.TILE, mirror=True, edge=Edge(shift=-5)), "rvm")
    save(file, saved)
    whole = file.read_bytes()
    for length in range(len(whole.rstrip())):
        file.write_bytes(whole[:length])
        found, note = load(file)
        assert found == Saved()
        assert "blurred" in note


@given(position=st.integers(0, 400), value=BYTE)
@one_folder
def test_a_damaged_byte_never_opens_the_room(tmp_path: Path, position: int, value: int) -> None:
    file = tmp_path / "scene.json"
    save(file, Saved(Scene(Picture(HERE, "a.jpg"))))
    damaged = bytearray(file.read_bytes())
    damaged[position % len(damaged)] = value
    file.write_bytes(damaged)
    assert not isinstance(load(file)[0].scene.background, Keep)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        "[]",
        '{"version":2}',
        '{"version":1}',
        '{"version":1,"scene":{"background":"blur","blur":0,"fit":"cover","mirror":false}}',
        '{"version":1,"scene":{"background":"blur","blur":true,"fit":"cover","mirror":false}}',
        '{"version":1,"scene":{"background":"color","color":"","fit":"cover","mirror":false}}',
        '{"version":1,"scene":{"background":"hole","fit":"cover","mirror":false}}',
        '{"version":1,"scene":{"background":"remove","fit":"no","mirror":false}}',
        '{"version":1,"scene":{"background":"picture","path":"a.jpg","name":"","fit":"cover","mirror":false}}',
        '{"version":1,"scene":{"background":"remove","fit":"cover","mirror":false},"model":7}',
        '{"version":1,"scene":{"background":"remove","fit":"cover","mirror":false,"feather":101}}',
        '{"version":1,"scene":{"background":"remove","fit":"cover","mirror":false,"shift":-101}}',
        '{"version":1,"scene":{"background":"remove","fit":"cover","mirror":false,"threshold":0}}',
        '{"version":1,"scene":{"background":"remove","fit":"cover","mirror":false,"smooth":true}}',
        '{"version":1,"scene":{"background":"remove","fit":"cover","mirror":false,"light_wrap":null}}',
    ],
)
def test_garbage_gives_the_default_scene_and_a_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "scene.json").write_text(text)
    found, note = load(tmp_path / "scene.json")
    assert found == Saved()
    assert str(tmp_path / "scene.json") in note


def test_a_file_of_before_there_were_edge_options_has_the_usual_edge(tmp_path: Path) -> None:
    old = '{"version":1,"scene":{"background":"blur","blur":9,"fit":"tile","mirror":true},"model":"rvm"}'
    (tmp_path / "scene.json").write_text(old)
    assert load(tmp_path / "scene.json") == (Saved(Scene(Blur(9), Fit.TILE, mirror=True), "rvm"), "")


def test_a_folder_in_the_files_place_gives_the_default_scene(tmp_path: Path) -> None:
    found, note = load(tmp_path)
    assert found == Saved()
    assert note


@pytest.mark.parametrize("path", ["gone.jpg", "x" * 300])
def test_a_background_that_is_gone_becomes_a_blur_and_the_rest_stays(tmp_path: Path, path: str) -> None:
    save(tmp_path / "scene.json", Saved(Scene(Picture(tmp_path / path, "reef.jpg"), Fit.TILE, mirror=True), "rvm"))
    found, note = load(tmp_path / "scene.json")
    assert found == Saved(Scene(Blur(), Fit.TILE, mirror=True), "rvm")
    assert "reef.jpg" in note


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "scene.json").mkdir()
    with pytest.raises(OutputError):
        save(tmp_path / "scene.json", Saved())
    assert [path.name for path in tmp_path.iterdir()] == ["scene.json"]


def test_clients_are_not_told_where_the_daemon_keeps_its_pictures() -> None:
    assert scene_to_dict(Scene(Picture(Path("/var/lib/secret"), "reef.jpg"))) == {
        "background": "picture", "name": "reef.jpg", "fit": "cover", "mirror": False,
        "feather": 0, "shift": 0, "threshold": 50, "smooth": 90, "light_wrap": 0,
    }  # fmt: skip
