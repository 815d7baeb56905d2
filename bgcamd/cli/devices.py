"""``bgcam devices``: the cameras and virtual cameras of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from bgcamd.doctor.finding import Level
from bgcamd.doctor.holders import in_words
from bgcamd.doctor.machine import Machine
from bgcamd.doctor.module import check_module
from bgcamd.doctor.offers import Offer, offer_line, printable, read_offers, unread_line
from bgcamd.doctor.traffic import traffic
from bgcamd.video.v4l2.devices import Device

_PATIENCE_S = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it for machines.")
def devices(*, as_json: bool) -> None:
    """List cameras, what they can do, and virtual cameras, and who has them open. No camera is turned on.

    A camera may be named by its node, name or bus: bgcamd --camera "v4l2:HD Webcam".
    """
    instance = click.get_current_context().find_root().params.get("instance")
    machine = Machine(instance=instance, patience_s=_PATIENCE_S)
    if as_json:
        click.echo(json.dumps([as_dict(machine, device) for device in machine.devices], indent=2))
    else:
        click.echo("\n".join(listing(machine)))


def listing(machine: Machine) -> Iterator[str]:
    """All devices as lines for eyes. One that may not be opened may be either, and is told with the cameras."""
    cameras = [device for device in machine.devices if not device.loopback and (device.capture or device.error)]
    virtual = [device for device in machine.devices if device.loopback]
    yield "Cameras:"
    for device in cameras:
        yield _heading(device)
        yield from (f"      {line}" for line in _camera(machine, device))
    yield from [] if cameras else ["  none"]
    yield "Virtual cameras:"
    for device in virtual:
        yield _heading(device)
        yield f"      {printable(str(traffic(machine, device)))}"
    if not virtual:
        yield from _no_virtual(machine)
    if machine.devices and not machine.holders.complete:
        yield "Programs of other users are not to be seen; sudo bgcam devices sees them."


def _no_virtual(machine: Machine) -> Iterator[str]:
    """Why there is none, and what helps; one that may not be opened may be one."""
    cured = next((finding for finding in check_module(machine) if finding.level is Level.BROKEN), None)
    if any(device.error for device in machine.devices):
        yield "  none"
    elif cured is None:
        yield "  none, and bgcam doctor says what to do"
    else:
        yield f"  none: {cured.what}"
        yield f"      → {cured.cure}"


def _heading(device: Device) -> str:
    return f"  {device.node:<12}  {printable(device.name)}" + (f"  [{printable(device.bus)}]" if device.bus else "")


def _camera(machine: Machine, device: Device) -> Iterator[str]:
    """A line a format, one for all that we don't read, and one of who has it open."""
    if device.error is not None:
        yield f"can't be opened: {device.error.strerror}"
        return
    offers = _offers(machine, device)
    yield from (offer_line(offer) for offer in offers if offer.readable)
    yield from unread_line(offers)
    those = machine.holders.of(device.node)
    if those:
        yield printable(f"open in {in_words(those)}")


def _offers(machine: Machine, device: Device) -> tuple[Offer, ...]:
    try:
        return read_offers(machine.kernel, device.node)
    except OSError:  # unplugged meanwhile
        return ()


def as_dict(machine: Machine, device: Device) -> dict[str, object]:
    """What --json says of a device.

    formats: of a camera, each with its sizes and the highest frames per second of each; readable: by bgcamd.
    holders: who has it open, of those that this user may see. writer, readers: of a virtual camera, else None; readers
    is the number of apps that show it, None where the module does not tell.
    """
    offers = _offers(machine, device) if device.capture and not device.loopback else ()
    seen = traffic(machine, device) if device.loopback else None
    return {
        "node": device.node,
        "name": device.name,
        "driver": device.driver,
        "bus": device.bus,
        "capture": device.capture,
        "output": device.output,
        "loopback": device.loopback,
        "formats": [_format(offer) for offer in offers],
        "holders": [holder._asdict() for holder in machine.holders.of(device.node)],
        "writer": seen and seen.writer.value,
        "readers": seen and seen.readers,
        "error": None if device.error is None else device.error.strerror,
    }


def _format(offer: Offer) -> dict[str, object]:
    sizes = [{"size": str(size), "fps": round(float(rate), 3)} for size, rate in offer.sizes]
    return {"fourcc": offer.fourcc, "readable": offer.readable, "sizes": sizes}
