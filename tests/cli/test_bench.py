"""bgcam bench: what it measures is what happens."""

from __future__ import annotations

import numpy as np

from bgcamd.canvas.background import Plate
from bgcamd.canvas.host import HostCanvas
from bgcamd.canvas.planes import Planes
from bgcamd.cli.bench import measure
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.matting.fake import FakeEngine
from bgcamd.pipeline import Pipeline
from bgcamd.scene import Colour, PreparedScene, Scene

SIZE = Size(64, 48)


class Clock:
    """A backdrop that remembers the times at which it was shown."""

    problem = ""

    def __init__(self) -> None:
        self.planes: Planes = Plate(SIZE, PixelFormat.I420, BT601).solid((0, 0, 0))
        self.times: list[int] = []

    def planes_at(self, time_ns: int) -> Planes:
        self.times.append(time_ns)
        return self.planes

    def close(self) -> None:
        pass


def raw() -> Frame:
    return Frame((np.full((48, 64, 2), 128, np.uint8),), PixelFormat.YUYV, SIZE)


def test_a_background_clip_plays_at_the_frames_rate() -> None:
    backdrop = Clock()
    measure(Pipeline(HostCanvas(SIZE), FakeEngine()), PreparedScene(Scene(Colour()), backdrop), [raw(), raw()], 20)
    steps = np.diff(backdrop.times)
    assert len(steps) >= 20
    assert (np.abs(steps - 1e9 / 30) <= 1).all()


def test_inference_and_the_rest_are_the_whole() -> None:
    engine = FakeEngine()
    result = measure(Pipeline(HostCanvas(SIZE), engine), PreparedScene(Scene(Colour()), Clock()), [raw()], 20)
    assert engine.total >= 20
    assert result.keys() == {"stages", "cpu_ms_per_frame", "cpu_ms_not_inference", "fps"}
    assert isinstance(result["cpu_ms_per_frame"], float)
    assert isinstance(result["cpu_ms_not_inference"], float)
    assert 0 < result["cpu_ms_not_inference"] < result["cpu_ms_per_frame"]
