"""Who reads the virtual camera: by the module's events, by its reference count, and where neither is to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from bgcamd.frame import Size
from bgcamd.video.v4l2.fake_kernel import FakeKernel, FakeLoopback
from bgcamd.video.v4l2.loopback import LoopbackSink
from bgcamd.video.v4l2.readers import Always, OpenFiles, StreamEvents, watch_readers

NODE = "/dev/video10"


class Module:
    """An old module's reference count, and a /proc in which processes have its devices open."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self._count = folder, 100.0, 0
        (folder / "self" / "fd").mkdir(parents=True)
        self._tell(0)

    def watch(self, *others: str) -> OpenFiles:
        references = self.folder / "refcnt"
        return OpenFiles(NODE, others, now_s=lambda: self.now, references=references, processes=self.folder)

    def open(self, descriptor: str, node: str) -> None:
        (self.folder / descriptor).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / descriptor).symlink_to(node)
        self._tell(1)

    def close(self, descriptor: str) -> None:
        (self.folder / descriptor).unlink()
        self._tell(-1)

    def _tell(self, change: int) -> None:
        self._count += change
        (self.folder / "refcnt").write_text(f"{self._count}\n")


@pytest.fixture
def module(tmp_path: Path) -> Module:
    return Module(tmp_path)


def test_events_tell_how_many_stream() -> None:
    loopback = FakeLoopback(events=True)
    readers = StreamEvents(loopback.node, FakeKernel(loopback))
    assert not readers.present()
    loopback.read_by(2)
    assert readers.present()
    loopback.read_by(1)
    loopback.read_by(0)
    assert not readers.present()
    readers.close()


def test_one_who_was_there_before_us_is_told_too() -> None:
    loopback = FakeLoopback(events=True)
    loopback.read_by(1)
    assert StreamEvents(loopback.node, FakeKernel(loopback)).present()


def test_a_device_that_is_gone_raises_nothing() -> None:
    loopback = FakeLoopback(events=True)
    readers = StreamEvents(loopback.node, FakeKernel(loopback))
    loopback.unplug()
    assert not readers.present()


def test_the_sink_gives_its_descriptors_back() -> None:
    loopback = FakeLoopback(events=True)
    kernel = FakeKernel(loopback)
    with LoopbackSink(loopback.node, size=Size(64, 48), fps=30, kernel=kernel) as sink:
        assert not sink.watched
        loopback.read_by(1)
        assert sink.watched
    assert kernel.descriptors == 0


def test_one_who_keeps_it_open_is_a_reader_after_a_while(module: Module) -> None:
    files = module.watch()
    module.open("4711/fd/3", NODE)
    assert not files.present()
    module.now += 1
    assert files.present()
    module.close("4711/fd/3")
    assert not files.present()


def test_probes_are_no_readers(module: Module) -> None:
    files = module.watch()
    for _ in range(10):
        module.open("4711/fd/3", NODE)
        assert not files.present()
        module.now += 0.3
        module.close("4711/fd/3")
        assert not files.present()
        module.now += 1


def test_our_own_descriptors_do_not_count(module: Module) -> None:
    module.open("self/fd/5", NODE)
    files = module.watch()
    module.now += 1
    assert not files.present()


def test_another_bgcamd_on_another_device_is_no_reader_of_ours(module: Module) -> None:
    files = module.watch("/dev/video11")
    module.open("17/fd/3", "/dev/video11")
    files.present()
    module.now += 1
    assert not files.present()
    module.open("18/fd/9", NODE)
    files.present()
    module.now += 1
    assert files.present()


def test_a_module_that_is_gone_has_no_readers(module: Module) -> None:
    files = module.watch()
    module.open("4711/fd/3", NODE)
    (module.folder / "refcnt").unlink()
    module.now += 1
    assert not files.present()


def test_where_nothing_tells_the_camera_is_always_on() -> None:
    loopback = FakeLoopback(events=False)
    assert isinstance(watch_readers(loopback.node, FakeKernel(loopback)), Always)
    assert Always().present()
