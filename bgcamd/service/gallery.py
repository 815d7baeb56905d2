"""The backgrounds that a client can choose by name: plain ones, those of the user's folder, those that clients sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bgcamd.canvas.planes import Planes
from bgcamd.errors import InputError, UsageError
from bgcamd.paths import config_files
from bgcamd.scene import Background, Blur, Clip, Colour, Picture, Scene
from bgcamd.service.backgrounds import Backgrounds
from bgcamd.service.thumbnails import Thumbnails
from bgcamd.video.files.images import READ_SUFFIXES
from bgcamd.video.files.media_formats import CONTAINERS

_MOST = 200
"""More files of a folder are not offered."""
_COLOURS = {
    "Green": (0, 177, 64), "Teal": (15, 118, 110), "Navy": (30, 41, 89), "Plum": (88, 50, 92),
    "Sand": (214, 199, 176), "Grey": (107, 114, 128), "White": (255, 255, 255), "Black": (0, 0, 0),
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One background on offer.

    id: names it in a call; never a path of ours.
    background: what it is, a file as far as its name tells.
    recent: a client sent it, so that it can be forgotten.
    """

    id: str
    name: str
    background: Blur | Colour | Picture | Clip
    recent: bool = False

    def as_dict(self) -> dict[str, object]:
        """org.bgcam's type Choice."""
        plain = {"id": self.id, "name": self.name, "recent": self.recent}
        match self.background:
            case Blur():
                return {**plain, "kind": "blur"}
            case Colour(rgb):
                return {**plain, "kind": "color", "color": _code(rgb)}
            case Picture() | Clip():
                return {**plain, "kind": type(self.background).__name__.lower()}


PLAIN = (
    Choice("blur", "Blur", Blur()),
    *(Choice(f"color:{name.lower()}", name, Colour(rgb)) for name, rgb in _COLOURS.items()),
)


class Gallery:
    """What there is to choose, looked up anew each time: files come and go.

    Parameters
    ----------
    sent: the pictures that clients sent.
    folders: the first of these that is there is the user's folder; its files are shown where they lie.
    kind: tells by content what a file is. Raises InputError.
    small: reads a picture, or a clip's first frame, as small planes, R, G, B. Raises InputError.
    """

    def __init__(
        self,
        sent: Backgrounds,
        folders: tuple[Path, ...],
        kind: Callable[[Path, str], Picture | Clip],
        small: Callable[[Path], Planes],
    ) -> None:
        self.sent = sent
        self._folders, self._kind, self._thumbnails = folders, kind, Thumbnails(small)

    def choices(self) -> list[Choice]:
        """All, in the order in which they are shown: plain ones, the folder's by name, the newest sent first."""
        return [*PLAIN, *files_in(self._folders), *self._sent()]

    def _sent(self) -> Iterator[Choice]:
        for path, name in self.sent.kept():
            yield Choice(f"sent:{path.name}", name, _guess(path, name) or Picture(path, name), recent=True)

    def find(self, id_: str) -> Choice:
        """The choice of that id. Raises UsageError."""
        for choice in self.choices():
            if choice.id == id_:
                return choice
        raise UsageError(f"there is no background {id_[:80]!r} to choose", "Backgrounds lists them")

    def background(self, choice: Choice) -> Background:
        """What to show for it: what a file is, its content tells. Raises InputError, without our path in it."""
        shown = choice.background
        if not isinstance(shown, Picture | Clip):
            return shown
        try:
            return self._kind(shown.path, shown.name)
        except InputError as error:
            raise without_path(error, shown) from error

    def thumbnail(self, choice: Choice) -> bytes:
        """A small JPEG of it. Raises InputError, without our path in it, and UsageError for what is no picture."""
        shown = self.background(choice)
        try:
            return self._thumbnails.of(shown)
        except InputError as error:
            raise without_path(error, shown) from error

    def current(self, scene: Scene) -> str | None:
        """The id of what ``scene`` shows; None for what is not on offer."""
        shown = scene.background
        for choice in self.choices():
            offered = choice.background
            if isinstance(shown, Picture | Clip):
                if isinstance(offered, Picture | Clip) and offered.path == shown.path:
                    return choice.id
            elif offered == shown or (isinstance(offered, Blur) and isinstance(shown, Blur)):
                return choice.id
        return None

    def after(self, scene: Scene) -> Choice:
        """What comes after what ``scene`` shows: blur, then picture after picture; where there are none, colours."""
        blur, *rest = self.choices()
        pictures = [choice for choice in rest if isinstance(choice.background, Picture | Clip)]
        turn, now = [blur, *(pictures or rest)], self.current(scene)
        place = next((number for number, choice in enumerate(turn) if choice.id == now), -1)
        return turn[(place + 1) % len(turn)]


def files_in(folders: tuple[Path, ...]) -> list[Choice]:
    """The pictures and clips in the first of these folders that is there, as far as their names tell."""
    folder = next(filter(_is_folder, folders), None)
    if folder is None:
        return []
    known = [Choice(f"file:{path.name}", path.stem, shown) for path in _listed(folder) if (shown := _guess(path))]
    return known[:_MOST]


def usual_folders(instance: str, settings: Path | None) -> tuple[Path, ...]:
    """Where a user's folder of backgrounds may be: beside the settings file that was read, or where it would be."""
    files = ([settings.absolute()] if settings else []) + config_files(instance)
    return tuple(dict.fromkeys(file.parent / "backgrounds" for file in files))


def without_path(error: InputError, shown: Background) -> InputError:
    """``error`` with the name that clients know, where it has our path."""
    if not isinstance(shown, Picture | Clip):
        return error
    return InputError(error.message.replace(str(shown.path), shown.name), error.hint)


def _code(rgb: tuple[int, int, int]) -> str:
    return f"#{bytes(rgb).hex()}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # in a home that we may not enter
        return False


def _listed(folder: Path) -> list[Path]:
    """Its files by name, without the hidden ones; none where we may not look."""
    try:
        with os.scandir(folder) as entries:
            files = [Path(entry) for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    except OSError:
        return []
    return sorted((path for path in files if _is_text(path.name)), key=lambda path: path.name.casefold())


def _is_text(name: str) -> bool:
    """Whether a file's name can be said in JSON."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _guess(path: Path, name: str = "") -> Picture | Clip | None:
    """What a file is, as far as its name tells; None for what is no background."""
    suffix = path.suffix.lower()
    if suffix in READ_SUFFIXES:
        return Clip(path, name or path.name) if suffix == ".gif" else Picture(path, name or path.name)
    return Clip(path, name or path.name) if suffix in CONTAINERS else None
