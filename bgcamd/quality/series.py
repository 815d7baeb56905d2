"""Pictures or mattes that belong together, and which of one series goes with which of another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from bgcamd.errors import InputError
from bgcamd.frame import Frame, PixelFormat, Plane
from bgcamd.video.files.images import read_image
from bgcamd.video.files.paths import open_reader
from bgcamd.video.files.sequence import SequenceReader, StillsReader

_GREY_ENOUGH = 8  # mean difference of the colours, in grey levels: lossy codecs leave a little


class Series:
    """A picture, a directory of pictures, numbered pictures, or a clip: as ``open_reader``, in RGB24.

    Attributes
    ----------
    reader: what was opened; it tells a clip's traits.
    video: whether the pictures are frames of one clip.

    Raises
    ------
    InputError: it can't be read, a number is missing, or two files differ in nothing but the extension.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = open_reader(path, format=PixelFormat.RGB24)
        self.video = not isinstance(self.reader, StillsReader)
        self._files: tuple[Path, ...] = ()
        if isinstance(self.reader, StillsReader | SequenceReader):
            if self.reader.damage:
                raise InputError(self.reader.damage)
            self._files = self.reader.files
            self._stems = _by_stem(self._files)

    def __enter__(self) -> Self:
        self.reader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reader.__exit__(kind, error, trace)

    @property
    def count(self) -> int | None:
        """How many there are; of a clip an estimate, or None."""
        return self.reader.count

    def follow(self, other: Series) -> None:
        """Bring the pictures into the order of ``other``, by the files' names without their extensions.

        With a clip, or one picture each, the order stays. Raises InputError at the first that has no partner.
        """
        if not self._files or not other._files or len(self._files) == len(other._files) == 1:
            return
        for one, another in ((other, self), (self, other)):
            lonely = next((path for stem, path in one._stems.items() if stem not in another._stems), None)
            if lonely is not None:
                raise InputError(
                    f"{lonely} has no partner in {another.path}", "files go together by name: a.png, a.jpg"
                )
        self._files = tuple(self._stems[stem] for stem in other._stems)

    def label(self, index: int) -> str:
        """What a message calls one of the pictures."""
        return str(self._files[index]) if self._files else f"frame {index} of {self.path}"

    def name(self, index: int) -> str:
        """What a table calls one of the pictures: the file's name without the extension, or a frame's number."""
        return self._files[index].stem if self._files else f"{index:04d}"

    def __iter__(self) -> Iterator[Frame]:
        """Yield every picture, once. Raises InputError at one that can't be read."""
        if self._files:
            yield from self._pictures()
            return
        yield from self.reader
        if self.reader.damage:
            raise InputError(self.reader.damage)

    def _pictures(self) -> Iterator[Frame]:
        for path in self._files:
            frame = read_image(path)
            if self.video and frame.size != self.reader.size:
                raise InputError(f"{path} is {frame.size}, but others are {self.reader.size}", "a video has one size")
            yield frame

    def as_frames(self) -> Path | None:
        """The pattern that takes stills as a video, if they are named as one's frames are: 0001.png, 0002.png, ..."""
        first = self._files[0] if self._files and not self.video else Path()
        digits = first.stem[len(first.stem.rstrip("0123456789")) :]
        if len(self._files) < 2 or len(digits) < 3:
            return None
        head = first.stem.removesuffix(digits)
        run = range(int(digits), int(digits) + len(self._files))
        expected = [f"{head}{number:0{len(digits)}}{first.suffix}" for number in run]
        if [path.name for path in self._files] != expected:
            return None
        return first.with_name(f"{head.replace('%', '%%')}%0{len(digits)}d{first.suffix}")


def together(*series: Series) -> Iterator[tuple[Frame, ...]]:
    """Yield the first picture of each, the second of each, ... Raises InputError where one has fewer than another."""
    for index, frames in enumerate(zip_longest(*series)):
        found = tuple(frame for frame in frames if frame is not None)
        if len(found) < len(series):
            short = next(each for each, frame in zip(series, frames, strict=True) if frame is None)
            longer = next(each for each, frame in zip(series, frames, strict=True) if frame is not None)
            raise InputError(f"{short.path} ends after {index} pictures, {longer.path} does not", "they go by order")
        yield found


def matte_of(frame: Frame, label: str) -> Plane:
    """The matte that a picture holds, uint8 (height, width): its alpha if it has one, else its grey.

    Raises InputError for a colour picture without alpha, which is no matte.
    """
    if frame.format is PixelFormat.GREY:
        return frame.planes[0]
    (colours,) = frame.planes
    grey = float(np.ptp(colours, axis=2).mean()) <= _GREY_ENOUGH
    if frame.alpha is not None and not (grey and int(frame.alpha.min()) == 255):  # an opaque alpha round a grey matte
        return frame.alpha
    if not grey:
        raise InputError(f"{label} is a colour picture, not a matte", "a matte is grey or transparent; or add --model")
    matte: Plane = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    return matte


def _by_stem(files: tuple[Path, ...]) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in files:
        if path.stem in stems:
            raise InputError(f"{stems[path.stem]} and {path.name} have one name", "files go together by name: keep one")
        stems[path.stem] = path
    return stems
