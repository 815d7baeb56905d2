"""org.bgcam: what the methods do, and that the description says the same."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bgcamd.decoding import work
from bgcamd.errors import (
    BgcamError,
    ControlError,
    EngineError,
    InputError,
    ModelError,
    SourceError,
    UsageError,
)
from bgcamd.scene import EDGE_RANGES, Blur, Clip, Colour, Edge, Fit, Keep, Picture, Remove, Scene
from bgcamd.service import backgrounds, faults
from bgcamd.service.control import Control
from bgcamd.service.dispatch import Interface, Service, parameters_of
from bgcamd.service.gallery import Gallery
from bgcamd.service.state import load

SECRET = "/etc/../home/a/\x1b[2Jreef.JPG"
CASES: list[tuple[dict[str, Any], Scene]] = [
    ({"blur": 7}, Scene(Blur(7))),
    ({"color": "#0102ff"}, Scene(Colour((1, 2, 255)))),
    ({"remove": True}, Scene(Remove())),
    ({"keep": True, "remove": False}, Scene(Keep())),
    ({"fit": "tile", "mirror": True}, Scene(Blur(50), Fit.TILE, mirror=True)),
    ({"blur": None, "mirror": False}, Scene()),
    ({"feather": 20, "shift": -5}, Scene(edge=Edge(feather=20, shift=-5))),
    ({"threshold": 60, "smooth": 0, "light_wrap": 100}, Scene(edge=Edge(threshold=60, smooth=0, light_wrap=100))),
    ({}, Scene()),
]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "coral.jpg"
    path.write_bytes(b"PIC of a reef" + bytes(3_000_000))
    return path


def send(daemon: Any, path: Path, **parameters: Any) -> dict[str, Any]:
    """Set a picture by its descriptor."""
    with daemon.client() as client, path.open("rb") as file:
        reply, _ = client.call("org.bgcam.Set", {"replace": 0, "name": path.name, **parameters}, [file.fileno()])
        scene: dict[str, Any] = reply["scene"]
        return scene


def change(daemon: Any, **parameters: Any) -> None:
    with daemon.client() as client:
        client.call("org.bgcam.Set", parameters)


@pytest.mark.parametrize(("parameters", "scene"), CASES)
def test_set_changes_what_is_named_and_keeps_the_rest(daemon: Any, parameters: dict[str, Any], scene: Scene) -> None:
    change(daemon, **parameters)
    assert daemon.controls.live == scene


def test_several_changes_are_one(daemon: Any) -> None:
    change(daemon, color="#000000", fit="contain", mirror=True, model="rvm")
    assert daemon.controls.live == Scene(Colour((0, 0, 0)), Fit.CONTAIN, mirror=True)
    assert daemon.controls.model == "rvm"


def test_the_edge_stays_when_something_else_changes(daemon: Any, picture: Path) -> None:
    change(daemon, shift=-5, smooth=0)
    change(daemon, shift=9)
    change(daemon, blur=7)
    assert daemon.controls.live == Scene(Blur(7), edge=Edge(shift=9, smooth=0))
    scene = send(daemon, picture)
    assert {key: scene[key] for key in EDGE_RANGES} == {
        "feather": 0, "shift": 9, "threshold": 50, "smooth": 0, "light_wrap": 0,
    }  # fmt: skip


def test_the_scene_and_the_model_are_saved(daemon: Any) -> None:
    change(daemon, blur=9, model="rvm")
    change(daemon, mirror=True, feather=3)
    saved, note = load(daemon.state / "scene.json")
    assert (saved.scene, saved.model, note) == (Scene(Blur(9), mirror=True, edge=Edge(feather=3)), "rvm", "")


def test_a_scene_that_cannot_be_saved_is_live_all_the_same(daemon: Any, caplog: pytest.LogCaptureFixture) -> None:
    (daemon.state / "scene.json").mkdir(parents=True)
    change(daemon, blur=9)
    assert daemon.controls.live == Scene(Blur(9))
    assert "outlive" in caplog.text


def test_on_a_full_disk_the_scene_is_live_and_the_one_before_never_returns(
    daemon: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    change(daemon, keep=True)
    monkeypatch.setattr(Path, "write_text", full)
    change(daemon, blur=9)
    assert daemon.controls.live == Scene(Blur(9))
    assert "no space left" in caplog.text
    assert not [path for path in daemon.state.iterdir() if path.is_file()]


def test_other_users_learn_nothing_of_the_pictures(daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "beach.jpg").write_bytes(b"PIC")
    with (tmp_path / "beach.jpg").open("rb") as picture, daemon.client() as client:
        client.call("org.bgcam.Set", {"replace": 0, "name": "beach.jpg"}, [picture.fileno()])
    assert daemon.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "parameters",
    [{"blur": 0}, {"blur": 101}, {"color": "reddish"}, {"color": ""}, {"fit": "no"}, {"blur": 5, "keep": True},
     {"feather": -1}, {"shift": 101}, {"threshold": 0}, {"smooth": 2**70}, {"light_wrap": 101},
     {"choice": "blur", "keep": True}, {"choice": "nope"}, {"choice": ""}, {"replace": 0, "choice": "blur"},
     {"replace": 0, "blur": 5}, {"name": "x"}, {"replace": 0}, {"replace": -1}, {"replace": 2**70}],
)  # fmt: skip
def test_values_that_make_no_sense_change_nothing(daemon: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        change(daemon, mirror=True, **parameters)
    assert daemon.controls.live == Scene()
    assert not (daemon.state / "scene.json").exists()


@pytest.mark.parametrize(
    "parameters", [{"blur": "5"}, {"blur": True}, {"blur": 5.0}, {"mirror": 1}, {"shift": "5"}, {"model": []}]
)
def test_values_of_another_type_are_refused_by_name(daemon: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match=f"InvalidParameter: {next(iter(parameters))}"):
        change(daemon, **parameters)
    assert daemon.controls.live == Scene()


def test_a_picture_is_copied_and_the_original_may_go(daemon: Any, picture: Path) -> None:
    original = picture.read_bytes()
    scene = send(daemon, picture, fit="contain")
    picture.unlink()
    told = {key: scene[key] for key in ("background", "name", "fit", "mirror")}
    assert told == {"background": "picture", "name": "coral.jpg", "fit": "contain", "mirror": False}
    live = daemon.controls.live.background
    assert isinstance(live, Picture)
    assert live.path.read_bytes() == original
    assert live.path.parent == daemon.state / "backgrounds"
    assert load(daemon.state / "scene.json")[0].scene == daemon.controls.live


def test_what_a_file_is_its_content_tells(daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "film.jpg").write_bytes(b"CLIP")
    assert send(daemon, tmp_path / "film.jpg")["background"] == "clip"
    assert isinstance(daemon.controls.live.background, Clip)


def test_the_last_twelve_besides_the_one_shown_are_kept(daemon: Any, tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / f"{number}.png").write_bytes(b"PIC %d" % number)
        send(daemon, tmp_path / f"{number}.png")
    with daemon.client() as client:
        offered = client.call("org.bgcam.Backgrounds")[0]["backgrounds"]
    assert [each["name"] for each in offered if each["recent"]] == [f"{number}.png" for number in range(14, 1, -1)]
    assert len(daemon.backgrounds()) == 13


def test_what_is_kept_has_a_bound_in_bytes_and_the_one_shown_always_stays(
    daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backgrounds, "KEPT_BYTES", 25)
    for name in ("first", "second", "third", "fourth"):
        (tmp_path / name).write_bytes(b"PIC 10 bytes"[:4] + name.encode().ljust(6)[:6])
        send(daemon, tmp_path / name)
    with daemon.client() as client:
        offered = client.call("org.bgcam.Backgrounds")[0]["backgrounds"]
    assert [each["name"] for each in offered if each["recent"]] == ["fourth", "third", "second"]


def test_the_same_picture_again_stays(daemon: Any, picture: Path) -> None:
    send(daemon, picture)
    send(daemon, picture)
    assert len(daemon.backgrounds()) == 1
    assert daemon.controls.live.background.path.is_file()


def test_a_file_that_is_no_picture_leaves_the_old_scene_and_no_file(daemon: Any, picture: Path, tmp_path: Path) -> None:
    send(daemon, picture)
    old, files = daemon.controls.live, daemon.backgrounds()
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="text is no picture") as caught:
        send(daemon, tmp_path / "text")
    assert caught.value.hint == "give a JPEG"
    assert (daemon.controls.live, daemon.backgrounds()) == (old, files)


def test_a_change_that_fails_leaves_the_old_scene_and_no_file(daemon: Any, picture: Path) -> None:
    change(daemon, blur=3)
    daemon.controls.error = ModelError("no model nope", "see `bgcam models`")
    with pytest.raises(ModelError, match="no model nope"):
        send(daemon, picture, model="nope")
    assert daemon.controls.live == Scene(Blur(3))
    assert daemon.backgrounds() == []
    assert load(daemon.state / "scene.json")[0].model is None


def test_a_failed_change_to_the_live_picture_does_not_remove_it(daemon: Any, picture: Path) -> None:
    send(daemon, picture)
    daemon.controls.error = EngineError("out of memory")
    with pytest.raises(BgcamError, match="out of memory"):
        send(daemon, picture, model="rvm")
    assert daemon.controls.live.background.path.is_file()


def test_only_regular_readable_files_with_content_are_taken(daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "full.jpg").write_bytes(b"PIC")
    pipe, writer = os.pipe()
    sources = {
        "is empty": os.open(tmp_path / "empty.jpg", os.O_RDONLY),
        "not a regular file": pipe,
        "can't be read": os.open(tmp_path / "full.jpg", os.O_WRONLY),
    }
    for message, fd in sources.items():
        with daemon.client() as client, pytest.raises(InputError, match=message):
            client.call("org.bgcam.Set", {"replace": 0, "name": "x.jpg"}, [fd])
        os.close(fd)
    os.close(writer)
    assert daemon.backgrounds() == []


def test_a_file_too_large_is_refused_before_it_is_copied(daemon: Any, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(backgrounds.MAX_BYTES + 1)
    with pytest.raises(InputError, match="larger than 512 MiB"):
        send(daemon, tmp_path / "huge")
    assert daemon.backgrounds() == []


def test_a_descriptor_is_read_from_the_start_and_its_offset_stays(daemon: Any, picture: Path) -> None:
    with daemon.client() as client, picture.open("rb") as file:
        file.seek(1000)
        client.call("org.bgcam.Set", {"replace": 0}, [file.fileno()])
        assert file.tell() == 1000
    assert daemon.controls.live.background.path.read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(
    ("name", "clean"),
    [(SECRET, "[2Jreef.JPG"), ("..", ".."), ("", "picture"), ("/", "picture"), ("a" * 300, "a" * 100),
     ("\ud800\0.png", ".png"), ("C:\\me\\reef.png", "reef.png")],
)  # fmt: skip
def test_a_clients_name_is_cleaned_and_never_a_path(daemon: Any, picture: Path, name: str, clean: str) -> None:
    scene = send(daemon, picture, name=name)
    assert scene["name"] == clean
    (stored,) = daemon.backgrounds()
    assert re.fullmatch(r"[0-9a-f]{16}(\.[a-z0-9]{1,8})?", stored)


def test_copies_that_a_killed_daemon_left_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".abc.part").touch()
    (tmp_path / "notes.txt").touch()
    backgrounds.Backgrounds(tmp_path, Picture)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_changes_at_the_same_time_are_made_one_after_the_other(daemon: Any, tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def many(number: int) -> None:
        try:
            path = tmp_path / f"{number}.jpg"
            path.write_bytes(b"PIC %d" % number)
            for _ in range(10):
                send(daemon, path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=many, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(daemon.backgrounds()) == 6
    assert daemon.controls.live.background.path.is_file()
    assert load(daemon.state / "scene.json")[0].scene == daemon.controls.live


def test_pause_resume_and_stop_reach_the_daemon(daemon: Any) -> None:
    with daemon.client() as client:
        client.call("org.bgcam.Pause")
        client.call("org.bgcam.Resume")
        client.call("org.bgcam.Stop")
    assert daemon.controls.done == ["pause", "resume"]
    assert daemon.controls.stopped.is_set()


def test_a_pause_shows_a_text_a_picture_or_what_was_shown(daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "back.png").write_bytes(b"a picture")
    with daemon.client() as client, (tmp_path / "back.png").open("rb") as picture:
        client.call("org.bgcam.Pause", {"text": "Back at ten"})
        client.call("org.bgcam.Pause", {"picture": 0, "name": "back.png"}, [picture.fileno()])
        client.call("org.bgcam.Pause", {"freeze": True})
    assert daemon.controls.done == ["pause Back at ten", "pause picture b'a picture'", "pause freeze"]
    assert daemon.backgrounds() == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"text": "x", "freeze": True}, "two cards"),
        ({"text": "x" * 201}, "longer than 200"),
        ({"picture": 0}, "picture is 0, but"),
    ],
)
def test_a_pause_that_makes_no_sense_changes_nothing(daemon: Any, parameters: dict[str, object], said: str) -> None:
    with daemon.client() as client, pytest.raises(UsageError, match=said):
        client.call("org.bgcam.Pause", parameters)
    assert daemon.controls.done == []


def test_a_pause_outlives_a_restart_until_it_is_resumed(daemon: Any) -> None:
    with daemon.client() as client:
        client.call("org.bgcam.Pause")
        assert load(daemon.state / "scene.json")[0].paused
        client.call("org.bgcam.Set", {"blur": 30})
        assert load(daemon.state / "scene.json")[0].paused
        client.call("org.bgcam.Resume")
    assert not load(daemon.state / "scene.json")[0].paused


def test_a_snapshot_comes_as_a_descriptor(
    daemon: Any, open_fds: Callable[[], int], wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    with daemon.client() as client:
        client.call("org.bgcam.GetStatus")
        before = open_fds()
        reply, fds = client.call("org.bgcam.Snapshot")
        with fds, os.fdopen(fds.take(reply["picture"]), "rb") as file:
            assert file.read() == daemon.controls.snapshot()
        assert wait_for(lambda: open_fds() == before)  # the server closes its own after it was sent


def test_monitor_streams_until_the_daemon_ends_or_once_without_more(daemon: Any) -> None:
    with daemon.client() as client:
        stream = client.stream("org.bgcam.Monitor", {"interval_ms": 50})
        assert [next(stream)["status"]["state"] for _ in range(3)] == ["live"] * 3
    with daemon.client() as client:
        assert client.call("org.bgcam.Monitor")[0]["status"]["state"] == "live"


@pytest.mark.parametrize("interval", [0, 49, 60_001, -1])
def test_monitor_refuses_intervals_out_of_range(daemon: Any, interval: int) -> None:
    with daemon.client() as client, pytest.raises(UsageError, match=r"50\.\.60000"):
        client.call("org.bgcam.Monitor", {"interval_ms": interval})


def test_an_error_keeps_its_kind_message_and_hint_over_the_wire(daemon: Any) -> None:
    kinds = {SourceError: ControlError, InputError: InputError, ModelError: ModelError, EngineError: BgcamError}
    for raised, caught in kinds.items():
        daemon.controls.error = raised("what", "do")
        with daemon.client() as client, pytest.raises(caught) as found:
            client.call("org.bgcam.Pause")
        assert (type(found.value), found.value.message, found.value.hint) == (caught, "what", "do")


def test_an_unknown_exception_is_logged_whole_and_the_daemon_lives(
    daemon: Any, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.controls.error = ZeroDivisionError("oops")
    with daemon.client() as client:
        with pytest.raises(BgcamError, match=r"internal error in org\.bgcam\.Pause"):
            client.call("org.bgcam.Pause")
        client.call("org.bgcam.GetStatus")
    assert "ZeroDivisionError: oops" in caplog.text


# What is described and what is done agree.


@pytest.fixture
def interfaces(daemon: Any, tmp_path: Path) -> dict[str, Interface]:
    kind: Any = None
    gallery = Gallery(backgrounds.Backgrounds(tmp_path, kind), (), kind, work.small)
    control = Control(daemon.controls, gallery, tmp_path / "scene.json")
    return Service([control.interface]).interfaces


@pytest.mark.parametrize("name", ["org.bgcam", "org.varlink.service"])
def test_methods_and_parameters_are_those_described(interfaces: dict[str, Interface], name: str) -> None:
    text = _without_comments(interfaces[name].description)
    described = {
        method: {
            field: (kind.lstrip("?"), kind.startswith("?")) for field, kind in re.findall(r"(\w+):\s*(\??\w+)", inputs)
        }
        for method, inputs in re.findall(r"method (\w+)\s*\(([^)]*)\)\s*->", text)
    }
    words = {int: "int", str: "string", bool: "bool"}
    implemented = {
        method: {field: (words[kind], optional) for field, (kind, optional) in parameters_of(function).items()}
        for method, function in interfaces[name].methods.items()
    }
    assert _enums_as_strings(described) == implemented


def _enums_as_strings(described: dict[str, dict[str, tuple[str, bool]]]) -> dict[str, dict[str, tuple[str, bool]]]:
    return {
        method: {field: ("string" if kind == "Fit" else kind, optional) for field, (kind, optional) in fields.items()}
        for method, fields in described.items()
    }


def test_errors_are_those_described(interfaces: dict[str, Interface]) -> None:
    described = re.findall(r"error (\w+) \(message: string, hint: string\)", interfaces["org.bgcam"].description)
    assert {f"org.bgcam.{name}" for name in described} == {name for name, _ in faults._FAULTS}


def test_words_of_enumerations_are_those_described(interfaces: dict[str, Interface]) -> None:
    text = interfaces["org.bgcam"].description
    assert f"type Fit ({', '.join(Fit)})" in text
    assert "background: (keep, remove, alpha, blur, color, picture, clip)" in text


def test_the_descriptions_keep_to_varlinks_grammar(interfaces: dict[str, Interface]) -> None:
    for interface in interfaces.values():
        rest = _without_comments(interface.description)
        assert rest.startswith(f"interface {interface.name}\n")
        name, field = r"[A-Z][A-Za-z0-9]*", r"[A-Za-z](?:_?[A-Za-z0-9])*"
        enum = rf"\({field}(?:, {field})*\)"
        flat = rf"\??(?:\[\]|\[string\])?(?:bool|int|float|string|{name}|{enum})"
        plain = rf"\((?:\s*{field}: {flat}(?:,\s*{field}: {flat})*)?\s*\)"
        struct = rf"\((?:\s*{field}: (?:{flat}|{plain})(?:,\s*{field}: (?:{flat}|{plain}))*)?\s*\)"
        member = rf"(?:type {name} (?:{struct}|{enum})|method {name}{struct} -> {struct}|error {name} {struct})\s*"
        body = rest.split("\n", 1)[1]
        assert re.fullmatch(rf"\s*(?:{member})+", body), interface.name


def test_introspection_tells_it_over_the_wire(daemon: Any, interfaces: dict[str, Interface]) -> None:
    with daemon.client() as client:
        info, _ = client.call("org.varlink.service.GetInfo")
        assert info["interfaces"] == ["org.varlink.service", "org.bgcam"]
        for name, interface in interfaces.items():
            reply, _ = client.call("org.varlink.service.GetInterfaceDescription", {"interface": name})
            assert reply["description"] == interface.description


def _without_comments(text: str) -> str:
    return re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
