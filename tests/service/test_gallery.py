"""What there is to choose, and that nothing else can be chosen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bgcamd.decoding import work
from bgcamd.errors import BgcamError, InputError, UsageError
from bgcamd.protocols import Command
from bgcamd.scene import Blur, Clip, Colour, Keep, Picture, Scene
from bgcamd.service.backgrounds import Backgrounds
from bgcamd.service.gallery import PLAIN, Gallery, usual_folders


def call(daemon: Any, method: str, **parameters: Any) -> dict[str, Any]:
    with daemon.client() as client:
        reply, fds = client.call(f"org.bgcam.{method}", parameters)
        fds.close()
        found: dict[str, Any] = reply
        return found


def offered(daemon: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(daemon, "Backgrounds")["backgrounds"]
    return found


def send(daemon: Any, path: Path) -> None:
    with daemon.client() as client, path.open("rb") as file:
        client.call("org.bgcam.Set", {"replace": 0, "name": path.name}, [file.fileno()])


@pytest.fixture
def folder(daemon: Any) -> Path:
    """A user's folder, with two pictures, a clip, and what is no background."""
    mine: Path = daemon.folder
    mine.mkdir()
    for name in ("Beach.jpg", "alps.PNG"):
        (mine / name).write_bytes(b"PIC " + name.encode())
    (mine / "waves.mp4").write_bytes(b"CLIP")
    for name in ("notes.txt", ".hidden.jpg"):
        (mine / name).write_bytes(b"PIC")
    (mine / "more.jpg").mkdir()
    os.mkfifo(mine / "pipe.jpg")
    (mine / os.fsdecode(b"\xff.jpg")).write_bytes(b"PIC")
    return mine


def test_a_folders_pictures_and_clips_are_offered_by_name(daemon: Any, folder: Path) -> None:
    files = [each for each in offered(daemon) if each["id"].startswith("file:")]
    assert [(each["name"], each["kind"], each["recent"]) for each in files] == [
        ("alps", "picture", False), ("Beach", "picture", False), ("waves", "clip", False),
    ]  # fmt: skip


def test_without_a_folder_there_are_a_blur_and_colours(daemon: Any) -> None:
    found = offered(daemon)
    assert [each["kind"] for each in found] == ["blur", *["color"] * (len(PLAIN) - 1)]
    assert found[1] == {"id": "color:green", "name": "Green", "kind": "color", "color": "#00b140", "recent": False}


def test_no_path_of_ours_is_told(daemon: Any, folder: Path) -> None:
    send(daemon, folder / "Beach.jpg")
    assert str(folder.parent) not in str(call(daemon, "Backgrounds"))


def test_each_can_be_chosen_and_is_then_the_current_one(daemon: Any, folder: Path) -> None:
    send(daemon, folder / "Beach.jpg")
    for choice in offered(daemon):
        call(daemon, "Set", choice=choice["id"])
        assert call(daemon, "Backgrounds")["current"] == choice["id"]
    call(daemon, "Set", choice="file:waves.mp4")
    assert daemon.controls.live == Scene(Clip(folder / "waves.mp4", "waves.mp4"))
    call(daemon, "Set", choice="color:navy", mirror=True)
    assert daemon.controls.live == Scene(Colour((30, 41, 89)), mirror=True)


def test_what_is_not_on_offer_is_not_the_current_one_but_any_blur_is(daemon: Any) -> None:
    assert call(daemon, "Backgrounds")["current"] == "blur"
    call(daemon, "Set", keep=True)
    assert call(daemon, "Backgrounds")["current"] is None
    call(daemon, "Set", blur=3)
    assert call(daemon, "Backgrounds")["current"] == "blur"


@pytest.mark.parametrize(
    "choice",
    ["file:notes.txt", "file:../mine/Beach.jpg", "file:.hidden.jpg", "file:more.jpg", "file:pipe.jpg", "/etc/passwd",
     "sent:names.json", "sent:../scene.json", "file:", "file:Beach.jpg\0", "x" * 10_000],
)  # fmt: skip
def test_what_is_not_on_offer_can_not_be_had(daemon: Any, folder: Path, choice: str) -> None:
    send(daemon, folder / "Beach.jpg")
    for method in ("Set", "Thumbnail", "Forget"):
        with pytest.raises(UsageError, match="there is no background"):
            call(daemon, method, choice=choice)


def test_a_file_that_is_no_picture_after_all_is_told_by_its_name(daemon: Any, folder: Path) -> None:
    (folder / "Beach.jpg").write_bytes(b"text")
    with pytest.raises(InputError, match=r"^Beach.jpg is no picture"):
        call(daemon, "Set", choice="file:Beach.jpg")
    assert daemon.controls.live == Scene()


def test_one_sent_can_be_chosen_again_and_comes_first_then(daemon: Any, folder: Path) -> None:
    for name in ("Beach.jpg", "alps.PNG"):
        send(daemon, folder / name)
    sent = [each for each in offered(daemon) if each["recent"]]
    assert [each["name"] for each in sent] == ["alps.PNG", "Beach.jpg"]
    call(daemon, "Set", choice=sent[1]["id"])
    assert [each["name"] for each in offered(daemon) if each["recent"]] == ["Beach.jpg", "alps.PNG"]
    assert daemon.controls.live.background.path.read_bytes() == b"PIC Beach.jpg"


def test_one_sent_can_be_forgotten_unless_it_is_shown(daemon: Any, folder: Path) -> None:
    send(daemon, folder / "Beach.jpg")
    (sent,) = (each for each in offered(daemon) if each["recent"])
    with pytest.raises(InputError, match="shown at the moment"):
        call(daemon, "Forget", choice=sent["id"])
    call(daemon, "Set", keep=True)
    call(daemon, "Forget", choice=sent["id"])
    assert daemon.backgrounds() == []
    with pytest.raises(UsageError, match="not a picture that a client sent"):
        call(daemon, "Forget", choice="file:Beach.jpg")
    assert (folder / "Beach.jpg").exists()


@pytest.mark.parametrize("damage", [b"", b"[1]", b"{", b'{"a":' * 9000, b"\xff", b'{"x": 5}'])
def test_names_that_can_not_be_read_are_forgotten(daemon: Any, folder: Path, damage: bytes) -> None:
    send(daemon, folder / "Beach.jpg")
    (daemon.state / "backgrounds" / "names.json").write_bytes(damage)
    assert [each["name"] for each in offered(daemon) if each["recent"]] == ["picture"]
    send(daemon, folder / "alps.PNG")
    assert [each["name"] for each in offered(daemon) if each["recent"]] == ["alps.PNG", "picture"]


def test_names_in_a_file_that_others_wrote_are_cleaned(tmp_path: Path) -> None:
    (tmp_path / f"{'0' * 16}.png").touch()
    (tmp_path / "names.json").write_text('{"0000000000000000.png": "/etc/\\u001b[2Jx.png"}')
    assert [name for _, name in Backgrounds(tmp_path, Picture).kept()] == ["[2Jx.png"]


class TestKeys:
    def test_next_goes_from_picture_to_picture_and_over_blur_round_again(self, tmp_path: Path) -> None:
        for name in ("a.jpg", "b.jpg"):
            (tmp_path / name).touch()
        gallery = Gallery(Backgrounds(tmp_path / "none", Picture), (tmp_path,), Picture, work.small)
        scene, seen = Scene(Keep()), []
        for _ in range(4):
            choice = gallery.after(scene)
            scene = Scene(gallery.background(choice))
            seen.append(choice.id)
        assert seen == ["blur", "file:a.jpg", "file:b.jpg", "blur"]

    def test_without_pictures_next_goes_through_the_colours(self, tmp_path: Path) -> None:
        gallery = Gallery(Backgrounds(tmp_path / "none", Picture), (tmp_path / "none",), Picture, work.small)
        assert gallery.after(Scene(Blur(7))).id == "color:green"

    def test_the_daemon_obeys_keys_and_remembers(self, daemon: Any, folder: Path) -> None:
        daemon.control.obey(Command.NEXT_BACKGROUND)
        daemon.control.obey(Command.MIRROR)
        daemon.control.obey(Command.QUIT)
        assert daemon.controls.live == Scene(Picture(folder / "alps.PNG", "alps.PNG"), mirror=True)
        assert b"alps.PNG" in (daemon.state / "scene.json").read_bytes()

    def test_one_that_can_not_be_shown_changes_nothing(self, daemon: Any, folder: Path) -> None:
        (folder / "alps.PNG").write_bytes(b"text")
        with pytest.raises(BgcamError, match="no picture"):
            daemon.control.obey(Command.NEXT_BACKGROUND)
        assert daemon.controls.live == Scene()


def test_the_folder_is_beside_the_settings_or_where_they_would_be(no_settings: Path, tmp_path: Path) -> None:
    assert usual_folders("bgcamd", tmp_path / "x.toml") == (
        tmp_path / "backgrounds", no_settings / "bgcamd" / "backgrounds", Path("/etc/bgcamd/backgrounds"),
    )  # fmt: skip
    assert usual_folders("bgcamd", None) == (no_settings / "bgcamd" / "backgrounds", Path("/etc/bgcamd/backgrounds"))


def test_the_first_folder_that_is_there_counts(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{place}.jpg").touch()
    folders = tmp_path / "none", tmp_path / "two", tmp_path / "one"
    assert Gallery(Backgrounds(tmp_path / "sent", Picture), folders, Picture, work.small).choices()[-1].name == "two"


def test_thumbnails_of_what_is_no_picture_are_refused(daemon: Any) -> None:
    with pytest.raises(UsageError, match="only pictures and clips"):
        call(daemon, "Thumbnail", choice="blur")


def test_no_descriptor_stays_open(
    daemon: Any, folder: Path, open_fds: Callable[[], int], wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    before = open_fds()
    for _ in range(3):
        send(daemon, folder / "Beach.jpg")
        with pytest.raises(BgcamError):
            call(daemon, "Thumbnail", choice="file:Beach.jpg")
    assert wait_for(lambda: open_fds() == before)
