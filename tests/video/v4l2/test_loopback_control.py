"""A virtual camera is made where there is none, if the module lets us."""

from __future__ import annotations

import ctypes

import pytest

from bgcamd.errors import SinkError
from bgcamd.frame import Size
from bgcamd.video.v4l2.fake_control import FakeControl
from bgcamd.video.v4l2.fake_kernel import FakeKernel, FakeLoopback
from bgcamd.video.v4l2.loopback import LoopbackSink
from bgcamd.video.v4l2.loopback_control import Config, find_or_make_loopback


def test_the_structure_is_laid_out_as_in_the_modules_header() -> None:
    assert ctypes.sizeof(Config) == 72
    assert (Config.card_label.offset, Config.max_buffers.offset, Config.announce_all_caps.offset) == (8, 56, 68)


def test_one_that_is_there_is_taken() -> None:
    kernel = FakeKernel(FakeLoopback())
    kernel.plug(FakeControl(kernel))
    assert find_or_make_loopback("Virtual BG Camera", kernel) == "/dev/video10"
    assert len(kernel.video_nodes()) == 1


def test_one_that_is_missing_is_made_with_its_label_and_used() -> None:
    kernel = FakeKernel(FakeLoopback(name="OBS"))
    kernel.plug(FakeControl(kernel))
    with LoopbackSink(None, label="Virtual BG Camera 2", size=Size(64, 48), fps=30, kernel=kernel) as sink:
        assert sink.name == "Virtual BG Camera 2 (/dev/video11)"
    assert kernel.descriptors == 0


@pytest.mark.parametrize("denied", [True, False])
def test_without_the_right_or_the_node_the_cure_is_told(denied: bool) -> None:
    kernel = FakeKernel()
    if denied:
        kernel.plug(FakeControl(kernel, denied=True))
    with pytest.raises(SinkError, match="not loaded"):
        find_or_make_loopback("Virtual BG Camera", kernel)
    assert kernel.descriptors == 0
