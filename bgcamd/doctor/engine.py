"""What really runs the network, and how fast: by the daemon's word, else by trying."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median

import cv2
import numpy as np

from bgcamd.canvas.background import Plate
from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.machine import Machine
from bgcamd.errors import BgcamError, ModelError, SettingsError
from bgcamd.frame import BT601, Frame, PixelFormat, Size
from bgcamd.networks import Networks
from bgcamd.prepare import background_of, prepare
from bgcamd.scene import Colour, Scene
from bgcamd.service.model import Model
from bgcamd.settings import ModelSettings, SceneChange
from bgcamd.video.v4l2.modes import HD

_TRIED_S = 1.0
_FEWEST, _WARM_UP = 5, 3
_FRAME_MS = 1000 / 30

Open = Callable[[ModelSettings], Model]


def open_as_set(wanted: ModelSettings) -> Model:
    """Open the model as the daemon would at its start, building nothing. Raises BgcamError."""
    return Networks(wanted.engine, wanted.threads, HD, wanted.quality, carry=False).open(wanted.name)


def check_engine(machine: Machine, open_model: Open = open_as_set) -> Iterator[Finding]:
    """Ask the daemon; where none answers, run the settings' model on a made-up picture for a second.

    open_model: in place of the one that opens what is here.
    """
    if machine.daemon.state == "answers":
        yield _running(machine)
        return
    try:
        wanted = machine.settings.model
    except SettingsError:  # which is for the check of the settings
        return
    try:
        with ExitStack() as stack:
            model = open_model(wanted)
            stack.callback(model.close)
            yield _tried(model)
    except ModelError:  # which is for the check of the models
        return
    except BgcamError as error:
        yield broken(check="engine.works", what=error.message, means="The network can't be run.", cure=error.hint)


def _running(machine: Machine) -> Finding:
    daemon = machine.daemon
    infer = daemon.number("stages", "infer", "wall_p50")
    facts = {
        "engine": daemon.said("engine"),
        "model": daemon.said("model"),
        "fps": daemon.number("fps"),
        "infer_ms": infer,
        "age_ms": daemon.number("age_ms", "p50"),
    }
    rate = daemon.number("fps")
    # neither is known while nobody watches, nor the first where the scene hides nothing
    speed = f", {infer:.1f} ms a frame" if infer else ""
    pace = f"; {rate:.1f} frames a second are written" if rate else ""
    return ok(
        check="engine.works",
        what=f"{daemon.said('engine')}{speed}{pace}",
        means=_sentence(daemon.said("why")),
        facts=facts,
    )


def _tried(model: Model) -> Finding:
    took = time_frames(model)
    facts = {"engine": model.pipeline.engine.name, "frame_ms": round(took, 2)}
    slow = took > _FRAME_MS
    what = f"{model.pipeline.engine.name}: {took:.1f} ms for a frame of {HD}, all stages (tried on a made-up picture)"
    if not slow:
        return ok(check="engine.works", what=what, means=_sentence(model.why), facts=facts)
    return note(
        check="engine.works",
        what=what,
        means=f"For 30 frames a second that is too long: bgcamd looks at fewer of them. {_sentence(model.why)}".strip(),
        cure="bgcamd --quality low",
        facts=facts,
    )


def time_frames(model: Model) -> float:
    """Milliseconds that a frame takes from camera to output, the median of a second's; at least a few frames."""
    cv2.setNumThreads(1)  # as the daemon does
    plate = Plate(HD, PixelFormat.I420, BT601)
    scene = prepare(SceneChange().applied_to(Scene(Colour()), background_of), plate, wait=True)
    took: list[float] = []
    try:
        began = time.perf_counter()
        for number in itertools.count():
            raw = _picture(HD, number)
            start = time.perf_counter()
            model.pipeline.run(raw, scene)
            took.append((time.perf_counter() - start) * 1e3)
            if len(took) >= _WARM_UP + _FEWEST and time.perf_counter() - began > _TRIED_S:
                return median(took[_WARM_UP:])
    finally:
        scene.close()
    raise AssertionError("it counts for ever")


def _picture(size: Size, number: int) -> Frame:
    """A YUYV frame of slopes that move, so that no two are alike."""
    across, down = np.arange(size.width, dtype=np.uint8), np.arange(size.height, dtype=np.uint8)
    packed = np.empty((size.height, size.width, 2), np.uint8)
    packed[..., 0] = down[:, None] + across + np.uint8(number * 7 % 256)
    packed[..., 1] = 128
    return Frame((packed,), PixelFormat.YUYV, size, captured_ns=number * 1_000_000_000 // 30, sequence=number)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text and text[-1] not in ".!" else text
