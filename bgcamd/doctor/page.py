"""A diagnosis as text, for eyes: what is broken first, with its cure; what is fine last, a line each."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from bgcamd import __version__
from bgcamd.doctor.examine import Diagnosis
from bgcamd.doctor.finding import Finding, Level

_TITLES = {Level.BROKEN: "BROKEN", Level.NOTE: "WORTH KNOWING", Level.OK: "FINE"}
_MARKS = {Level.BROKEN: "✗", Level.NOTE: "!", Level.OK: "✓"}
_COLOURS = {Level.BROKEN: "red", Level.NOTE: "yellow", Level.OK: "green"}
_NARROWEST, _GROUP = 40, 10


def diagnosis_page(diagnosis: Diagnosis, width: int) -> str:
    """The whole of it, styled, without a final newline. width: of the lines, in columns; a cure is never broken."""
    where = f", in a container ({diagnosis.container})" if diagnosis.container else ""
    blocks = [[f"bgcamd {__version__} on {diagnosis.system}, Linux {diagnosis.kernel}{where}"]]
    for level in (Level.BROKEN, Level.NOTE, Level.OK):
        found = [finding for finding in diagnosis.findings if finding.level is level]
        if found:
            title = click.style(_TITLES[level], fg=_COLOURS[level], bold=True)
            blocks.append([title, *(line for finding in found for line in _lines(finding, max(width, _NARROWEST)))])
    blocks.append(list(_end(diagnosis, width)))
    return "\n\n".join("\n".join(block) for block in blocks)


def _lines(finding: Finding, width: int) -> Iterator[str]:
    mark = click.style(_MARKS[finding.level], fg=_COLOURS[finding.level])
    indent = " " * (4 + _GROUP)
    what, *more = textwrap.wrap(_plain(finding.what), width - len(indent), break_on_hyphens=False) or [""]
    yield f"  {mark} {finding.group:<{_GROUP}}{what}"
    means = textwrap.wrap(_plain(finding.means), width - len(indent), break_on_hyphens=False)
    yield from (indent + line for line in more)
    yield from (click.style(indent + line, dim=True) for line in means)
    if finding.cure:
        yield indent + click.style("→ ", fg="cyan") + click.style(_plain(finding.cure), bold=True)


def _end(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    counts = [(diagnosis.count(level), word) for level, word in ((Level.BROKEN, "broken"), (Level.NOTE, "to know"))]
    told = ", ".join(f"{count} {word}" for count, word in counts if count) or "Nothing is broken"
    yield f"{told}; {diagnosis.count(Level.OK)} fine. Looked for {diagnosis.took_s:.1f} s."
    if not diagnosis.complete:
        text = "What other users' programs have open is not to be seen: `sudo bgcam doctor` sees it."
        yield from textwrap.wrap(text, max(width, _NARROWEST))


def _plain(text: str) -> str:
    """Without what could steer a terminal: names of devices and programs are in it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
