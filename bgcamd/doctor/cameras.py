"""The cameras: which there are, what they can do, who has them open, and how fast they really are."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from bgcamd.doctor.finding import Finding, broken, note, ok
from bgcamd.doctor.holders import in_words
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.offers import Offer, printable, rate_text, read_offers
from bgcamd.errors import SettingsError, SourceError, UsageError
from bgcamd.video.address import Auto, CameraAddress, Device, Named, parse_camera
from bgcamd.video.v4l2 import devices
from bgcamd.video.v4l2.camera import V4L2Camera
from bgcamd.video.v4l2.modes import HD

_MEASURED_S = 2.0
_HOLDS = 0.8  # of the rate that it promised
_FIRST_S = 5.0  # so long the slowest of cameras take to start
_SMOOTH = 20  # frames per second from which a picture moves rather than jumps


def check_cameras(machine: Machine, *, measure: bool = False) -> Iterator[Finding]:
    """Look at each camera. measure: turn it on, for two seconds, and count its frames."""
    cameras = [device for device in machine.devices if device.capture and not device.loopback]
    for device in cameras:
        offers = read_offers(machine.kernel, device.node)
        yield from _formats(device, offers)
        yield from _held(machine, device)
        if measure:
            yield from _measured(machine, device)
    if not cameras and not any(device.error for device in machine.devices):
        yield _none(machine)


def _none(machine: Machine) -> Finding:
    wanted = _wanted(machine)
    if not isinstance(wanted, Auto | Device | Named):
        return ok(check="camera.present", what="no camera is plugged in; the settings name something else")
    cure = "start the container with --device /dev/video0" if machine.container else "plug one in"
    if isinstance(wanted, Auto):
        means = "bgcamd shows a demo until there is one."
        return note(check="camera.present", what="no camera is plugged in", means=means, cure=cure)
    means = f"The settings name {wanted}: viewers see a card until it is there."
    return broken(check="camera.present", what="no camera is plugged in", means=means, cure=cure)


def _wanted(machine: Machine) -> CameraAddress:
    try:
        return parse_camera(machine.settings.camera.address)
    except (SettingsError, UsageError):  # which is for the check of the settings
        return Auto()


def _formats(device: devices.Device, offers: tuple[Offer, ...]) -> Iterator[Finding]:
    name = f"{printable(device.name)} ({device.node})"
    facts = {
        "node": device.node,
        "name": device.name,
        "bus": device.bus,
        "formats": {offer.fourcc: [f"{size}@{rate_text(rate)}" for size, rate in offer.sizes] for offer in offers},
    }
    readable = [offer for offer in offers if offer.readable and offer.sizes]
    if not readable:
        kinds = ", ".join(printable(offer.fourcc) for offer in offers) or "nothing"
        yield note(
            check="camera.formats",
            what=f"{name} gives only what bgcamd does not read: {kinds}",
            means="An infrared camera, for one, that knows its owner's face. It is left alone.",
            facts=facts,
        )
        return
    best = ", ".join(_best(offer) for offer in readable)
    yield ok(check="camera.formats", what=f"{name}: {best}", facts=facts)
    if not any(size == HD and rate >= _SMOOTH for offer in readable for size, rate in offer.sizes):
        yield note(
            check="camera.rate",
            what=f"{name} does not give {HD} at {_SMOOTH} frames a second or more",
            means="At the end of a USB 2 hub, or of a long cable, many give less. bgcamd asks for what holds the rate.",
        )


def _best(offer: Offer) -> str:
    """The format's best: its size of most calls, else its largest."""
    size, rate = next((item for item in offer.sizes if item[0] == HD), offer.sizes[0])
    return f"{offer.fourcc} {size}@{rate_text(rate)}"


def _held(machine: Machine, device: devices.Device) -> Iterator[Finding]:
    those = machine.holders.of(device.node)
    others = [each for each in those if each.program != "bgcamd" and each.pid != machine.daemon.pid]
    facts = {"node": device.node, "holders": [holder._asdict() for holder in those]}
    if others:
        yield note(
            check="camera.holder",
            what=f"{device.node} is open in {in_words(others)}",
            means="While it takes pictures, no other program can, bgcamd included.",
            cure=f"close {others[0].program}, or: kill {others[0].pid}",
            facts=facts,
        )
    elif those:
        yield ok(check="camera.holder", what=f"{device.node} is open in {in_words(those)}", facts=facts)


def _measured(machine: Machine, device: devices.Device) -> Iterator[Finding]:
    """Turn the camera on, unless somebody has it, and count."""
    if those := machine.holders.of(device.node):
        yield ok(check="camera.measured", what=f"{device.node} was not measured: {in_words(those)} may be using it")
        return
    try:
        with V4L2Camera(device.node, kernel=machine.kernel) as camera:
            told, real = float(camera.rate), count_rate(camera)
            mode = f"{camera.format.name} {camera.size}"
    except SourceError as error:
        yield note(check="camera.measured", what=error.message, cure=error.hint)
        return
    facts = {"node": device.node, "mode": mode, "told_fps": round(told, 2), "measured_fps": round(real, 2)}
    what = f"{device.node} gives {real:.1f} frames a second in {mode}; it promises {rate_text(told)}"
    if real >= told * _HOLDS:
        yield ok(check="camera.measured", what=what, facts=facts)
        return
    yield note(
        check="camera.measured",
        what=what,
        means="In a dark room most cameras take longer for each picture: more light helps, or forbidding it.",
        cure=f"v4l2-ctl -d {device.node} -c exposure_dynamic_framerate=0",
        facts=facts,
    )


def count_rate(camera: V4L2Camera) -> float:
    """Frames per second that a camera really takes, by its own timestamps and numbers; 0 where none comes.

    Raises SourceError when it is lost.
    """
    seen: list[tuple[int, int]] = []
    end = time.monotonic() + _FIRST_S
    for number in itertools.count():
        frame = camera.read(max(end - time.monotonic(), 0))
        if frame is None:
            break
        seen.append((frame.sequence, frame.captured_ns))
        frame.release()
        if number == 0:
            end = time.monotonic() + _MEASURED_S
        if time.monotonic() >= end:
            break
    if len(seen) < 2 or seen[-1][1] <= seen[0][1]:
        return 0.0
    return (seen[-1][0] - seen[0][0]) * 1e9 / (seen[-1][1] - seen[0][1])
