from __future__ import annotations

import numpy as np
import pytest

from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.protocols import Sink
from bgcamd.video.null import NullSink

FRAME = Frame((np.zeros((2, 2), np.uint8),), PixelFormat.GREY, Size(2, 2))


def test_it_counts_frames_and_knows_their_rate() -> None:
    times = iter([1_000_000_000, 1_040_000_000, 1_080_000_000])
    sink = NullSink(now_ns=lambda: next(times))
    assert sink.rate == 0
    for _ in range(3):
        sink.write(FRAME)
    assert sink.frames == 3
    assert sink.rate == pytest.approx(25)


def test_it_is_a_sink() -> None:
    sink: Sink = NullSink()
    with sink:
        sink.write(FRAME)
    assert sink.name == "nowhere"
