"""What is shown changes, and goes wrong, in mid-stream: scenes, pictures, clips, models, pauses."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import Begin
from fault_house import House, Written
from fault_list import once
from fault_room import picture, trace
from PIL import Image

from bgcamd.errors import BgcamError
from bgcamd.frame import Matte
from bgcamd.matting.fake import Fault as Wrong


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[House]:
    """A house whose room is shown, as somebody wanted it."""
    with House(tmp_path, settings={"scene.color": None, "scene.keep": True}) as house:
        house.see(shows_room)
        yield house


def shows_room(seen: Written) -> bool:
    return trace(seen.planes) != ""


@contextmanager
def descriptor(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def send(house: House, path: Path) -> None:
    """As `bgcam set --replace` does it."""
    with descriptor(path) as fd:
        house.ask("Set", (fd,), replace=0, name=path.name)


def room_file(path: Path) -> Path:
    y, u, v = picture(0)
    Image.fromarray(cv2.cvtColor(cv2.merge([y, v, u]), cv2.COLOR_YCrCb2RGB)).save(path)
    return path


def test_once_a_scene_that_hides_the_room_is_answered_no_picture_of_it_leaves(kept: House) -> None:
    for change in ({"color": "#595959"}, {"blur": 50}, {"remove": True}, {"color": "#808080", "mirror": True}):
        kept.ask("Set", **change)
        start = len(kept.written)
        kept.live()
        kept.live()
        end = len(kept.written)
        assert kept.traces(start, end, blurred="blur" in change) == []
        kept.ask("Set", keep=True)
        kept.see(shows_room)


@pytest.mark.parametrize("fault", [Wrong.RAISE, Wrong.NAN, Wrong.STALL])
def test_the_room_that_was_shown_gives_way_although_the_network_fails_at_once(kept: House, fault: Wrong) -> None:
    kept.engine.fault = fault
    setting = threading.Thread(target=kept.ask, args=("Set",), kwargs={"color": "#595959"})
    setting.start()
    kept.card()
    start = len(kept.written)
    kept.card()
    kept.card()
    end = len(kept.written)
    kept.engine.fault = None
    kept.engine.unstall.set()
    setting.join()
    kept.live()
    assert kept.traces(start, end) == []
    assert kept.traces(end) == []


def test_a_pause_that_freezes_while_the_scene_changes_does_not_freeze_the_room(kept: House) -> None:
    pausing = threading.Thread(target=kept.ask, args=("Pause",), kwargs={"freeze": True})

    def meanwhile(matte: Matte) -> Matte:
        if pausing.ident is None:
            pausing.start()
            pausing.join(0.1)
        return matte

    kept.engine.changes = meanwhile
    kept.ask("Set", color="#595959")
    start = len(kept.written)
    pausing.join()
    kept.see(lambda _: True)
    kept.see(lambda _: True)
    assert kept.status()["state"] == "paused"
    assert kept.traces(start) == []


def test_a_frozen_room_gives_way_to_a_card_when_the_scene_hides_it(kept: House) -> None:
    kept.ask("Pause", freeze=True)
    kept.see(shows_room)
    kept.ask("Set", color="#595959")
    start = len(kept.written)
    kept.card()
    assert kept.traces(start) == []
    kept.ask("Resume")
    kept.live()
    assert kept.traces(start) == []


def test_what_is_frozen_is_one_whole_picture_that_viewers_saw(patient: House) -> None:
    for _ in range(5):
        start = patient.live()
        patient.ask("Pause", freeze=True)
        frozen = patient.see(lambda _: True)
        assert patient.written[frozen].data in {each.data for each in patient.written[start:frozen]}
        patient.ask("Resume")


def test_a_freeze_while_the_network_hangs_is_a_card(house: House) -> None:
    house.engine.fault = Wrong.STALL
    house.see(lambda seen: seen.card)
    house.ask("Pause", freeze=True)
    assert house.written[-1].card
    assert house.status()["state"] == "paused"


@pytest.mark.parametrize("parameters", [{}, {"text": "Back soon"}, {"freeze": True}])
def test_after_a_pause_is_answered_nobody_new_is_seen_and_the_camera_is_off(
    patient: House, parameters: dict[str, Any]
) -> None:
    for _ in range(3):
        patient.ask("Pause", **parameters)
        start = len(patient.written)
        while patient.camera.streaming:
            threading.Event().wait(0.005)
        place = patient.see(lambda _: True)
        assert len({each.data for each in patient.written[start - 1 :]}) == 1
        assert patient.written[place].live == ("freeze" in parameters)
        patient.ask("Resume")
        patient.live()


def test_a_paused_house_does_not_move_whatever_goes_wrong_in_it(house: House) -> None:
    house.ask("Pause")
    start = len(house.written)
    house.engine.fault = Wrong.CRASH
    house.camera.unplug()
    once(house, house.loop, "draw_card", MemoryError())
    house.replug()
    for _ in range(5):
        house.see(lambda seen: seen.card)
    assert all(each.card for each in house.written[start:])
    house.engine.fault = None
    house.ask("Resume")
    house.live()


def test_mirrored_back_and_forth_the_person_is_never_cut_out_of_the_other_picture(house: House) -> None:
    for turn in range(10):
        house.ask("Set", mirror=turn % 2 == 0)
        house.see(lambda _: True)
    house.live()


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
@pytest.mark.parametrize("strength", [30, 50, 100])
def test_a_blur_leaves_the_rooms_colour_and_nothing_to_recognise(tmp_path: Path, strength: int, quality: Any) -> None:
    settings = {"scene.color": None, "scene.blur": strength}
    with House(tmp_path, settings=settings, quality=quality) as house:
        house.live()
        for _ in range(5):
            house.engine.fault = Wrong.NAN
            house.card()
            house.engine.fault = None
            house.live()
    assert house.traces(blurred=True) == []
    assert house.traces_in_page(blurred=True) == []


@pytest.mark.parametrize("quality", ["low", "medium"])
@pytest.mark.parametrize("edge", [{"light_wrap": 100}, {"feather": 30}, {"smooth": 100}, {"smooth": 0}])
def test_no_edge_brings_the_room_along(begin: Begin, edge: dict[str, int], quality: Any) -> None:
    house = begin(quality=quality)
    house.live()
    house.ask("Set", **edge)
    for _ in range(12):
        house.live()


def test_a_picture_that_is_deleted_or_replaced_after_it_was_set_is_still_the_one_that_is_shown(
    house: House, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 48), (120, 120, 120)).save(tmp_path / "wall.png")
    send(house, tmp_path / "wall.png")
    room_file(tmp_path / "room.png").replace(tmp_path / "wall.png")
    (ours,) = (tmp_path / "state").rglob("backgrounds/*.png")
    ours.unlink()
    house.live()
    house.ask("Set", mirror=True)
    house.live()
    assert house.status()["scene"]["name"] == "wall.png"
    with pytest.raises(BgcamError):
        house.ask("Set", choice=f"sent:{ours.name}")
    with pytest.raises(BgcamError):
        house.ask("Set", fit="contain")  # it would have to be read again
    house.live()


def test_a_daemon_that_starts_again_without_its_picture_blurs(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (120, 120, 120)).save(tmp_path / "wall.png")
    with House(tmp_path) as house:
        house.live()
        send(house, tmp_path / "wall.png")
    (ours,) = (tmp_path / "state").rglob("backgrounds/*.png")
    ours.unlink()
    with House(tmp_path, settings={"scene.color": None, "scene.keep": True}) as again:
        again.live()
        assert again.status()["scene"]["background"] == "blur"
    assert again.traces(blurred=True) == []


@pytest.mark.parametrize("cut", [0, 1, 30, 100])
def test_a_daemon_that_starts_with_a_damaged_scene_blurs(tmp_path: Path, cut: int) -> None:
    """Cut at every byte, and with every byte damaged: tests/service/test_state.py."""
    keep = {"scene.color": None, "scene.keep": True}
    with House(tmp_path, settings=keep) as house:
        house.see(shows_room)
        house.ask("Set", keep=True)
    (saved,) = (tmp_path / "state").rglob("scene.json")
    saved.write_bytes(saved.read_bytes()[:cut])
    with House(tmp_path, settings=keep) as again:
        again.live()
    assert again.traces(blurred=True) == []


def test_a_session_begins_with_a_card(begin: Begin) -> None:
    house = begin()
    first = house.live()
    assert all(each.card for each in house.written[:first])
    assert first >= 1


def test_a_daemon_that_was_paused_starts_paused(tmp_path: Path, begin: Begin) -> None:
    with House(tmp_path) as before:
        before.ask("Pause")
    house = begin()
    house.see(lambda _: True)
    assert house.status()["state"] == "paused"
    assert not house.camera.streaming
    assert all(each.card for each in house.written)


def clip(path: Path) -> Path:
    grey = [Image.new("L", (64, 48), shade) for shade in range(90, 130, 2)]
    grey[0].save(path, save_all=True, append_images=grey[1:], duration=20)
    return path


def test_a_clip_that_is_damaged_while_it_plays_stands_still_and_that_is_said(house: House, tmp_path: Path) -> None:
    send(house, clip(tmp_path / "waves.gif"))
    house.live()
    (ours,) = (tmp_path / "state").rglob("backgrounds/*.gif")
    ours.write_bytes(bytes(1000))
    house.until("live", "stands still")
    house.live()
    house.ask("Set", color="#595959")
    house.live()
    assert house.status()["problems"] == []


def test_a_model_whose_file_vanishes_during_the_swap_leaves_the_one_that_runs(patient: House) -> None:
    patient.networks.vanished = True
    with pytest.raises(BgcamError, match="not there"):
        patient.ask("Set", model="second")
    patient.live()
    patient.networks.vanished = False
    start = len(patient.written)
    patient.ask("Set", model="second")
    patient.live()
    assert patient.status()["model"] == "second"
    assert not any(each.card for each in patient.written[start:])


def test_a_snapshot_shows_what_viewers_see_and_no_more(house: House) -> None:
    with_fds: list[bytes] = []
    for _ in range(3):
        png = cv2.imdecode(np.frombuffer(house.daemon.snapshot(), np.uint8), cv2.IMREAD_COLOR)
        with_fds.append(png.tobytes())
        flat = cv2.cvtColor(png, cv2.COLOR_BGR2YUV_I420).reshape(-1)
        assert trace(Written(0, 0, flat.tobytes()).planes) == ""
    assert with_fds
