"""The scene outlives a restart: a small JSON file, written whole, distrusted when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from bgcamd.atomic import reason, replacing, telling
from bgcamd.errors import OutputError
from bgcamd.scene import (
    EDGE_RANGES,
    Alpha,
    Background,
    Blur,
    Clip,
    Colour,
    Edge,
    Fit,
    Keep,
    Picture,
    Remove,
    Scene,
    check_edge,
)
from bgcamd.values import colour

T = TypeVar("T")

_VERSION = 1
_MAX_BYTES = 1 << 16
_PLAIN: dict[str, type[Keep] | type[Remove] | type[Alpha]] = {"keep": Keep, "remove": Remove, "alpha": Alpha}


@dataclass(frozen=True)
class Saved:
    """What is kept. model: the network's name, None for the settings' one. paused: nobody is to be shown."""

    scene: Scene = field(default_factory=Scene)
    model: str | None = None
    paused: bool = False


def save(file: Path, saved: Saved) -> None:
    """Write ``file`` whole or not at all, and make its folder where it is missing. Raises OutputError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"can't write {file}: {reason(error)}") from error
    scene = scene_to_dict(saved.scene)
    if isinstance(saved.scene.background, Picture | Clip):
        scene["path"] = str(saved.scene.background.path)
    kept = {"version": _VERSION, "scene": scene, "model": saved.model, "paused": saved.paused}
    text = json.dumps(kept, indent=2)
    with replacing(file, overwrite=True) as part, telling(file):
        part.write_text(text + "\n", encoding="utf-8")


def load(file: Path) -> tuple[Saved, str]:
    """Return what was saved, and a note for the log, "" when all is well. Never raises.

    What can't be read becomes the default scene, a background that is gone becomes a blur: never the open room.
    """
    try:
        with file.open("rb") as stored:
            raw = stored.read(_MAX_BYTES + 1)
        saved = _parse(raw)
    except FileNotFoundError:
        return Saved(), ""
    except (OSError, ValueError, RecursionError) as error:
        return Saved(), f"the saved scene in {file} can't be used ({error}); starting with a blurred background"
    background = saved.scene.background
    if isinstance(background, Picture | Clip) and not _is_file(background.path):
        note = f"the saved background {background.name or background.path} is gone; the background is blurred instead"
        return replace(saved, scene=replace(saved.scene, background=Blur())), note
    return saved, ""


def scene_to_dict(scene: Scene) -> dict[str, object]:
    """``scene`` as org.bgcam's type Scene; without the daemon's own paths."""
    plain = {"fit": scene.fit.value, "mirror": scene.mirror}
    return {**_background_to_dict(scene.background), **plain, **asdict(scene.edge)}


def _background_to_dict(background: Background) -> dict[str, object]:
    match background:
        case Blur(strength):
            return {"background": "blur", "blur": strength}
        case Colour((red, green, blue)):
            return {"background": "color", "color": f"#{red:02x}{green:02x}{blue:02x}"}
        case Picture() | Clip():
            return {"background": type(background).__name__.lower(), "name": background.name}
        case Keep() | Remove() | Alpha():
            return {"background": type(background).__name__.lower()}


def _parse(raw: bytes) -> Saved:
    """Raises ValueError, RecursionError."""
    if len(raw) > _MAX_BYTES:
        raise ValueError("too long")
    data = json.loads(raw.decode("utf-8"))
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        raise ValueError("not a scene that this version wrote")
    model = data.get("model")
    if model is not None and not isinstance(model, str):
        raise ValueError("model is no name")
    paused = data.get("paused", False)
    if not isinstance(paused, bool):
        raise ValueError("paused is neither true nor false")
    return Saved(_scene_from_dict(_typed(data, "scene", dict)), model, paused)


def _scene_from_dict(data: Mapping[str, object]) -> Scene:
    fit, mirror = Fit(_typed(data, "fit", str)), _typed(data, "mirror", bool)
    return Scene(_background_from_dict(data), fit, mirror, _edge_from_dict(data))


def _edge_from_dict(data: Mapping[str, object]) -> Edge:
    """What is missing, as in a file of before there were edge options, is as usual."""
    found = {key: _typed(data, key, int) for key in EDGE_RANGES if key in data}
    check_edge(found)
    return Edge(**found)


def _background_from_dict(data: Mapping[str, object]) -> Background:
    match kind := _typed(data, "background", str):
        case "keep" | "remove" | "alpha":
            return _PLAIN[kind]()
        case "blur":
            return Blur(_strength(_typed(data, "blur", int)))
        case "color":
            return _colour(_typed(data, "color", str))
        case "picture" | "clip":
            made = Picture if kind == "picture" else Clip
            return made(_path(_typed(data, "path", str)), _typed(data, "name", str))
    raise ValueError(f"background {kind[:40]!r} is not known")


def _strength(value: int) -> int:
    if not 1 <= value <= 100:
        raise ValueError("blur is not 1..100")
    return value


def _colour(text: str) -> Colour:
    found = colour(text, Path())
    if found is None:
        raise ValueError("color is empty")
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder we may not enter
        return False


def _path(text: str) -> Path:
    if "\0" in text or not text.startswith("/"):
        raise ValueError("path is no absolute path")
    return Path(text)


def _typed(data: Mapping[str, object], key: str, kind: type[T]) -> T:
    value = data.get(key)
    if type(value) is not kind:
        raise ValueError(f"{key} is no {kind.__name__}")
    return value
