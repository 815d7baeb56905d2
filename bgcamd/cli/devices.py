"""``bgcam devices``: the cameras and virtual cameras of this machine."""

from __future__ import annotations

import json

import click

from bgcamd.video.v4l2.advice import get_module
from bgcamd.video.v4l2.devices import Device, list_devices


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it for machines.")
def devices(*, as_json: bool) -> None:
    """List cameras and virtual cameras. No camera is turned on.

    A camera may be named by its node, name or bus: bgcamd --camera "v4l2:HD Webcam".
    """
    found = list_devices()
    if as_json:
        click.echo(json.dumps([_as_dict(device) for device in found]))
        return
    for title, loopback in (("Cameras", False), ("Virtual cameras", True)):
        click.echo(f"{title}:")
        rows = [
            device for device in found if device.loopback is loopback and (device.capture or loopback or device.error)
        ]
        for device in rows:
            click.echo(f"  {device.node:<13} {device.name}  {_detail(device)}")
        if not rows:
            known = not any(device.error for device in found)  # one that may not be opened may be either
            click.echo(f"  none; {get_module()}" if loopback and known else "  none")


def _detail(device: Device) -> str:
    if device.error is not None:
        return f"({device.error.strerror})"
    formats = " ".join(each.value for each in device.formats)
    return f"[{device.bus}] {formats}".rstrip()


def _as_dict(device: Device) -> dict[str, object]:
    return {
        "node": device.node,
        "name": device.name,
        "driver": device.driver,
        "bus": device.bus,
        "capture": device.capture,
        "output": device.output,
        "loopback": device.loopback,
        "formats": [each.value for each in device.formats],
        "error": None if device.error is None else device.error.strerror,
    }
