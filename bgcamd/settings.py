"""What the daemon is told once, at its start: one table of settings, read from TOML and from options.

A row of ``SETTINGS`` is all there is to say about a setting; the file's reader, the options of ``bgcamd``, their
help and completion are made from it. Values are frozen and passed down; nothing reads the file again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Literal

from bgcamd import toml_file, values
from bgcamd.errors import SettingsError
from bgcamd.paths import DEFAULT_INSTANCE
from bgcamd.scene import (
    EDGE_RANGES,
    USUAL_EDGE,
    Alpha,
    Background,
    Blur,
    Clip,
    Colour,
    Fit,
    Keep,
    Picture,
    Remove,
    Scene,
)

if TYPE_CHECKING:
    from bgcamd.frame import Size


@dataclass(frozen=True)
class SceneChange:
    """What was asked of the scene; None where nothing was.

    background: a ``Path`` is a file that is there and readable, a picture or a clip: not opened yet.
    edge: the fields of ``Edge`` that were asked for, by name, within their ranges.
    """

    background: Keep | Remove | Alpha | Blur | Colour | Path | None = None
    fit: Fit | None = None
    mirror: bool | None = None
    edge: Mapping[str, int] = field(default_factory=dict)

    def applied_to(self, scene: Scene, opened: Callable[[Path], Picture | Clip]) -> Scene:
        """Return ``scene`` with the change made; ``opened`` tells what a file is, and is called only for a file."""
        shown: Background | None = opened(self.background) if isinstance(self.background, Path) else self.background
        return replace(
            scene,
            background=scene.background if shown is None else shown,
            fit=scene.fit if self.fit is None else self.fit,
            mirror=scene.mirror if self.mirror is None else self.mirror,
            edge=replace(scene.edge, **self.edge),
        )


@dataclass(frozen=True)
class CameraSettings:
    """Which camera, and what is asked of it; size and fps are None for the camera's own.

    always_on: also while nobody watches; else it goes off ``linger`` seconds after the last one left.
    """

    address: str
    size: Size | None
    fps: Fraction | None
    always_on: bool
    linger: float


@dataclass(frozen=True)
class OutputSettings:
    """Where the picture goes, one address or more."""

    addresses: tuple[str, ...]


@dataclass(frozen=True)
class ModelSettings:
    """The network: name is a model's, or the path of a manifest; threads are those of the CPU engine."""

    name: str
    quality: Literal["auto", "low", "medium", "high"]
    engine: Literal["auto", "cpu", "tensorrt", "tensorrt-rtx"]
    threads: int


@dataclass(frozen=True)
class ControlSettings:
    """The socket that ``bgcam`` talks to: None for the usual place; mode as of chmod, or None; group a name, or ""."""

    socket: Path | None
    mode: int | None
    group: str


@dataclass(frozen=True)
class PreviewSettings:
    """The page that shows the picture; port 0 is any free one; folder is of the backgrounds to choose from."""

    port: int
    folder: Path | None


@dataclass(frozen=True)
class Settings:
    """All of it; ``file`` is the one that was read, if any."""

    camera: CameraSettings
    output: OutputSettings
    model: ModelSettings
    control: ControlSettings
    preview: PreviewSettings
    scene: SceneChange
    file: Path | None


@dataclass(frozen=True)
class Setting:
    """One setting.

    name: dotted, as in "camera.size": the section and the key in the file.
    read: makes the value from what TOML gives; raises ValueError, see ``values``.
    default: as it would be written in the file.
    help: a phrase for ``--help``.
    option, metavar, choices: the option of the command line, "" for none; what its help and completion show.
    """

    name: str
    read: values.Reader
    default: str | int | bool | list[str]
    help: str
    option: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name within its section."""
        return self.name.partition(".")[2]

    def from_file(self, raw: object, folder: Path) -> object:
        """Return the value of what the file in ``folder`` says. Raises ValueError."""
        try:
            return self.read(raw, folder)
        except ValueError as error:
            raise ValueError(f"{error} (got {_SHORT.repr(raw)})") from error

    def from_option(self, raw: object) -> object:
        """Return the value of what the shell gave: text, a tuple of texts, or a flag. Raises ValueError."""
        return self.from_file(_number(raw) if type(self.default) is int else raw, Path())


def _edge(key: str, help_: str) -> Setting:
    (low, high), usual = EDGE_RANGES[key], getattr(USUAL_EDGE, key)
    return Setting(
        f"scene.{key}",
        values.whole(low, high),
        usual,
        f"{help_}, {low} to {high}, usually {usual}",
        f"--{key.replace('_', '-')}",
        "N",
    )


QUALITIES = ("auto", "low", "medium", "high")
ENGINES = ("auto", "cpu", "tensorrt", "tensorrt-rtx")

SETTINGS = (
    Setting("camera.address", values.address, "auto",
            "the camera: auto, /dev/video0, a clip or a picture, demo:", "--camera", "ADDRESS"),
    Setting("camera.size", values.size, "auto",
            "the picture's size", "--size", "WxH"),
    Setting("camera.fps", values.rate, 0,
            "frames per second; 0 for the camera's own", "--fps", "N"),
    Setting("camera.always_on", values.flag, False,
            "keep the camera on while nobody watches", "--always-on"),
    Setting("camera.linger", values.seconds, 5,
            "seconds until the camera goes off after the last one who watched has left", "--linger", "SECONDS"),
    Setting("output.addresses", values.addresses, ["auto"],
            "where the picture goes: auto, loopback:, /dev/videoN, clip.mp4, preview:, null:", "--output", "ADDRESS"),
    Setting("model.name", values.address, "auto",
            "the network that finds the person, a name or a manifest's path; auto is the best that there is time for",
            "--model", "NAME"),
    Setting("model.quality", values.choice(*QUALITIES), "auto",
            "how much work a frame is worth", "--quality", "|".join(QUALITIES), QUALITIES),
    Setting("model.engine", values.choice(*ENGINES), "auto",
            "what runs it", "--engine", "|".join(ENGINES), ENGINES),
    Setting("model.threads", values.whole(1, 256), 1,
            "CPU threads it may use", "--threads", "N"),
    Setting("control.socket", values.socket, "auto",
            "where bgcam finds the daemon", "--socket", "PATH"),
    Setting("control.mode", values.mode, "auto",
            "who may connect: the socket's mode; auto is 0600, with a group 0660"),
    Setting("control.group", values.text, "",
            "the socket's group"),
    Setting("preview.port", values.whole(0, 65535), 0,
            "the preview page's port; 0 for any free one"),
    Setting("preview.folder", values.folder, "auto",
            "the pictures and clips that can be chosen there, and by the keys of display:"),
    Setting("scene.replace", values.media, "",
            "show a picture or a clip behind the person", "--replace", "FILE"),
    Setting("scene.blur", values.blur, 50,
            "blur the room, 1 to 100", "--blur", "[N]"),
    Setting("scene.color", values.colour, "",
            "show one colour behind the person", "--color", "COLOR"),
    Setting("scene.remove", values.background(Remove()), False,
            "leave nothing behind the person: transparent in files, black live", "--remove"),
    Setting("scene.keep", values.background(Keep()), False,
            "leave the picture as it is", "--keep"),
    Setting("scene.fit", values.member(Fit), "cover",
            "how a background of another shape fills the frame", "--fit", "|".join(Fit), tuple(Fit)),
    Setting("scene.mirror", values.flag, False,
            "flip the camera's picture left to right", "--mirror/--no-mirror"),
    _edge("feather", "make the person's outline softer"),
    _edge("shift", "move the outline outward, or inward below 0"),
    _edge("threshold", "how sure the network must be that it sees the person, in percent"),
    _edge("smooth", "how steady the outline is where nothing moves"),
    _edge("light_wrap", "how much light of the new background falls on the outline"),
)  # fmt: skip
"""Every setting there is. Those of [scene] are options of ``bgcam set`` and ``bgcam process`` too."""

_BACKGROUNDS = ("replace", "blur", "color", "remove", "keep", "alpha")
_SHORT = Repr()
_SHORT.maxstring = 200


def load_settings(config: Path | None, overrides: Mapping[str, object], instance: str = DEFAULT_INSTANCE) -> Settings:
    """Read the settings: ``overrides`` before the file before the defaults.

    Parameters
    ----------
    config: the file, which must then exist; None to look in the usual places, see ``toml_file.find``.
    instance: whose usual places.
    overrides: options as the shell gave them, by dotted name; None or () is one not given.

    Raises SettingsError, with the file or the option, the setting's name and what is wrong.
    """
    file = toml_file.find(config, instance)
    given = {} if file is None else toml_file.read(file, [row.name for row in SETTINGS])
    found: dict[str, object] = {}
    for row in SETTINGS:
        try:
            where = f"{file}: {row.name}"
            if row.name in given and file is not None:
                found[row.name] = row.from_file(given[row.name], file.absolute().parent)
            where = row.option or row.name
            if overrides.get(row.name) not in (None, ()):
                found[row.name] = row.from_option(overrides[row.name])
        except ValueError as error:
            raise SettingsError(f"{where}: {error}") from error
    return _built(found, file)


def scene_change(found: Mapping[str, Any]) -> SceneChange:
    """Make a change of scene of values by key ("blur", "fit", ...). Raises ValueError where two are backgrounds."""
    chosen = {key: found[key] for key in _BACKGROUNDS if found.get(key) is not None}
    if len(chosen) > 1:
        raise ValueError(" and ".join(chosen))
    edge = {key: found[key] for key in EDGE_RANGES if key in found}
    return SceneChange(next(iter(chosen.values()), None), found.get("fit"), found.get("mirror"), edge)


def _built(found: Mapping[str, object], file: Path | None) -> Settings:
    def section(name: str) -> dict[str, Any]:
        rows = [row for row in SETTINGS if row.name.startswith(name + ".")]
        return {row.key: found.get(row.name, row.read(row.default, Path())) for row in rows}

    try:
        scene = scene_change({name.removeprefix("scene."): value for name, value in found.items()})
    except ValueError as error:
        raise SettingsError(f"{file}: [scene]: {error} can't be shown at once", "keep one of them") from error
    return Settings(
        CameraSettings(**section("camera")),
        OutputSettings(**section("output")),
        ModelSettings(**section("model")),
        ControlSettings(**section("control")),
        PreviewSettings(**section("preview")),
        scene,
        file,
    )


def _number(raw: object) -> object:
    """An option's text as TOML would have given it; what is no number stays, for its reader to refuse."""
    if not isinstance(raw, str):
        return raw
    for kind in (int, float):
        with suppress(ValueError):
            return kind(raw)
    return raw
