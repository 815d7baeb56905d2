"""What ``bgcam status`` and ``bgcam watch`` show: the daemon's status as text, for eyes.

The daemon may be of another version, so nothing in the status is taken for granted.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict

import click

from bgcamd.scene import USUAL_EDGE
from bgcamd.stats import STAGES

_TIMES = ("wall_p50", "wall_p95", "cpu_p50")
_ROWS = ("camera", "output", "size", "model", "engine", "why", "quality")
_SHOWN = {"version", "state", "fps", "stages", "age_ms", "frames", "dropped", "problems", "scene", *_ROWS}


def page(status: Mapping[str, object]) -> str:
    """The status on a page of some twenty lines, without a final newline."""
    rows = [(key, _text(status[key])) for key in _ROWS if key in status] + [("scene", scene_line(status.get("scene")))]
    rows += [(key, _text(value)) for key, value in status.items() if key not in _SHOWN and value not in (None, "", [])]
    width = max(len(key) for key, _ in rows)
    blocks = [
        [_heading(status)],
        _problems(status.get("problems")),
        [f"{_text(key):<{width}}  {value}" for key, value in rows],
        [_pace(status)],
        _stages(status.get("stages")),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def line(status: Mapping[str, object]) -> str:
    """The status on one line, for a log."""
    return f"{_text(status.get('state'))}  {_pace(status)}  {scene_line(status.get('scene'))}"


def scene_line(scene: object) -> str:
    """A scene of org.bgcam in a few words: "coral.jpg, contain, mirrored, feather 20"; not what is as usual."""
    if not isinstance(scene, Mapping):
        return _text(scene)
    parts = [_background(scene)]
    if scene.get("background") in ("picture", "clip") and scene.get("fit") not in (None, "cover"):
        parts.append(_text(scene["fit"]))
    if scene.get("mirror"):
        parts.append("mirrored")
    for key, usual in asdict(USUAL_EDGE).items():
        if scene.get(key) not in (None, usual):
            parts.append(f"{key.replace('_', ' ')} {_text(scene[key])}")
    return ", ".join(parts)


def _background(scene: Mapping[str, object]) -> str:
    plain = {"keep": "the room as it is", "remove": "nothing behind you", "alpha": "the matte alone"}
    match scene.get("background"):
        case "blur":
            return f"blur {_text(scene.get('blur'))}"
        case "color":
            return f"colour {_text(scene.get('color'))}"
        case "picture" | "clip" as kind:
            return _text(scene.get("name") or f"a {kind}")
        case other:
            return plain.get(str(other), _text(other))


def _heading(status: Mapping[str, object]) -> str:
    state = _text(status.get("state"))
    return f"bgcamd {_text(status.get('version'))}: " + click.style(state, fg="green" if state == "live" else "yellow")


def _problems(problems: object) -> list[str]:
    texts = problems if isinstance(problems, list) else []
    return [click.style(f"! {_text(each)}", fg="red") for each in texts]


def _pace(status: Mapping[str, object]) -> str:
    age = status.get("age_ms")
    p50, p95 = (_number(age.get(key), 1) for key in ("p50", "p95")) if isinstance(age, Mapping) else ("–", "–")
    fps, dropped = _number(status.get("fps"), 1), _text(status.get("dropped"))
    seen = f"{_text(status['frames'])} frames, " if "frames" in status else ""
    return f"{fps} fps, {seen}{dropped} dropped; age at the write {p50} ms, p95 {p95} ms"


def _stages(stages: object) -> list[str]:
    """A table: stages in the order of the pipeline, then any that we don't know."""
    if not isinstance(stages, Mapping) or not stages:
        return []
    names = [name for name in STAGES if name in stages] + [name for name in stages if name not in STAGES]
    width = max(len(_text(name)) for name in [*names, "ms"])
    table = [f"{'ms':<{width}}" + "".join(f"{head:>10}" for head in ("wall p50", "wall p95", "cpu p50"))]
    for name in names:
        times = stages[name] if isinstance(stages[name], Mapping) else {}
        table.append(f"{_text(name):<{width}}" + "".join(f"{_number(times.get(key), 2):>10}" for key in _TIMES))
    return table


def _number(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"


def _text(value: object) -> str:
    """Any value on one line; what could steer a terminal is left out."""
    if value is None or value == "":
        return "–"
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(key)} {_text(each)}" for key, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(c for c in str(value) if c.isprintable())


class Screen:
    """Draws a page over the last one, on a terminal; what was above it stays."""

    def __init__(self) -> None:
        self._height = 0

    def draw(self, text: str) -> None:
        """Replace what was drawn last. Long lines and pages are cut: a wrapped line would leave traces."""
        columns, rows = shutil.get_terminal_size()
        lines = [_cut(each, columns) for each in text.split("\n")[: rows - 1]]
        up = f"\x1b[{self._height}A\r\x1b[J" if self._height else ""
        click.echo(up + "\n".join(lines))
        self._height = len(lines)


def _cut(text: str, columns: int) -> str:
    plain = click.unstyle(text)
    return text if len(plain) <= columns else plain[: max(columns - 1, 0)] + "…"
