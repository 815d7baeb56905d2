"""The virtual camera: a v4l2loopback device that we own, behind pyvirtualcam's interface.

Importing this module registers the backend "bgcamd" with pyvirtualcam, so that this works for everybody:

    pyvirtualcam.Camera(1280, 720, 30, fmt=PixelFormat.I420, backend="bgcamd", device="Virtual BG Camera")
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
import pyvirtualcam
from numpy.lib.stride_tricks import as_strided

from bgcamd.frame import Frame, PixelFormat, Plane, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2.advice import LABEL
from bgcamd.video.v4l2.kernel import LINUX, Kernel
from bgcamd.video.v4l2.loopback_device import NOBODY, Keeper, LoopbackDevice
from bgcamd.video.v4l2.readers import watch_readers

_FORMATS = {
    pyvirtualcam.PixelFormat.I420.value: PixelFormat.I420,
    pyvirtualcam.PixelFormat.NV12.value: PixelFormat.NV12,
    pyvirtualcam.PixelFormat.YUYV.value: PixelFormat.YUYV,
}


class LoopbackBackend:
    """What pyvirtualcam asks of a backend (see ``pyvirtualcam.camera.Backend``).

    Extra arguments of ``pyvirtualcam.Camera``: ``kernel``, who answers the system calls, or ``opened``, a device
    that is open already and that this backend closes.
    """

    def __init__(
        self,
        *,
        width: int,
        height: int,
        fps: float,
        fourcc: int,
        device: str | None,
        kernel: Kernel = LINUX,
        opened: LoopbackDevice | None = None,
    ) -> None:
        pixels = _FORMATS.get(ioctls.fourcc_text(fourcc))
        if pixels is None:
            raise ValueError("this backend takes I420, NV12 and YUYV; convert before, or use another backend")
        self._fourcc = fourcc
        self._device = opened or LoopbackDevice(
            device or LABEL, size=Size(width, height), fps=fps, format=pixels, kernel=kernel
        )
        self._name = device or self._device.node

    def close(self) -> None:
        """Give the device back."""
        self._device.close()

    def send(self, frame: Plane) -> None:
        """Write one frame; errors are raised."""
        self._device.write(frame)

    def device(self) -> str:
        """What the caller named it, else its node."""
        return self._name

    def native_fourcc(self) -> int:
        """The format as it was asked for: nothing is converted."""
        return self._fourcc


pyvirtualcam.register_backend("bgcamd", LoopbackBackend)


class LoopbackSink:
    """The virtual camera as a sink for I420 frames of one size.

    Parameters
    ----------
    device: "/dev/videoN" or a label; None for ``label``.
    size, fps: for the life of the sink; even width and height.
    keeper: who keeps the device open for the next run.

    Raises what LoopbackDevice raises.
    """

    def __init__(
        self,
        device: str | None,
        *,
        label: str = LABEL,
        size: Size,
        fps: float,
        kernel: Kernel = LINUX,
        keeper: Keeper = NOBODY,
    ) -> None:
        self._size = size
        opened = LoopbackDevice(device or label, size=size, fps=fps, kernel=kernel, keeper=keeper)
        self._name = f"{opened.card} ({opened.node})"
        self._packed = Packer(size)
        self._readers = watch_readers(opened.node, kernel)
        self._camera: Any = pyvirtualcam.Camera(
            *size, fps, fmt=pyvirtualcam.PixelFormat.I420, device=opened.node, backend="bgcamd", opened=opened
        )

    @property
    def name(self) -> str:
        """Its label and node, "Virtual BG Camera (/dev/video10)"."""
        return self._name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the stream and close; a second call does nothing."""
        self._readers.close()
        self._camera.close()

    @property
    def watched(self) -> bool:
        """Whether an app reads it."""
        return self._readers.present()

    def write(self, frame: Frame) -> None:
        """Show an I420 frame of the sink's size; without a copy of ours where its planes lie packed.

        Raises SinkError when the device is gone; ValueError for a frame of another shape.
        """
        if frame.format is not PixelFormat.I420 or frame.size != self._size:
            raise ValueError(f"the sink takes I420 {self._size}, not {frame.format.name} {frame.size}")
        self._camera.send(self._packed(frame.planes))


class Packer:
    """Makes the planes of an I420 frame one array (n,), by looking at them where possible, else by a copy."""

    def __init__(self, size: Size) -> None:
        width, height = size
        luma, chroma = width * height, width * height // 4
        self._lengths = (luma, chroma, chroma)
        self._memory = np.empty(luma + 2 * chroma, np.uint8)

    def __call__(self, planes: tuple[Plane, ...]) -> Plane:
        """Return Y, U, V one after the other; valid until the next call or until the planes are."""
        if self._adjacent(planes):
            return as_strided(planes[0], self._memory.shape, (1,), writeable=False)
        start = 0
        for plane, length in zip(planes, self._lengths, strict=True):
            self._memory[start : start + length].reshape(plane.shape)[...] = plane
            start += length
        return self._memory

    def _adjacent(self, planes: tuple[Plane, ...]) -> bool:
        """Whether the planes are without gaps, and each begins where the one before ends."""
        end = planes[0].ctypes.data
        for plane, length in zip(planes, self._lengths, strict=True):
            if plane.ctypes.data != end or plane.size != length or not plane.flags.c_contiguous:
                return False
            end += length
        return True
