"""org.bgcam.Look: pictures as descriptors, one after another, for so many and no more."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from bgcamd.errors import ControlError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.live.looks import MOST_LOOKERS

ROOM, SHOWN = 50, 200


def grey(luma: int) -> Frame:
    chroma = np.full((24, 32), 128, np.uint8)
    return Frame((np.full((48, 64), luma, np.uint8), chroma, chroma), PixelFormat.I420, Size(64, 48))


def lightness(fd: int) -> int:
    """The luma, of limited range, that a JPEG's mean stands for."""
    with os.fdopen(fd, "rb") as file:
        decoded = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return round(float(decoded.mean()) * 219 / 255 + 16)


@contextmanager
def playing(daemon: Any, *, live: bool = True) -> Iterator[None]:
    """Show frames again and again, as the loop does."""
    done, looks = threading.Event(), daemon.controls.looks

    def play() -> None:
        while not done.wait(0.005):
            if looks.before is not None:
                looks.before(grey(ROOM))
            looks.shown(grey(SHOWN), live=live)

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        done.set()
        player.join()


def test_pictures_come_one_after_another(daemon: Any) -> None:
    numbers = []
    with playing(daemon), daemon.client() as client:
        for reply, fds in client.stream_with_fds("org.bgcam.Look"):
            with fds:
                assert len(fds) == 1
                assert lightness(fds.take(reply["picture"])) == pytest.approx(SHOWN, abs=2)
                assert reply["before"] is None
            numbers.append(reply["number"])
            if len(numbers) == 5:
                break
    assert numbers == sorted(set(numbers))


def test_with_before_each_picture_brings_the_room(daemon: Any) -> None:
    with playing(daemon), daemon.client() as client:
        replies = client.stream_with_fds("org.bgcam.Look", {"before": True})
        for _ in range(3):
            reply, fds = next(replies)
            with fds:
                assert lightness(fds.take(reply["before"])) == pytest.approx(ROOM, abs=2)
                assert lightness(fds.take(reply["picture"])) == pytest.approx(SHOWN, abs=2)


def test_while_viewers_see_a_card_the_room_is_not_sent(daemon: Any) -> None:
    with playing(daemon, live=False), daemon.client() as client:
        reply, fds = client.call("org.bgcam.Look", {"before": True})
        with fds:
            assert (reply["before"], len(fds)) == (None, 1)


def test_nobody_can_change_a_picture_that_was_sent(daemon: Any) -> None:
    with playing(daemon), daemon.client() as client:
        reply, fds = client.call("org.bgcam.Look")
        with fds:
            fd = fds.take(reply["picture"])
            assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
            with pytest.raises(PermissionError):
                os.write(fd, b"x")
            os.close(fd)


def test_who_leaves_gives_up_the_place(daemon: Any, wait_for: Callable[[Callable[[], bool]], bool]) -> None:
    with playing(daemon), ExitStack() as lookers:
        for _ in range(MOST_LOOKERS):
            client = lookers.enter_context(daemon.client())
            _, fds = next(lookers.enter_context(closing(client.stream_with_fds("org.bgcam.Look"))))
            fds.close()
        with daemon.client() as late, pytest.raises(ControlError, match="look at the picture already"):
            late.call("org.bgcam.Look")
        lookers.close()
        assert wait_for(lambda: not daemon.controls.looks.watched)


def test_one_who_does_not_read_skips_pictures_and_holds_up_nobody(daemon: Any) -> None:
    with playing(daemon), daemon.client() as sleepy, daemon.client() as quick:
        sleepy._send({"method": "org.bgcam.Look", "more": True}, (), 5)
        replies = quick.stream_with_fds("org.bgcam.Look")
        numbers = []
        for _ in range(50):
            reply, fds = next(replies)
            fds.close()
            numbers.append(reply["number"])
    assert len(set(numbers)) == 50


def test_without_a_picture_it_says_so(daemon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bgcamd.service.control._PICTURE_S", 0.01)
    with daemon.client() as client, pytest.raises(ControlError, match="no picture has come"):
        client.call("org.bgcam.Look")


def test_no_descriptor_stays_open(
    daemon: Any, open_fds: Callable[[], int], wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    before = open_fds()
    with playing(daemon), daemon.client() as client:
        replies = client.stream_with_fds("org.bgcam.Look", {"before": True})
        for _ in range(10):
            next(replies)[1].close()
    assert wait_for(lambda: open_fds() == before)
