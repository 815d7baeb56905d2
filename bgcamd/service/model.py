"""A network in use, with all that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bgcamd.pipeline import Pipeline

Progress = Callable[[str], None]
"""Is told, again and again, in a few words what is being done. What it raises ends the work."""


@dataclass(frozen=True)
class Model:
    """A network in use. Whoever has it calls ``close``, once, when no frame goes through it any more.

    name: as the user wrote it.
    pipeline: a canvas and an engine that fit each other.
    why: why it runs where it does.
    close: frees what the pipeline needs.
    better: opens the same network where it runs better, or None where that is here. Slow: it may be built first.
    problem: what the user should know about it, or "".
    """

    name: str
    pipeline: Pipeline
    why: str
    close: Callable[[], None]
    better: Callable[[Progress], Model] | None = None
    problem: str = ""
