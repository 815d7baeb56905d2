"""Which network "auto" is, and how much work it may make."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgcamd.frame import Size
from bgcamd.matting.engines import Reason, Way
from bgcamd.matting.manifest import find_manifest
from bgcamd.networks import Networks

SIZE = Size(128, 96)


def no_gpu(choice: object) -> tuple[tuple[Way, ...], tuple[Reason, ...]]:
    return (), ()


@pytest.fixture
def fetched(models: Path) -> None:
    for name in ("selfie", "rvm"):
        if not find_manifest(name).path().is_file():
            pytest.skip(f"needs bgcam models fetch {name}")


@pytest.mark.parametrize(
    ("quality", "name"), [("auto", "selfie"), ("low", "selfie"), ("medium", "selfie"), ("high", "rvm")]
)
def test_auto_is_the_best_that_is_fetched_only_where_quality_counts(fetched: None, quality: str, name: str) -> None:
    model = Networks("auto", 1, SIZE, quality, look=no_gpu).open("auto")  # type: ignore[arg-type]
    try:
        assert model.pipeline.engine.name.startswith(f"{name} on cpu")
        assert model.pipeline.effort.startswith("medium" if quality == "auto" else quality)
        assert model.name == "auto"
    finally:
        model.close()


def test_who_names_a_model_gets_it_at_any_quality(fetched: None) -> None:
    model = Networks("auto", 1, SIZE, "high", look=no_gpu).open("selfie")
    try:
        assert model.pipeline.engine.name.startswith("selfie on cpu")
    finally:
        model.close()


def test_high_takes_the_usual_one_where_the_best_is_not_fetched(
    fetched: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selfie = find_manifest("selfie").path()
    (tmp_path / selfie.name).write_bytes(selfie.read_bytes())
    monkeypatch.setenv("BGCAMD_MODELS", str(tmp_path))
    model = Networks("auto", 1, SIZE, "high", look=no_gpu).open("auto")
    try:
        assert model.pipeline.engine.name.startswith("selfie on cpu")
        assert model.pipeline.effort == "high, pinned"
    finally:
        model.close()
