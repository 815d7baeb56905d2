"""Who looks on sees what viewers see, and before; nobody else pays for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import pytest

from bgcamd.errors import ControlError
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.live import looks as looks_module
from bgcamd.live.looks import MOST_LOOKERS, Looks
from bgcamd.matting.fake import Fault

SIZE = Size(64, 48)
RED, BLUE = (81, 90, 240), (41, 240, 110)  # BT.601, limited range


def picture(left: tuple[int, int, int], right: tuple[int, int, int], size: Size = SIZE) -> Frame:
    shapes = ((size.height, size.width), *[((size.height + 1) // 2, (size.width + 1) // 2)] * 2)
    planes = tuple(np.full(shape, value, np.uint8) for shape, value in zip(shapes, right, strict=True))
    for plane, value in zip(planes, left, strict=True):
        plane[:, : plane.shape[1] // 2] = value
    return Frame(planes, PixelFormat.I420, size)


def colours(jpeg: bytes | None) -> tuple[str, str]:
    """What the middle of both halves is."""
    assert jpeg is not None
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (SIZE.height, SIZE.width, 3)
    left, right = (decoded[:, half].mean(axis=(0, 1)) for half in (slice(8, 24), slice(40, 56)))
    return name(left), name(right)


def name(bgr: Plane) -> str:
    known = {"red": (0, 0, 255), "blue": (255, 0, 0)}
    return next((word for word, value in known.items() if np.abs(bgr - value).max() < 5), str(bgr))


def show(looks: Looks, taken: Frame, shown: Frame, *, live: bool = True) -> None:
    """One frame, as the loop works."""
    if looks.before is not None:
        looks.before(taken)
    looks.shown(shown, live=live)


def test_a_picture_has_the_pixels_that_are_shown() -> None:
    looks = Looks(SIZE)
    with looks.looking(before=False) as newest:
        show(looks, picture(BLUE, BLUE), picture(RED, BLUE))
        look = newest(1)
    assert look is not None
    assert colours(look.picture) == ("red", "blue")
    assert look.before is None


def test_with_it_comes_what_the_camera_saw_at_the_same_moment() -> None:
    looks = Looks(SIZE)
    with looks.looking(before=True) as newest:
        for taken, shown in ((RED, BLUE), (BLUE, RED)):
            show(looks, picture(taken, taken), picture(shown, shown))
            look = newest(1)
            assert look is not None
            assert colours(look.picture)[0] == name_of(shown)
            assert colours(look.before)[0] == name_of(taken)


def name_of(yuv: tuple[int, int, int]) -> str:
    return "red" if yuv == RED else "blue"


def test_a_card_comes_without_what_the_camera_saw() -> None:
    looks = Looks(SIZE)
    with looks.looking(before=True) as newest:
        show(looks, picture(RED, RED), picture(BLUE, BLUE), live=False)
        card = newest(1)
        show(looks, picture(RED, RED), picture(BLUE, BLUE))
        live = newest(1)
    assert card is not None
    assert live is not None
    assert (card.before, live.before is None) == (None, False)


def test_what_the_camera_saw_before_a_card_never_comes_after_it() -> None:
    looks = Looks(SIZE)
    with looks.looking(before=True) as slow, looks.looking(before=True) as quick:
        show(looks, picture(RED, RED), picture(BLUE, BLUE))
        assert quick(1) is not None
        looks.shown(picture(BLUE, RED), live=False)
        look = slow(1)
    assert look is not None
    assert look.before is None
    assert colours(look.picture) == ("blue", "red")


def test_each_sees_the_newest_and_skips_the_rest() -> None:
    looks = Looks(SIZE)
    with looks.looking(before=False) as newest:
        for _ in range(5):
            looks.shown(picture(RED, RED), live=True)
        looks.shown(picture(BLUE, BLUE), live=True)
        look = newest(1)
        assert look is not None
        assert (look.number, colours(look.picture)) == (6, ("blue", "blue"))
        assert newest(0.01) is None


def test_what_was_shown_before_anybody_looked_is_not_seen() -> None:
    looks = Looks(SIZE)
    looks.shown(picture(RED, RED), live=True)
    with looks.looking(before=False) as newest:
        looks.shown(picture(BLUE, BLUE), live=True)
    with looks.looking(before=False) as newest:
        assert newest(0.01) is None


def test_a_picture_is_encoded_once_for_all_who_look(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode: Callable[[Plane], bytes] = looks_module._jpeg

    def counting(stacked: Plane) -> bytes:
        encoded.append(1)
        return encode(stacked)

    monkeypatch.setattr(looks_module, "_jpeg", counting)
    looks = Looks(SIZE)
    with ExitStack() as lookers:
        seeing = [lookers.enter_context(looks.looking(before=number == 2)) for number in range(3)]
        for _ in range(5):
            show(looks, picture(RED, RED), picture(BLUE, BLUE))
            found = [newest(1) for newest in seeing]
            assert len({look.picture for look in found if look is not None}) == 1
    assert len(encoded) == 5 + 5


def test_one_more_than_may_look_is_refused_until_one_leaves() -> None:
    looks = Looks(SIZE)
    with ExitStack() as lookers:
        for _ in range(MOST_LOOKERS):
            lookers.enter_context(looks.looking(before=False))
        with pytest.raises(ControlError, match="look at the picture already"):
            lookers.enter_context(looks.looking(before=True))
        assert looks.before is None
    assert not looks.watched
    with looks.looking(before=True):
        assert looks.watched


def test_odd_sizes_lose_their_last_line() -> None:
    looks = Looks(Size(65, 49))
    with looks.looking(before=False) as newest:
        looks.shown(picture(RED, BLUE, Size(65, 49)), live=True)
        look = newest(1)
    assert look is not None
    assert colours(look.picture) == ("red", "blue")


def test_only_i420_of_the_size_announced_is_taken() -> None:
    looks = Looks(SIZE)
    with looks.looking(before=True):
        with pytest.raises(ValueError, match="64x48 I420, not 32x32 I420"):
            looks.shown(picture(RED, BLUE, Size(32, 32)), live=True)
        with pytest.raises(ValueError, match="not 64x48 GREY"):
            looks.shown(Frame((np.zeros((48, 64), np.uint8),), PixelFormat.GREY, SIZE), live=True)


class TestInTheLoop:
    """The live loop of ``conftest``: all frames are white, and the person fills them."""

    @pytest.mark.parametrize("linger_s", [0.0])
    def test_looking_turns_the_camera_on(self, live: Any) -> None:
        live.screen.watched = False
        live.screen.wait_for(live.is_card)
        assert live.camera.opened == live.camera.closed
        with live.looks.looking(before=False) as newest:
            live.screen.wait_for(live.is_person, after=len(live.screen.seen))
            assert newest(5) is not None

    def test_a_paused_camera_shows_no_room(self, live: Any) -> None:
        def pause() -> None:
            live.loop.paused = True

        with live.looks.looking(before=True) as newest:
            while (look := newest(5)) is None or look.before is None:
                pass
            live.loop.submit(pause, once_shown=True).result(5)
            found = [newest(5) for _ in range(3)]
        assert [look.before for look in found if look is not None] == [None] * 3

    def test_without_a_matte_there_is_no_room_to_be_seen(self, live: Any) -> None:
        live.screen.wait_for(live.is_person)
        live.engine.fault = Fault.NAN
        live.screen.wait_for(live.is_card)
        with live.looks.looking(before=True) as newest:
            found = [newest(5) for _ in range(5)]
        assert [look.before for look in found if look is not None] == [None] * 5
