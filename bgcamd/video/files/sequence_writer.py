"""Pictures by the dozen, out: a video's frames, numbered, or the results of single pictures, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bgcamd.atomic import check_folder, telling
from bgcamd.errors import OutputError
from bgcamd.frame import Frame
from bgcamd.video.files.image_writer import check_image_kind, write_image
from bgcamd.video.files.numbering import NumberedPath


class PicturesWriter:
    """A sink that writes each frame as a picture of its own.

    Each file appears whole or not at all; when the work is broken off, those already written stay.

    Parameters
    ----------
    folder: made if it does not exist, but not its parents; taken away again if nothing gets into it.
    path_of: the path, in ``folder``, of frame 0, 1, …
    taken: existing files that would be replaced; refused unless ``overwrite``.
    alpha: whether the frames will have alpha.
    consecutive: frames are counted here, whatever their ``sequence``: those of a camera have gaps, and begin anew.

    Raises
    ------
    OutputError: here, before any work, for what can't be written; later for a full disk and the like.
    """

    def __init__(
        self,
        folder: Path,
        path_of: Callable[[int], Path],
        *,
        taken: Sequence[Path] = (),
        alpha: bool = False,
        overwrite: bool = False,
        consecutive: bool = False,
    ) -> None:
        self.name = str(folder)
        self._folder = folder
        self._path_of = path_of
        self._overwrite = overwrite
        self._consecutive = consecutive
        self._written = 0
        self._stack = ExitStack()
        check_folder(folder if folder.exists() else folder.absolute().parent)
        check_image_kind(path_of(0), alpha=alpha)
        if taken and not overwrite:
            others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
            raise OutputError(f"{taken[0]}{others} exist", "use --overwrite to replace them")

    def __enter__(self) -> Self:
        if not self._folder.is_dir():
            with telling(self._folder):
                self._folder.mkdir()
            self._stack.callback(self._tidy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Write a frame to the path of its ``sequence``, or of the next number. Raises OutputError."""
        number = self._written if self._consecutive else frame.sequence
        write_image(self._path_of(number), frame, overwrite=self._overwrite)
        self._written += 1

    def _tidy(self) -> None:
        if not self._written:
            with suppress(OSError):
                self._folder.rmdir()


def sequence_writer(
    pattern: Path, *, alpha: bool = False, overwrite: bool = False, consecutive: bool = False
) -> PicturesWriter:
    """Write a video's frames as numbered pictures, from 0: ``out/%04d.png``. Raises as ``PicturesWriter``."""
    numbered = NumberedPath(pattern)
    taken = [numbered[number] for number in numbered.numbers()] if pattern.parent.is_dir() else []
    return PicturesWriter(
        pattern.parent,
        numbered.__getitem__,
        taken=taken,
        alpha=alpha,
        overwrite=overwrite,
        consecutive=consecutive,
    )


def stills_paths(folder: Path, files: Sequence[Path]) -> tuple[Path, ...]:
    """Return where the results of ``files`` go: the same base names, as PNG, in ``folder``.

    Raises
    ------
    OutputError: two of them would be the same.
    """
    paths: dict[Path, Path] = {}
    for file in files:
        path = folder / f"{file.stem}.png"
        if path in paths:
            raise OutputError(f"{paths[path].name} and {file.name} would both become {path}", "rename one of them")
        paths[path] = file
    return tuple(paths)


def stills_writer(
    folder: Path, files: Sequence[Path], *, alpha: bool = False, overwrite: bool = False
) -> PicturesWriter:
    """Write the result of each of ``files``, in that order, as ``stills_paths`` says. Raises as ``PicturesWriter``."""
    paths = stills_paths(folder, files)
    taken = [path for path in paths if path.exists()]
    return PicturesWriter(folder, paths.__getitem__, taken=taken, alpha=alpha, overwrite=overwrite)
