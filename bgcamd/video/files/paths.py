"""What a path stands for, and who reads or writes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

from bgcamd.errors import InputError, OutputError
from bgcamd.frame import Color, PixelFormat, Size
from bgcamd.video.files.animation import AnimationReader
from bgcamd.video.files.container import Sound, open_container, video_stream
from bgcamd.video.files.image_writer import ALPHA_SUFFIXES as ALPHA_PICTURES
from bgcamd.video.files.image_writer import WRITE_SUFFIXES, ImageWriter
from bgcamd.video.files.images import is_animated
from bgcamd.video.files.media_formats import ALPHA_SUFFIXES as ALPHA_CLIPS
from bgcamd.video.files.media_formats import CONTAINERS
from bgcamd.video.files.media_reader import MediaReader
from bgcamd.video.files.media_writer import MediaWriter
from bgcamd.video.files.numbering import NumberedPath, is_glob, is_numbered, pictures_in
from bgcamd.video.files.sequence import SequenceReader, StillsReader
from bgcamd.video.files.sequence_writer import PicturesWriter, sequence_writer, stills_paths, stills_writer

FileReader = MediaReader | AnimationReader | SequenceReader | StillsReader
FileWriter = MediaWriter | ImageWriter | PicturesWriter

_FRAMES = "%04d.png"


class Film(Protocol):
    """What has frames one after the other, all of one size: a clip, numbered pictures, a camera."""

    @property
    def name(self) -> str:
        """What a person would call it."""

    @property
    def files(self) -> Sequence[Path]:
        """What it is read from."""

    @property
    def size(self) -> Size:
        """The size of its frames."""

    @property
    def rate(self) -> Fraction:
        """Frames per second, nominal."""

    @property
    def color(self) -> Color:
        """The meaning of its samples."""

    @property
    def sound(self) -> Sound | None:
        """What is to be heard beside it."""

    @property
    def aspect(self) -> Fraction:
        """Width of a pixel over its height."""


class Kind(Enum):
    """What a path stands for."""

    IMAGE = "a picture"
    CLIP = "a video"
    SEQUENCE = "numbered pictures"
    DIRECTORY = "a directory of pictures"


def classify(path: Path) -> Kind:
    """Tell what an input is: existing files by their content, others by their name.

    Raises
    ------
    InputError: there is no such file, it can't be read, or it is neither picture nor video.
    """
    if path.is_dir():
        return Kind.DIRECTORY
    if not os.path.lexists(path) and (is_numbered(path.name) or is_glob(path.name)):
        return Kind.SEQUENCE
    animated = is_animated(path)
    if animated is not None:
        return Kind.CLIP if animated else Kind.IMAGE
    with open_container(path) as container:
        video_stream(container, path)
    return Kind.CLIP


def output_kind(path: str | Path) -> Kind:
    """Tell what an output is to be. A directory exists, or ends in "/" (which ``Path`` leaves out: pass the text).

    Raises
    ------
    OutputError: its extension is none that we can write.
    """
    target = Path(path)
    if target.is_dir() or str(path).endswith("/"):
        return Kind.DIRECTORY
    suffix = target.suffix.lower()
    if suffix in CONTAINERS:
        return Kind.CLIP
    if suffix in WRITE_SUFFIXES:
        return Kind.SEQUENCE if is_numbered(target.name) else Kind.IMAGE
    known = " ".join(sorted({*CONTAINERS, *WRITE_SUFFIXES}))
    raise OutputError(f"can't write {path}: unknown kind of file", f"known are {known}; a directory ends in /")


def holds_alpha(path: str | Path) -> bool:
    """Whether an output can be transparent. Raises OutputError as ``output_kind``."""
    kind = output_kind(path)
    return kind is Kind.DIRECTORY or Path(path).suffix.lower() in ALPHA_PICTURES | ALPHA_CLIPS


def open_reader(
    path: Path,
    *,
    format: Literal[PixelFormat.I420, PixelFormat.RGB24] = PixelFormat.I420,  # noqa: A002 - the field's name
    color: Color | None = None,
    rate: Fraction = Fraction(30),
) -> FileReader:
    """Open a picture, a clip, numbered pictures or a directory.

    Parameters
    ----------
    format, color: of a clip's frames, as ``MediaReader``; pictures are always RGB24.
    rate: of numbered pictures.

    Raises
    ------
    InputError: as ``classify`` and the readers.
    """
    match classify(path):
        case Kind.DIRECTORY:
            return StillsReader(pictures_in(path))
        case Kind.SEQUENCE:
            return SequenceReader(path, rate=rate)
        case Kind.IMAGE:
            return StillsReader([path])
        case Kind.CLIP if is_animated(path):
            return AnimationReader(path, format=format, color=color)
        case Kind.CLIP:
            return MediaReader(path, format=format, color=color)


def open_writer(
    path: str | Path,
    reader: StillsReader | Film,
    *,
    size: Size | None = None,
    color: Color | None = None,
    alpha: bool = False,
    overwrite: bool = False,
) -> FileWriter:
    """Open the output for what ``reader`` gives: one frame out for each frame in.

    Into a directory go the results of pictures under their own names, those of a video as 0000.png, 0001.png, …

    Parameters
    ----------
    size, color: of a video's frames, where not the reader's.
    alpha: whether the frames will have alpha, which the output must be able to hold.
    overwrite: whether existing files may be replaced.

    Raises
    ------
    OutputError: before any work: the output can't hold this input, would replace it, exists, or can't be written.
    """
    kind, target = output_kind(path), Path(path)
    stills = isinstance(reader, StillsReader)
    if kind is Kind.DIRECTORY and stills:
        _spare(stills_paths(target, reader.files), reader.files)
        return stills_writer(target, reader.files, alpha=alpha, overwrite=overwrite)
    if kind in (Kind.DIRECTORY, Kind.SEQUENCE):
        pattern = target / _FRAMES if kind is Kind.DIRECTORY else target
        _spare(_existing(pattern), reader.files)
        return sequence_writer(pattern, alpha=alpha, overwrite=overwrite)
    _spare((target,), reader.files)
    if kind is Kind.IMAGE:
        _check_one_picture(target, reader)
        return ImageWriter(target, alpha=alpha, overwrite=overwrite)
    if isinstance(reader, StillsReader):
        raise OutputError(f"{path} is a video, but {reader.name} is not", "write .png, .jpg or a directory/")
    return MediaWriter(
        target,
        size=size or reader.size,
        rate=reader.rate,
        color=color or reader.color,
        alpha=alpha,
        sound=reader.sound,
        aspect=reader.aspect,
        overwrite=overwrite,
    )


def _check_one_picture(path: Path, reader: StillsReader | Film) -> None:
    if not isinstance(reader, StillsReader):
        raise OutputError(f"{path} is a picture, but {reader.name} is a video", "write .mp4, a directory/ or %04d.png")
    if reader.count > 1:
        raise OutputError(f"{path} is one picture, but {reader.name} holds {reader.count}", "write a directory/")


def _existing(pattern: Path) -> Sequence[Path]:
    numbered = NumberedPath(pattern)
    return [numbered[number] for number in numbered.numbers()] if pattern.parent.is_dir() else []


def _spare(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise OutputError if an output is one of the inputs, under whatever name or link."""
    ours = {_identity(path) for path in inputs}
    for path in outputs:
        if path.exists() and _identity(path) in ours:
            raise OutputError(f"{path} is the input itself", "choose another name or directory")


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error
    return status.st_dev, status.st_ino
