"""Pictures by the dozen, in: a video made of pictures, and pictures each for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from bgcamd.errors import InputError
from bgcamd.frame import Frame, Size
from bgcamd.video.files.container import usual_color
from bgcamd.video.files.images import read_image
from bgcamd.video.files.numbering import pictures_of

_SECOND = 1_000_000_000


class StillsReader:
    """Pictures, each for itself, of any size. RGB24. See ``protocols.Reader``.

    Attributes
    ----------
    files: the pictures, in order; a frame's ``sequence`` is its picture's place among them.
    size, rate: None and 0. count: how many there are.
    damage: None, or after the last frame which pictures could not be read.
    """

    size: Size | None = None
    rate = Fraction(0)

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self.count = len(self.files)
        self.damage: str | None = None

    @property
    def name(self) -> str:
        """The picture, or the directory."""
        return str(self.files[0] if self.count == 1 else self.files[0].parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield every picture that can be read. Raises InputError when none can."""
        errors = []
        for sequence, path in enumerate(self.files):
            try:
                frame = read_image(path)
            except InputError as error:
                errors.append(error)
                continue
            frame.sequence = sequence
            yield frame
        if errors and len(errors) == self.count:
            raise errors[0]
        if errors:
            self.damage = f"{len(errors)} of {self.count} pictures can't be read; the first: {errors[0].message}"


class SequenceReader:
    """Numbered or globbed pictures of one size that make a video. RGB24. See ``protocols.Reader``.

    Parameters
    ----------
    pattern: as ``pictures_of``.
    rate: frames per second.

    Attributes
    ----------
    files: the pictures, in order.
    damage: None, or which number is missing.
    sound, aspect, color: as of ``MediaReader``; none, 1, and what a video of that height usually has.
    alpha: whether the first picture has alpha.

    Raises
    ------
    InputError: no picture matches, or the first can't be read.
    """

    sound = None
    aspect = Fraction(1)

    def __init__(self, pattern: Path, *, rate: Fraction = Fraction(30)) -> None:
        self.name = str(pattern)
        self.rate = rate
        self.files, self.damage = pictures_of(pattern)
        self.count = len(self.files)
        first = read_image(self.files[0])
        self.size = first.size
        self.alpha = first.alpha is not None
        self.color = usual_color(first.size.height)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield every picture. Raises InputError at one that can't be read or has another size."""
        for sequence, path in enumerate(self.files):
            frame = read_image(path)
            if frame.size != self.size:
                raise InputError(
                    f"{path} is {frame.size}, but {self.files[0].name} is {self.size}",
                    "the pictures of a video must have one size",
                )
            frame.sequence = sequence
            frame.captured_ns = int(sequence * _SECOND / self.rate)
            yield frame
