"""Errors over the wire: which class of ``bgcamd.errors`` is which error of org.bgcam, and back."""

from __future__ import annotations

from collections.abc import Mapping

from bgcamd.errors import BgcamError, ControlError, InputError, ModelError, SinkError, SourceError, UsageError

# The first class that fits names the error; the last class of a name is what the client raises.
_FAULTS: tuple[tuple[str, type[BgcamError]], ...] = (
    ("org.bgcam.BadPicture", InputError),
    ("org.bgcam.BadValue", UsageError),
    ("org.bgcam.UnknownModel", ModelError),
    ("org.bgcam.NotReady", SourceError),
    ("org.bgcam.NotReady", SinkError),
    ("org.bgcam.NotReady", ControlError),
    ("org.bgcam.Busy", ControlError),
    ("org.bgcam.Failed", BgcamError),
)
_CLASSES = dict(_FAULTS)


def name_of(error: BgcamError) -> str:
    """The varlink error that stands for ``error``."""
    return next(name for name, cls in _FAULTS if isinstance(error, cls))


def parameters_of(error: BgcamError) -> dict[str, object]:
    """What goes with it: message and hint."""
    return {"message": error.message, "hint": error.hint}


def from_wire(name: str, parameters: Mapping[str, object]) -> BgcamError | None:
    """The exception for an error reply, None where ``name`` is not one of org.bgcam's."""
    cls = _CLASSES.get(name)
    if cls is None:
        return None
    return cls(str(parameters.get("message") or name), str(parameters.get("hint") or ""))
