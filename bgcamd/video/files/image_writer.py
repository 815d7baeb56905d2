"""Still pictures, out: one file, its kind chosen by the extension."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from bgcamd.atomic import check_target, reason, replacing
from bgcamd.errors import OutputError
from bgcamd.frame import Frame, PixelFormat
from bgcamd.video.files.swscale import interleaved

ALPHA_SUFFIXES = frozenset({".png", ".webp", ".tif", ".tiff"})
"""What can be written with alpha."""

_SAVE: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 3}),  # level 6, the default, takes twice the time for 5 % of the size
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"quality": 95, "exact": True}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".bmp": ("BMP", {}),
}
WRITE_SUFFIXES = frozenset(_SAVE)


def check_image_kind(path: Path, *, alpha: bool) -> None:
    """Raise OutputError if the extension is unknown or can't hold the alpha."""
    suffix = path.suffix.lower()
    if suffix not in _SAVE:
        raise OutputError(f"can't write {path}: unknown kind of picture", f"known are {' '.join(sorted(_SAVE))}")
    if alpha and suffix not in ALPHA_SUFFIXES:
        raise OutputError(f"{path} can't be transparent", "write .png or .webp, or choose a background")


def write_image(path: Path, frame: Frame, *, overwrite: bool) -> None:
    """Write a picture, its kind chosen by the extension; the file appears whole or not at all.

    frame: GREY, RGB24, RGBP or I420; its alpha, if any, is kept straight. JPEG is written with quality 95
    and full-resolution colour; PNG, TIFF and BMP are lossless.

    Raises
    ------
    OutputError: the extension is unknown or can't hold the alpha; the file exists and ``overwrite`` is False;
        it can't be written.
    """
    with ImageWriter(path, alpha=frame.alpha is not None, overwrite=overwrite) as sink:
        sink.write(frame)


class ImageWriter:
    """A sink that takes exactly one frame.

    Parameters
    ----------
    path, overwrite: as ``write_image``.
    alpha: whether the frame will have alpha; refused at once where the file could not hold it.
    """

    def __init__(self, path: Path, *, alpha: bool = False, overwrite: bool = False) -> None:
        check_image_kind(path, alpha=alpha)
        check_target(path, overwrite=overwrite)
        self.name = str(path)
        self._path = path
        self._overwrite = overwrite
        self._written = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._part = self._stack.enter_context(replacing(self._path, overwrite=self._overwrite))
        self._stack.enter_context(self._completing())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Encode the one picture. Raises OutputError as ``write_image``, and for a second frame."""
        if self._written:
            raise OutputError(f"{self.name} holds one picture only", "name a directory/ or a pattern like %04d.png")
        check_image_kind(self._path, alpha=frame.alpha is not None)
        kind, options = _SAVE[self._path.suffix.lower()]
        try:
            _pillow_image(frame).save(self._part, kind, **options)
        except (OSError, ValueError, struct.error) as error:
            text = reason(error) if isinstance(error, OSError) else str(error)
            raise OutputError(f"can't write {self.name}: {text}") from error
        self._written = True

    @contextmanager
    def _completing(self) -> Iterator[None]:
        yield
        if not self._written:
            raise OutputError(f"{self.name} was not written: there was no picture")


def _pillow_image(frame: Frame) -> Image.Image:
    if frame.format is PixelFormat.GREY and frame.alpha is None:
        return Image.fromarray(np.ascontiguousarray(frame.planes[0]))
    return Image.fromarray(np.ascontiguousarray(interleaved(frame)))
