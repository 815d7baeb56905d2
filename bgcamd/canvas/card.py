"""The card that viewers see when there is no picture: a title and a line or two of what to do."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bgcamd.canvas.background import Plate
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.scene import Fit

_INK, _SOFT = (240, 243, 246), (166, 176, 188)
# Of one chroma: 8 bits of a chroma that changes along a dark ramp are seen as stripes of another hue.
_TOP, _BOTTOM = (38, 44, 54), (17, 23, 33)


class Cards:
    """Draws cards for a plate; the last one is kept, so that showing it again costs nothing."""

    def __init__(self, plate: Plate) -> None:
        self._plate = plate
        self._text: tuple[str, ...] = ()
        self._planes: Planes = new_planes(plate.format, plate.size)

    def frame(self, title: str, lines: tuple[str, ...] = ()) -> Frame:
        """The card in the plate's format; ours, valid until the next call."""
        if self._text != (title, *lines):
            self._text = (title, *lines)
            picture = draw_card(self._plate.size, title, lines)
            self._plate.lay(Frame((picture,), PixelFormat.RGB24, self._plate.size), Fit.STRETCH, self._planes)
        return Frame(self._planes, self._plate.format, self._plate.size, color=self._plate.color)


def draw_card(size: Size, title: str, lines: tuple[str, ...] = ()) -> Plane:
    """Return a packed RGB picture, uint8 (height, width, 3), with the text in its middle.

    The text is scaled down until it fits. Not for the hot path: about 10 ms.
    """
    ramp = np.linspace(0, 1, size.height)[:, None, None]
    shade = (np.array(_TOP) * (1 - ramp) + np.array(_BOTTOM) * ramp).astype(np.uint8)
    card = Image.fromarray(np.ascontiguousarray(np.broadcast_to(shade, (size.height, size.width, 3))))
    pen = ImageDraw.Draw(card)
    rows = [(_on_one_line(title), 0.085, _INK), *((_on_one_line(line), 0.042, _SOFT) for line in lines if line)]
    fonts = [_font(pen, text, share * size.height, size.width * 0.9) for text, share, _ in rows]
    gap = size.height * 0.03
    boxes = [pen.textbbox((0, 0), text, font=font) for (text, _, _), font in zip(rows, fonts, strict=True)]
    y = (size.height - sum(box[3] - box[1] + gap for box in boxes)) / 2
    for (text, _, ink), font, box in zip(rows, fonts, boxes, strict=True):
        pen.text(((size.width - box[2] - box[0]) / 2, y - box[1]), text, fill=ink, font=font)
        y += box[3] - box[1] + gap
    return np.asarray(card)


def _on_one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _font(pen: ImageDraw.ImageDraw, text: str, height: float, width: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font at this height in pixels, or smaller so that the text is no wider than ``width``."""
    font = ImageFont.load_default(max(height, 6))
    wide = pen.textlength(text, font=font)
    if wide > width:
        font = ImageFont.load_default(max(height * width / wide, 6))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType")
    return font
