"""The models: whether those that the daemon would run are here, and every bit of what was fetched is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bgcamd.doctor.finding import Finding, Level, broken, ok
from bgcamd.doctor.machine import Machine
from bgcamd.errors import ModelError, SettingsError
from bgcamd.matting.manifest import Manifest, all_manifests, find_manifest
from bgcamd.matting.store import check_model, is_intact

USUAL = "selfie"
"""What "auto" comes to where no better one is fetched, or there is no time for it."""


def check_models(machine: Machine, manifests: Sequence[Manifest] | None = None) -> Iterator[Finding]:
    """Verify every fetched model by its sha256, and look for the one that the settings name.

    manifests: in place of the shipped ones.
    """
    known = list(all_manifests() if manifests is None else manifests)
    wanted = _wanted(machine, known)
    if isinstance(wanted, Finding):
        yield wanted
        return
    there = [manifest for manifest in known if manifest.path().is_file()]
    for manifest in there:
        if not is_intact(manifest):
            yield broken(
                check="models.damaged",
                what=f"the model {manifest.name} is damaged: it is not what was published",
                means=f"{manifest.path()} was cut short or changed.",
                cure=f"bgcam models fetch {manifest.name}",
                facts={"model": manifest.name, "path": str(manifest.path())},
            )
    intact = [manifest.name for manifest in there if is_intact(manifest)]
    if intact:
        what = f"{', '.join(intact)}: fetched, and every bit is right (sha256)"
        yield ok(check="models.fetched", what=what, facts={"models": intact})
    if wanted.name not in [manifest.name for manifest in there]:
        yield _missing(machine, wanted)


def _wanted(machine: Machine, known: list[Manifest]) -> Manifest | Finding:
    """The model of the settings, or what is wrong with its name."""
    try:
        name = machine.settings.model.name
    except SettingsError:  # which is for the check of the settings
        name = "auto"
    name = USUAL if name == "auto" else name
    found = next((manifest for manifest in known if manifest.name == name), None)
    if found is not None:
        return found
    try:
        return find_manifest(name)
    except ModelError as error:
        means = f"The settings name it. {error.hint}".rstrip()
        return broken(check="models.known", what=error.message, means=means, cure="bgcam models")


def _missing(machine: Machine, manifest: Manifest) -> Finding:
    """Worse where no daemon runs: one that does has its own."""
    try:
        check_model(manifest)
    except ModelError as error:
        told, cure = error.message, error.hint
    else:  # a manifest's own file, which is nothing to fetch
        return ok(check="models.fetched", what=f"{manifest.name}: its file is there")
    elsewhere = machine.daemon.state in {"answers", "asleep", "denied"}
    means = "The daemon has its own; you need one for `bgcam process`." if elsewhere else "Nothing is found without it."
    return Finding(
        check="models.missing",
        level=Level.NOTE if elsewhere else Level.BROKEN,
        what=told,
        means=means,
        cure=cure,
        facts={"model": manifest.name},
    )
