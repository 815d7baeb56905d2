"""The fake network keeps its promises, since other tests rely on them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bgcamd.errors import EngineError
from bgcamd.frame import Size
from bgcamd.matting.fake import FakeEngine, Fault
from bgcamd.protocols import Engine


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine(Size(4, 2))
    engine.fit(Size(1280, 720))
    return engine


WHITE = np.ones((1, 3, 2, 4), np.float32)


def test_it_is_an_engine() -> None:
    engine: Engine = FakeEngine()
    with engine:
        assert engine.fit(Size(9, 9)).size == Size(64, 36)


def test_white_is_person_and_black_is_not(engine: FakeEngine) -> None:
    x = WHITE.copy()
    x[..., :2] = 0
    x[0, 0, :, 1] = 1
    assert engine.infer(x).alpha == pytest.approx(np.array([[0, 1 / 3, 1, 1]] * 2))


def test_foreground_is_the_tensor_itself_on_demand() -> None:
    engine = FakeEngine(Size(4, 2), foreground=True)
    foreground = engine.infer(WHITE).foreground
    assert foreground is not None
    assert np.shares_memory(foreground, WHITE)


def test_passes_are_counted_until_the_state_is_forgotten(engine: FakeEngine) -> None:
    for _ in range(3):
        engine.infer(WHITE)
    assert (engine.passes, engine.total, engine.resets) == (3, 3, 1)
    engine.reset()
    engine.infer(WHITE)
    assert (engine.passes, engine.total, engine.resets) == (1, 4, 2)


@pytest.mark.parametrize(("fault", "error"), [(Fault.RAISE, EngineError), (Fault.CRASH, RuntimeError)])
def test_it_fails_on_demand_until_told_otherwise(engine: FakeEngine, fault: Fault, error: type[Exception]) -> None:
    engine.fault = fault
    for _ in range(2):
        with pytest.raises(error):
            engine.infer(WHITE)
    engine.fault = None
    assert engine.infer(WHITE).alpha.min() == 1


def test_answers_may_be_empty_or_no_numbers(engine: FakeEngine) -> None:
    engine.fault = Fault.EMPTY
    assert engine.infer(WHITE).alpha.max() == 0
    engine.fault = Fault.NAN
    assert np.isnan(engine.infer(WHITE).alpha).all()


def test_it_stalls_until_released(engine: FakeEngine) -> None:
    engine.fault = Fault.STALL
    thread = threading.Thread(target=engine.infer, args=(WHITE,))
    thread.start()
    assert thread.is_alive()
    engine.unstall.set()
    thread.join()
    assert engine.passes == 1
