"""What a client's parameters of org.bgcam.Set stand for; each function raises UsageError where they make no sense."""

from __future__ import annotations

from pathlib import Path

from bgcamd.errors import UsageError
from bgcamd.scene import Blur, Colour, Fit, Keep, Remove, check_edge
from bgcamd.values import colour

Plain = Blur | Colour | Remove | Keep


def background_of(blur: int | None, color: str | None, remove: bool | None, keep: bool | None) -> Plain | None:
    """The background that the parameters name, None where they name none."""
    named: list[Plain | None] = [
        None if blur is None else _blur(blur),
        None if color is None else _colour(color),
        Remove() if remove else None,
        Keep() if keep else None,
    ]
    chosen = [each for each in named if each is not None]
    if len(chosen) > 1:
        raise two_backgrounds()
    return chosen[0] if chosen else None


def _blur(strength: int) -> Blur:
    if not 1 <= strength <= 100:
        raise UsageError(f"blur is {strength}, must be 1..100")
    return Blur(strength)


def _colour(text: str) -> Colour:
    try:
        found = colour(text, Path())
    except ValueError as error:
        raise UsageError(f"color is {text[:40]!r}, {error}") from None
    if found is None:
        raise UsageError("color is empty", "give a colour such as #00b140")
    return found


def edge_of(**given: int | None) -> dict[str, int]:
    """The edge's fields that were given."""
    asked = {key: value for key, value in given.items() if value is not None}
    try:
        check_edge(asked)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return asked


def fit_of(text: str | None) -> Fit | None:
    """How the background is to be fitted, None for as it is."""
    try:
        return None if text is None else Fit(text)
    except ValueError:
        raise UsageError(f"fit is {str(text)[:40]!r}, must be one of {', '.join(Fit)}") from None


def two_backgrounds() -> UsageError:
    """The error for more than one."""
    return UsageError("two backgrounds at once", "give one of replace, choice, blur, color, remove, keep")
