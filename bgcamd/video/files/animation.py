"""Pictures that move: GIF, PNG, WebP and AVIF of several frames (libav knows only the first two)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from bgcamd.errors import InputError
from bgcamd.frame import Color, Frame, PixelFormat
from bgcamd.video.files.container import usual_color
from bgcamd.video.files.images import DAMAGE, HINT, brief, decoded, opened
from bgcamd.video.files.swscale import as_i420

_MS = 1_000_000
_USUAL_MS = 100
_SHORTEST_MS = 11


class AnimationReader:
    """Every frame of a moving picture, composed as it is seen, with straight alpha. See ``protocols.Reader``.

    A frame declared to last less than 11 ms lasts 100 ms, as in every browser. Frames own their memory.

    Parameters
    ----------
    path: the file.
    format, color: as ``MediaReader``, also in what becomes of odd sizes.

    Attributes
    ----------
    size, rate, count: as ``protocols.Reader``; the rate is that of the first frame.
    color: of I420 frames.
    alpha: whether the first frame has alpha; later ones may differ.
    damage: None, or after the last frame what was wrong with the file, one line.

    Raises
    ------
    InputError: as ``images.read_image``.
    """

    sound = None
    aspect = Fraction(1)

    def __init__(
        self,
        path: Path,
        *,
        format: Literal[PixelFormat.I420, PixelFormat.RGB24] = PixelFormat.I420,  # noqa: A002 - the field's name
        color: Color | None = None,
    ) -> None:
        self.name = str(path)
        self.files = (path,)
        self.damage: str | None = None
        self._format = format
        with ExitStack() as stack:
            self._image = stack.enter_context(opened(path))
            try:
                self.count = int(getattr(self._image, "n_frames", 1))
                self.color = color or usual_color(self._image.height)
                first = self._frame(0)
            except DAMAGE as error:
                raise InputError(f"can't read {path}: the picture is damaged: {brief(error)}", HINT) from error
            self._stack = stack.pop_all()
        self.size = first.size
        self.alpha = first.alpha is not None
        self.rate = Fraction(1000, self._lasts_ms())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame, once."""
        time_ms = 0
        for index in range(self.count):
            try:
                frame = self._frame(index)
            except DAMAGE as error:
                self.damage = f"{self.name} is damaged at frame {index}: {brief(error)}"
                return
            frame.captured_ns = time_ms * _MS
            frame.sequence = index
            time_ms += self._lasts_ms()
            yield frame

    def _frame(self, index: int) -> Frame:
        self._image.seek(index)
        frame = decoded(self._image)
        return frame if self._format is PixelFormat.RGB24 else as_i420(frame, self.color)

    def _lasts_ms(self) -> int:
        declared = round(self._image.info.get("duration") or 0)
        return declared if declared >= _SHORTEST_MS else _USUAL_MS
