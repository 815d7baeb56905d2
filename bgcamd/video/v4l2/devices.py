"""Which cameras and virtual cameras this machine has."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bgcamd.errors import SinkError, SourceError
from bgcamd.frame import PixelFormat
from bgcamd.video.v4l2 import ioctls, modes
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import LABEL, camera_error, get_module, load_module
from bgcamd.video.v4l2.kernel import LINUX, Kernel


@dataclass(frozen=True)
class Device:
    """A /dev/videoN.

    name: the card's; virtual cameras have their label here.
    bus: where it is plugged in, "usb-0000:00:14.0-1".
    capture, output: whether it gives or takes pictures now; a v4l2loopback with exclusive_caps changes.
    formats: what it gives that we can read.
    error: why it could not be asked (then only node and name are known), or None.
    """

    node: str
    name: str
    driver: str = ""
    bus: str = ""
    capture: bool = False
    output: bool = False
    formats: tuple[PixelFormat, ...] = ()
    error: OSError | None = None

    @property
    def loopback(self) -> bool:
        """Whether it is a virtual camera of the v4l2loopback module."""
        return self.driver == "v4l2 loopback"

    def __str__(self) -> str:
        return f'{self.node} "{self.name}"'


def list_devices(kernel: Kernel = LINUX) -> list[Device]:
    """Ask every video device what it is. Opens each for a moment, which turns no camera on."""
    return [_ask(kernel, node, name) for node, name in kernel.video_nodes().items()]


def find_loopback(label: str = LABEL, kernel: Kernel = LINUX) -> str:
    """Return the node of the virtual camera with this label.

    One that may not be opened is found too, by its name in sysfs, so that opening it tells why.
    Raises SinkError with the commands that make it.
    """
    devices = list_devices(kernel)
    for device in devices:
        if device.name == label and (device.loopback or device.error):
            return device.node
    others = [device for device in devices if device.loopback]
    if not others:
        raise SinkError("there is no virtual camera: the module v4l2loopback is not loaded", get_module(label))
    raise SinkError(
        f'no virtual camera is called "{label}"; there is {", ".join(map(str, others))}',
        f"name that one with --output {others[0].node}, or: sudo modprobe -r v4l2loopback && {load_module(label)}",
    )


def find_camera(kernel: Kernel = LINUX, *, label: str = LABEL) -> str:
    """Return the node of the first camera whose format we can read; our own virtual cameras are none.

    Other virtual cameras (a phone's, say) come after all real ones. Raises SourceError when there is none.
    """
    devices = [device for device in list_devices(kernel) if not (device.loopback and device.name.startswith(label))]
    for device in sorted(devices, key=lambda device: device.loopback):
        if device.capture and device.formats:
            return device.node
    for device in devices:
        if device.error is not None and not device.name.startswith(label):
            raise camera_error(device.error, device.node, "open the camera") from device.error
    raise SourceError("no camera found", "plug one in, or use --camera demo: or --camera FILE instead")


def find_named(text: str, kernel: Kernel = LINUX) -> str:
    """Return the node of the camera with this name or bus, or the only one whose name or bus holds the text.

    Raises SourceError that names those there are.
    """
    cameras = [device for device in list_devices(kernel) if device.capture and device.formats]
    exact = [device for device in cameras if text in (device.name, device.bus, Path(device.node).name)]
    near = [device for device in cameras if text.lower() in f"{device.name}\n{device.bus}".lower()]
    found = exact or near
    if len(found) == 1:
        return found[0].node
    there = ", ".join(f"{device} at {device.bus}" for device in found or cameras) or "none at all"
    called = f"{len(found)} cameras are called" if found else "no camera is called"
    raise SourceError(f'{called} "{text}"; there is {there}', "bgcam devices lists them")


def find_again(known: Device, kernel: Kernel = LINUX) -> str:
    """Return the node that a camera has now: after it was plugged in again, that may be another.

    It is known again by its bus and name, else by its name if only one has it. Raises SourceError when it is gone.
    """
    cameras = [device for device in list_devices(kernel) if device.capture and device.name == known.name]
    same = [device for device in cameras if device.bus == known.bus]
    found = same or cameras
    if not found or (not same and len(found) > 1):
        raise SourceError(f"{known.name} ({known.node}) is gone", "plug it in again")
    return next((device.node for device in found if device.node == known.node), found[0].node)


def describe(node: str, kernel: Kernel = LINUX) -> Device:
    """What the device behind a node is. A link (/dev/v4l/by-id/...) is followed."""
    real = str(Path(node).resolve()) if node.startswith("/dev/v4l/") else node
    return _ask(kernel, real, kernel.video_nodes().get(real, ""))


def _ask(kernel: Kernel, node: str, name: str) -> Device:
    with ExitStack() as undo:
        try:
            fd = kernel.open(node, os.O_RDWR | os.O_NONBLOCK)
            undo.callback(kernel.close, fd)
            capability = ioctls.query_capability(kernel, fd)
            capture = capability.own & vd.CAP_VIDEO_CAPTURE and capability.own & vd.CAP_STREAMING
            formats = modes.readable_formats(kernel, fd) if capture else ()
        except OSError as error:
            return Device(node, name, error=error)
    return Device(
        node,
        capability.card.decode(errors="replace") or name,
        capability.driver.decode(errors="replace"),
        capability.bus_info.decode(errors="replace"),
        bool(capture),
        bool(capability.own & vd.CAP_VIDEO_OUTPUT),
        tuple(formats),
    )
