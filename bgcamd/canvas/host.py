"""The canvas on the CPU: OpenCV on memory that is laid out once and used for every frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.canvas.background import Plate
from bgcamd.canvas.blend import Blender
from bgcamd.canvas.blur import RoomBlur, shrunk
from bgcamd.canvas.color import solid, yuv_to_rgb
from bgcamd.canvas.edge_colour import EdgeColour
from bgcamd.canvas.outline import Outline, small_of_frame
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.canvas.taking import Taker
from bgcamd.errors import EngineError
from bgcamd.frame import (
    BT601,
    GLANCE,
    UNKNOWN_CHANGE,
    Change,
    Color,
    Frame,
    InputSpec,
    Matte,
    PixelFormat,
    Plane,
    Region,
    Size,
)
from bgcamd.scene import USUAL_EDGE, Alpha, Blur, Edge, Keep, PreparedScene, Remove

_OTHER, _CUT = 12, 0.6  # a part is another at so much of 255, and it is a cut where more than so many of them are
_MARGIN = 5  # pixels of the room that stay round the person, so that a lossy codec does not darken the edge


class HostCanvas:
    """Implements ``protocols.Canvas``. Not for two threads at once.

    Parameters
    ----------
    size: of every frame that leaves; what comes in another shape is scaled to cover it, after an I420 canvas has
        left out the last column or row of a picture of an odd size.
    format: I420 (video, even sizes) or RGBP (stills, full-resolution colour).
    color: the meaning of I420 samples.
    holds_alpha: whether the output can be transparent, so that Remove gives straight colour and alpha.

    Attributes
    ----------
    plate: the shape that backgrounds and cards for this canvas are brought into.
    sharpens: whether mattes are steadied and brought onto the picture's edges, or only made steeper, at a third of the
        cost.
    colours_edges: whether soft pixels get the person's own colour, without the old room's; costs a third of compose.
    """

    def __init__(
        self,
        size: Size,
        format: PixelFormat = PixelFormat.I420,  # noqa: A002 - the field's standard name
        *,
        color: Color = BT601,
        holds_alpha: bool = False,
    ) -> None:
        self.size, self.format, self.color, self.holds_alpha = size, format, color, holds_alpha
        self.plate = Plate(size, format, color)
        self.sharpens, self.colours_edges = True, True
        self._taker = Taker(size, format, color)
        self._taken = new_planes(format, size)
        self._done = new_planes(format, size)
        self._alpha = np.zeros((size.height, size.width), np.uint8)
        self._blender = Blender(self._taken)
        self._edge_colour = EdgeColour(self._taken)
        self._straight: Planes = ()  # laid out when first needed,
        self._blur: RoomBlur | None = None  # as is this
        self._outline = Outline(size)
        self._region = Region(0, 0, *size)
        self._now: Plane | None = None  # the picture, small, and as it was when the network looked
        self._before: Plane | None = None
        self._glance = np.zeros((GLANCE.height, GLANCE.width), np.uint8)
        self._input = np.zeros((1, 3, 0, 0), np.float32)
        self._seen = np.zeros((0, 0, 3), np.uint8)  # the network's input as a packed RGB picture

    @property
    def black(self) -> tuple[int, ...]:
        """The sample of each plane that stands for black."""
        return solid((0, 0, 0), self.color) if self.format is PixelFormat.I420 else (0, 0, 0)

    def take(self, raw: Frame, *, mirror: bool = False) -> Frame:
        """See ``protocols.Canvas``. Raises SourceError for a damaged frame, which is released, too."""
        self._glance.fill(0)
        try:
            alpha = self._taker.take(raw, self._taken, mirror=mirror)
            return self._like(raw, self._taken, alpha)
        finally:
            raw.release()

    def _like(self, raw: Frame, planes: Planes, alpha: Plane | None) -> Frame:
        return Frame(
            planes,
            self.format,
            self.size,
            color=self.color,
            alpha=alpha,
            captured_ns=raw.captured_ns,
            sequence=raw.sequence,
        )

    def moved(self) -> Change:
        """See ``protocols.Canvas``. Parts of some 40 pixels are compared, so that a camera's noise is none."""
        brightness = self._taken[1 if self.format is PixelFormat.RGBP else 0]  # green, or luma
        self._now = cv2.blur(shrunk(brightness, GLANCE), (5, 5))
        if self._before is None:
            return UNKNOWN_CHANGE
        changes = cv2.absdiff(self._now, self._before)
        return Change(int(changes.max()), cut=int((changes > _OTHER).sum()) > _CUT * changes.size)

    def look(self, region: Region | None) -> None:
        """See ``protocols.Canvas``."""
        self._region = region or Region(0, 0, *self.size)

    def shrink(self, frame: Frame, spec: InputSpec, *, mirrored: bool = False) -> NDArray[np.float32]:
        """See ``protocols.Canvas``. Bilinear from the full size: the networks were trained on such pictures."""
        small = [cv2.resize(self._seen_of(plane), spec.size, interpolation=cv2.INTER_LINEAR) for plane in frame.planes]
        if mirrored:
            small = [cv2.flip(plane, 1) for plane in small]
        if frame.format is PixelFormat.I420:
            self._seen = cv2.transform(cv2.merge(small), yuv_to_rgb(frame.color))
            small = list(cv2.split(self._seen))
        else:
            self._seen = cv2.merge(small)
        if self._input.shape[2:] != small[0].shape:
            self._input = np.empty((1, 3, *small[0].shape), np.float32)
        scale = _scale(spec, small)
        for channel, plane in enumerate(reversed(small) if spec.bgr else small):
            mean, std = spec.mean[channel], spec.std[channel]
            out = np.multiply(plane, np.float32(scale / std), out=self._input[0, channel])
            if mean:
                out -= np.float32(mean / std)
        return self._input

    def _seen_of(self, plane: Plane) -> Plane:
        """The region's part of a plane, which may be of half the size."""
        region, half = self._region, self.size.height // len(plane)
        top, left = region.top // half, region.left // half
        return plane[top : top + region.height // half, left : left + region.width // half]

    def keep(self, matte: Matte) -> None:
        """See ``protocols.Canvas``."""
        _check(matte.alpha)
        self._outline.keep(matte.alpha)

    def glance(self, matte: Matte) -> None:
        """See ``protocols.Canvas``."""
        _check(matte.alpha)
        np.maximum(self._glance, small_of_frame(matte.alpha, self._region, self.size), out=self._glance)

    def glanced(self) -> Plane:
        """See ``protocols.Canvas``."""
        return self._glance

    def forget(self) -> None:
        """See ``protocols.Canvas``."""
        self._outline.forget()
        self._before = None

    def refine(self, matte: Matte, frame: Frame, edge: Edge = USUAL_EDGE) -> Plane:
        """See ``protocols.Canvas``. Everything is done at the matte's size; then it is enlarged, bilinear."""
        _check(matte.alpha)
        self._before = self._now
        small, region = self._outline.drawn(matte, self._seen, self._region, edge, sharpen=self.sharpens), self._region
        if (region.width, region.height) == self.size:
            cv2.resize(small, self.size, dst=self._alpha, interpolation=cv2.INTER_LINEAR)
        else:
            self._alpha.fill(0)
            part = self._alpha[region.top : region.top + region.height, region.left : region.left + region.width]
            part[:] = cv2.resize(small, (region.width, region.height), interpolation=cv2.INTER_LINEAR)
        if frame.alpha is not None:
            cv2.multiply(self._alpha, frame.alpha, dst=self._alpha, scale=1 / 255)
        return self._alpha

    def compose(self, frame: Frame, alpha: Plane, scene: PreparedScene) -> Frame:
        """See ``protocols.Canvas``."""
        match scene.scene.background:
            case Keep():
                return frame
            case Alpha():
                return self._matte_alone(frame, alpha)
            case Remove() if self.holds_alpha:
                return self._cut_out(frame, alpha)
            case Blur(strength):
                self._blur = self._blur or RoomBlur(self._taken)
                back = self._blur.blur(frame.planes, alpha, strength)
            case _:
                if scene.backdrop is None:
                    raise TypeError(f"{scene.scene.background} was not prepared")
                back = scene.backdrop.planes_at(frame.captured_ns)
        wrap = scene.scene.edge.light_wrap
        between = self._edge_colour.between(frame.planes, alpha, back, wrap) if self.colours_edges else None
        self._blender.over(frame.planes, alpha, back, self._done, between)
        return self._like(frame, self._done, None)

    def _cut_out(self, frame: Frame, alpha: Plane) -> Frame:
        """Straight colour where the person is, and a little around; else black: nothing of the room is passed on."""
        near = cv2.dilate(cv2.compare(alpha, 0, cv2.CMP_GT), np.ones((_MARGIN, _MARGIN), np.uint8))
        planes = self._own(frame.planes, alpha) if self.colours_edges else frame.planes
        for plane, done, black in zip(planes, self._done, self.black, strict=True):
            mask = near if near.shape == plane.shape else cv2.resize(near, plane.shape[::-1])
            done.fill(black)
            np.copyto(done, plane, where=mask > 0)
        return self._like(frame, self._done, alpha)

    def _own(self, planes: Planes, alpha: Plane) -> Planes:
        """The person's own colour: F = α·I + (1 − α)·G."""
        self._straight = self._straight or new_planes(self.format, self.size)
        between = self._edge_colour.between(planes, alpha, planes, 0)
        self._blender.over(planes, alpha, between, self._straight)
        return self._straight

    def _matte_alone(self, frame: Frame, alpha: Plane) -> Frame:
        """The alpha as a grey picture."""
        if self.format is PixelFormat.RGBP:
            return Frame((alpha,), PixelFormat.GREY, self.size, captured_ns=frame.captured_ns, sequence=frame.sequence)
        black, white = self.black[0], solid((255, 255, 255), self.color)[0]
        cv2.convertScaleAbs(alpha, dst=self._done[0], alpha=(white - black) / 255, beta=black)
        for chroma in self._done[1:]:
            chroma.fill(128)
        return self._like(frame, self._done, None)

    def give(self, done: Frame) -> Frame:
        """See ``protocols.Canvas``. It is in our memory already."""
        return done


def _check(alpha: NDArray[np.float32]) -> None:
    """Refuse what is not what ``Matte`` promises: it would show the room, or the matte of another frame."""
    if not (alpha.ndim == 2 and alpha.size > 0 and bool(alpha.min() >= 0 and alpha.max() <= 1)):  # NaN is neither
        raise EngineError("the network gave no valid matte")


def _scale(spec: InputSpec, planes: list[Plane]) -> float:
    if not spec.scale_to_max:
        return spec.scale
    peak = max(int(plane.max()) for plane in planes)
    return 1 / peak if peak else 0.0
