"""What can go wrong, how it is brought about, and what viewers are then to see; for the tests and for the table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fault_house import House, Output
from fault_room import SIZE

from bgcamd.errors import DeviceError, SinkError
from bgcamd.frame import Matte, PixelFormat, Size
from bgcamd.matting.fake import Fault as Wrong
from bgcamd.video.null import NullSink

Act = Callable[[House], None]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    name, how: in words. strike: brings it about. mend: makes the world as it was; what comes of that is bgcamd's part.
    state, said: what `bgcam status` says as long as it lasts. sees: what viewers see, "card", "last" picture, "live"
    picture, or "background" alone. once: it is over by itself. format: of the camera.
    """

    name: str
    how: str
    strike: Act
    mend: Act = lambda house: None
    state: str = "hidden"
    said: str = ""
    sees: str = "card"
    once: bool = False
    format: PixelFormat = PixelFormat.YUYV


def _wrong(fault: Wrong) -> Act:
    return lambda house: setattr(house.engine, "fault", fault)


def _right(house: House) -> None:
    house.engine.fault = house.engine.changes = None
    house.engine.unstall.set()


def _answers(change: Callable[[Matte], Matte]) -> Act:
    return lambda house: setattr(house.engine, "changes", change)


def _other(alpha: Any) -> Act:
    return _answers(lambda matte: replace(matte, alpha=alpha))


def once(house: House, owner: object, name: str, error: Exception) -> None:
    """The next call of a method raises, the one after works."""
    real = getattr(owner, name)

    def fails(*given: Any, **others: Any) -> Any:
        setattr(owner, name, real)
        house.struck()
        raise error

    setattr(owner, name, fails)


def _no_memory(stage: str) -> Fault:
    owners: dict[str, Callable[[House], object]] = {
        "infer": lambda house: house.engine,
        "planes_at": lambda house: house.loop.scene.backdrop,
    }
    return Fault(
        f"no memory in {stage}, for one frame",
        "MemoryError",
        lambda house: once(house, owners.get(stage, lambda it: it.canvas)(house), stage, MemoryError()),
        once=True,
    )


def _no_memory_to_read(house: House) -> None:
    def poll() -> None:
        house.polls = lambda: None
        raise MemoryError

    house.polls = poll


def _no_memory_for_a_card(house: House) -> None:
    """Nor for a matte, so that cards are wanted."""
    draw, left = house.loop.draw_card, [3]

    def fails(*words: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            house.loop.draw_card = draw
        raise MemoryError

    house.loop.draw_card = fails
    house.engine.fault = Wrong.NAN


def _gpu_lost(house: House) -> None:
    once(house, house.engine, "infer", DeviceError("the GPU has fallen off the bus"))


def _gpu_lost_in_need(house: House) -> None:
    def fails(matte: Matte) -> Matte:
        raise DeviceError("the GPU has fallen off the bus")

    once(house, house.networks, "rescue", MemoryError())
    house.engine.changes = fails


def _unplug(house: House) -> None:
    house.camera.unplug()


def _replug(**given: Any) -> Act:
    return lambda house: house.replug(**given)


def _spoil(change: Callable[[bytes], bytes]) -> Act:
    return lambda house: setattr(house, "spoils", change)


def _whole(house: House) -> None:
    house.spoils = lambda data: data


def _held_by_another(house: House) -> None:
    house.camera.unplug()
    house.replug(busy=True)


def _let_go(house: House) -> None:
    house.camera.busy = False


def _silent(house: House) -> None:
    house.filming = False


def _films(house: House) -> None:
    house.filming = True


def _driver_hangs(house: House) -> None:
    held = threading.Event()
    house.polls, house.release = held.wait, held  # type: ignore[attr-defined]


def _driver_comes_back(house: House) -> None:
    house.polls = lambda: None
    house.release.set()  # type: ignore[attr-defined]


def _module_unloaded(house: House) -> None:
    house.output.unplug()


def _module_loaded(house: House) -> None:
    house.output = Output(house)
    house.kernel.plug(house.output)


def _another_writer(house: House) -> None:
    house.output.unplug()
    house.output = Output(house, held=True)
    house.kernel.plug(house.output)


def _writer_leaves(house: House) -> None:
    house.output.held = False


def _format_changed(house: House) -> None:
    house.output.takes = 100


def _format_back(house: House) -> None:
    house.output.takes = None


def _other_output(error: Exception) -> tuple[Act, Act]:
    real = NullSink.write

    def fails(*_: object) -> None:
        raise type(error)(*error.args)

    return lambda house: setattr(NullSink, "write", fails), lambda house: setattr(NullSink, "write", real)


def _jpeg_of_another_size(data: bytes) -> bytes:
    from fault_room import sent

    return sent(len(data), PixelFormat.MJPG, Size(64, 48))


ENGINE = (
    Fault("the network raises", "EngineError from infer", _wrong(Wrong.RAISE), _right, said="told to fail"),
    Fault("the network crashes", "RuntimeError from infer", _wrong(Wrong.CRASH), _right, said="internal error"),
    Fault("its answer is NaN", "alpha of NaN", _wrong(Wrong.NAN), _right, said="no valid matte"),
    Fault("its answer is in 0..255", "alpha × 255", _other(np.full((48, 64), 255, np.float32)), _right),
    Fault("its answer is infinite", "alpha of ∞", _other(np.full((48, 64), np.inf, np.float32)), _right),
    Fault("its answer has no samples", "alpha (0, 64)", _other(np.zeros((0, 64), np.float32)), _right),
    Fault("its answer has another shape", "alpha (1, 48, 64)", _other(np.zeros((1, 48, 64), np.float32)), _right),
    Fault("its answer is none", "None as alpha", _other(None), _right, said="internal error"),
    Fault("its answer is nobody", "alpha of 0", _wrong(Wrong.EMPTY), _right, state="live", sees="background"),
    Fault("the network hangs", "infer does not return", _wrong(Wrong.STALL), _right, said="does not answer"),
    Fault("the GPU is lost", "DeviceError from infer", _gpu_lost, once=True),
    Fault("… and there is no memory to go on without it", "MemoryError from its rescue", _gpu_lost_in_need, once=True),
)
MEMORY = (
    *map(_no_memory, ("take", "moved", "shrink", "infer", "refine", "planes_at", "compose", "give")),
    Fault("no memory to read a frame", "MemoryError from the camera", _no_memory_to_read, sees="live", once=True),
    Fault("no memory for cards either", "MemoryError from three cards", _no_memory_for_a_card, _right),
)
CAMERA = (
    Fault("camera unplugged", "POLLERR, ENODEV", _unplug, _replug(), state="waiting", said="is gone"),
    Fault("… back under another number", "as /dev/video4", _unplug, _replug(node="/dev/video4"), state="waiting"),
    Fault(
        "… back with another size and format",
        "NV12 256x192",
        _unplug,
        _replug(format=PixelFormat.NV12, size=Size(256, 192)),
        state="waiting",
    ),
    Fault("… back in another shape", "MJPG 96x96", _unplug, _replug(format=PixelFormat.MJPG, size=Size(96, 96)),
          state="waiting"),
    Fault("camera held by another program", "S_FMT: EBUSY", _held_by_another, _let_go, state="waiting", said="busy"),
    Fault("camera silent", "no frame", _silent, _films, state="waiting", said="no picture for"),
    Fault("its driver hangs", "poll does not return", _driver_hangs, _driver_comes_back, state="waiting", said="hangs"),
    Fault("frames too short", "half of bytesused", _spoil(lambda data: data[: len(data) // 2]), _whole,
          state="waiting", said="no picture for"),
    Fault("frames that are no JPEG", "zeros", _spoil(lambda data: bytes(len(data))), _whole, state="waiting",
          said="damaged", format=PixelFormat.MJPG),
    Fault("JPEG of another size", "64x48", _spoil(_jpeg_of_another_size), _whole, state="waiting", said="damaged",
          format=PixelFormat.MJPG),
    Fault("JPEG cut off", "its first half", _spoil(lambda data: data[: len(data) // 2]), _whole, state="waiting",
          said="damaged", format=PixelFormat.MJPG),
)  # fmt: skip
OUTPUT = (
    Fault("virtual camera gone", "ENODEV", _module_unloaded, _module_loaded, state="live", said="no virtual camera",
          sees="nothing"),
    Fault("taken by another writer", "S_FMT: EBUSY", _another_writer, _writer_leaves, state="live", sees="nothing"),
    Fault("its format changed by another", "write takes a part", _format_changed, _format_back, state="live",
          said="changed its format", sees="nothing"),
    Fault("another output fails", "SinkError from write", *_other_output(SinkError("nobody listens")), state="live",
          said="nobody listens", sees="live"),
    Fault("another output crashes", "RuntimeError from write", *_other_output(RuntimeError("a bug")), state="live",
          said="a bug", sees="live"),
)  # fmt: skip
ALL = (*ENGINE, *MEMORY, *CAMERA, *OUTPUT)

assert SIZE == (128, 96)  # what the words above say
