"""Plans, really built, by TensorRT-RTX, which needs no GPU for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bgcamd.cuda.driver import Card
from bgcamd.cuda.fake import FakeDriver
from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.fixed import fixed_network
from bgcamd.matting.manifest import Manifest, find_manifest
from bgcamd.matting.tensorrt.build import build_plan
from bgcamd.matting.tensorrt.cache import PlanCache
from bgcamd.matting.tensorrt.fake import FakeTrt
from bgcamd.matting.tensorrt.plans import Plans
from bgcamd.matting.tensorrt.runtime import TensorRt

FRAME = Size(1280, 720)
CARD = Card("GeForce RTX 4060", (8, 9), integrated=False)
Fetched = Callable[[Manifest], Manifest]


@pytest.fixture
def rtx() -> TensorRt:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install -e '.[dev]'")
    return TensorRt("tensorrt-rtx")


@pytest.fixture
def small(counting: Manifest, counting_model: Path) -> bytes:
    return fixed_network(counting, counting_model, Size(64, 32), half=True)


@pytest.mark.model
@pytest.mark.parametrize("name", ["selfie", "selfie-landscape", "rvm", "u2netp", "u2net"])
@pytest.mark.parametrize("half", [False, True])
def test_every_model_is_parsed_and_built(rtx: TensorRt, fetched: Fetched, name: str, half: bool) -> None:
    manifest = fetched(find_manifest(name))
    model = fixed_network(manifest, manifest.path(), manifest.input.spec(FRAME).size, half=half)
    built = build_plan(rtx, model, CARD)
    assert len(built.plan) > 100_000
    assert built.timings == b""


@pytest.mark.model
def test_rvm_is_built_for_a_picture_that_stands_upright(rtx: TensorRt, fetched: Fetched) -> None:
    manifest = fetched(find_manifest("rvm"))
    size = manifest.input.spec(Size(1080, 1920)).size
    assert size.height > size.width
    assert build_plan(rtx, fixed_network(manifest, manifest.path(), size, half=True), CARD).plan


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6), (8, 9), (12, 0)])
def test_for_each_kind_of_card_that_it_knows(rtx: TensorRt, small: bytes, capability: tuple[int, int]) -> None:
    assert build_plan(rtx, small, CARD._replace(capability=capability)).plan


def test_for_a_card_that_it_does_not_know_says_so(rtx: TensorRt, small: bytes) -> None:
    with pytest.raises(EngineError, match=r"tensorrt-rtx .* is not for the H100 \(sm_90\)"):
        build_plan(rtx, small, Card("H100", (9, 0), integrated=False))


def test_progress_goes_up_to_the_end(rtx: TensorRt, small: bytes) -> None:
    told: list[float] = []

    def tell(fraction: float | None, what: str) -> None:
        assert what == "building"
        assert fraction is not None
        told.append(fraction)

    build_plan(rtx, small, CARD, progress=tell)
    assert told == sorted(told)
    assert told[0] < 0.2
    assert 0.8 < told[-1] <= 1


class StopError(Exception):
    """What a listener may raise."""


@pytest.mark.parametrize("after", [1, 20])
def test_a_listener_that_raises_ends_it(rtx: TensorRt, small: bytes, after: int) -> None:
    told = []

    def tell(fraction: float | None, what: str) -> None:
        told.append(fraction)
        if len(told) == after:
            raise StopError

    with pytest.raises(StopError):
        build_plan(rtx, small, CARD, progress=tell)
    assert len(told) == after
    assert build_plan(rtx, small, CARD).plan  # the next one is not harmed


def test_a_layer_that_it_does_not_know_is_named(rtx: TensorRt, make_model: Callable[..., Path]) -> None:
    file = make_model([("Det", ["x"], "alpha")], {"x": (1, 3, 8, 8)}, {"alpha": (1, 3)})
    with pytest.raises(EngineError, match=r"does not understand the network: .*Det.*UNSUPPORTED_NODE") as caught:
        build_plan(rtx, file.read_bytes(), CARD)
    assert "\n" not in caught.value.message


def test_plans_are_kept_and_found(rtx: TensorRt, growing: Manifest, tmp_path: Path) -> None:
    def plans() -> Plans:
        return Plans(growing, FakeDriver(CARD), rtx, cache=PlanCache(tmp_path))

    told = []
    plan = plans().plan(FRAME, build=True, progress=lambda fraction, what: told.append(what))
    assert set(told) == {"preparing", "building"}
    assert plans().plan(FRAME, build=False) == plan
    assert plans().is_built(FRAME)
    assert not plans().is_built(Size(720, 1280))
    (file,) = tmp_path.glob("*.plan")
    assert file.name.startswith("counting-128x72-fp16-tensorrt-rtx-geforce-rtx-4060-")


@pytest.fixture
def growing(counting: Manifest, counting_model: Path) -> Manifest:
    return replace(counting, file=str(counting_model))


@pytest.mark.parametrize("unfit", [b"of another GPU", b"damaged"])
def test_what_tensorrt_measured_helps_its_next_build(
    growing: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unfit: bytes
) -> None:
    driver = FakeDriver(CARD)
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTrt(driver))  # type: ignore[arg-type]
    cache = PlanCache(tmp_path)
    plans = Plans(growing, driver, TensorRt("tensorrt"), cache=cache)
    plans.plan(FRAME, build=True)
    assert cache.read("tensorrt-10.16.1-sm89.timing") == b"timings"
    cache.write("tensorrt-10.16.1-sm89.timing", unfit)
    plans.plan(Size(720, 1280), build=True)
    assert cache.read("tensorrt-10.16.1-sm89.timing") == b"timings"
