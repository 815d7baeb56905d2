"""The old room's colour does not come along; the new one's light may."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bgcamd.canvas.blend import Blender
from bgcamd.canvas.edge_colour import EdgeColour
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.frame import PixelFormat, Plane, Size

SIZE = Size(160, 96)
PERSON, ROOM, NEW = 60, 220, 20
"""Samples of the person, of a bright room, and of a dark new background, in every plane."""


def soft_half() -> Plane:
    hard = np.zeros((SIZE.height, SIZE.width), np.uint8)
    hard[:, :80] = 255
    return cv2.GaussianBlur(hard, (0, 0), 2)


def filled(value: int) -> Planes:
    planes = new_planes(PixelFormat.RGBP, SIZE)
    for plane in planes:
        plane.fill(value)
    return planes


def photographed() -> Planes:
    """The person before the bright room."""
    share = soft_half() / 255
    planes = new_planes(PixelFormat.RGBP, SIZE)
    for plane in planes:
        plane[:] = np.rint(share * PERSON + (1 - share) * ROOM)
    return planes


def composed(*, own_colour: bool, light_wrap: int = 0) -> np.ndarray:
    picture, new, out = photographed(), filled(NEW), new_planes(PixelFormat.RGBP, SIZE)
    between = EdgeColour(picture).between(picture, soft_half(), new, light_wrap) if own_colour else None
    Blender(picture).over(picture, soft_half(), new, out, between)
    return out[0].astype(float)


def ideal() -> np.ndarray:
    share = soft_half() / 255
    return np.asarray(share * PERSON + (1 - share) * NEW)


def test_the_fringe_of_a_bright_room_is_mostly_gone() -> None:
    plain = np.abs(composed(own_colour=False) - ideal()).max()
    assert plain > 30
    assert np.abs(composed(own_colour=True) - ideal()).max() < plain / 2.5


def test_where_alpha_is_not_soft_nothing_is_changed() -> None:
    done, alpha = composed(own_colour=True), soft_half()
    assert (done[alpha == 255] == PERSON).all()
    assert (done[alpha == 0] == NEW).all()


def test_light_wrap_draws_the_edge_to_the_new_background() -> None:
    plain, half, whole = (composed(own_colour=True, light_wrap=share) for share in (0, 50, 100))
    share = soft_half() / 255
    wanted = share * share * photographed()[0] + (1 - share * share) * NEW  # nothing but the new room's light between
    assert np.abs(whole - wanted).max() <= 2
    assert np.abs(half - (plain + whole) / 2).max() <= 2


@pytest.mark.parametrize("format", [PixelFormat.I420, PixelFormat.RGBP])
def test_a_person_before_a_room_of_their_own_colour_is_blended_as_ever(format: PixelFormat) -> None:  # noqa: A002
    picture, new = new_planes(format, SIZE), new_planes(format, SIZE)
    for plane in picture:
        plane.fill(130)
    outs = []
    for own in (False, True):
        out = new_planes(format, SIZE)
        between = EdgeColour(picture).between(picture, soft_half(), new, 0) if own else None
        Blender(picture).over(picture, soft_half(), new, out, between)
        outs.append(out)
    for plain, own_colour in zip(*outs, strict=True):
        assert np.abs(plain.astype(int) - own_colour.astype(int)).max() <= 2


@pytest.mark.parametrize("where", [(0, 40), (60, 100), (120, 160)])
def test_it_is_the_same_wherever_in_the_picture_the_person_is(where: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    alpha = np.zeros((SIZE.height, SIZE.width), np.uint8)
    alpha[20:, slice(*where)] = 255
    alpha = cv2.GaussianBlur(alpha, (0, 0), 2)
    picture = new_planes(PixelFormat.I420, SIZE)
    for plane in picture:
        plane[:] = cv2.blur(rng.integers(0, 256, plane.shape, np.uint8), (5, 5))
    part = EdgeColour(picture).between(picture, alpha, picture, 30)
    faint = np.maximum(alpha, 1)  # there is somebody everywhere, if hardly: all is computed
    whole = EdgeColour(picture).between(picture, faint, picture, 30)
    soft = alpha[::2, ::2] > 0
    for one, all_ in zip(part[1:], whole[1:], strict=True):
        assert np.abs(one.astype(int) - all_.astype(int))[soft].max() <= 6
