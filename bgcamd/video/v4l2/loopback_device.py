"""A v4l2loopback device that we own: one format for life, every answer of the module checked."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from fractions import Fraction

from bgcamd.errors import SettingsError, SinkError
from bgcamd.frame import PixelFormat, Plane, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import loopback_error
from bgcamd.video.v4l2.kernel import LINUX, Kernel
from bgcamd.video.v4l2.loopback_control import find_or_make_loopback

_BITS = {PixelFormat.I420: 12, PixelFormat.NV12: 12, PixelFormat.YUYV: 16}  # a pixel's


class LoopbackDevice:
    """One v4l2loopback device, open for writing in one format for life.

    It is a camera to apps from the first ``write`` on, which starts the stream, until ``close``.

    Parameters
    ----------
    device: "/dev/videoN" or a label.
    size: even width and height. fps: frames per second, what apps are told.
    format: I420, NV12 or YUYV; colours are BT.601, limited range.

    Raises SinkError when it is missing, denied, held or fixed to another format, SettingsError for an odd size.
    """

    def __init__(
        self,
        device: str,
        *,
        size: Size,
        fps: float,
        format: PixelFormat = PixelFormat.I420,  # noqa: A002 - the field's standard name
        kernel: Kernel = LINUX,
    ) -> None:
        if size.width % 2 or size.height % 2 or min(size) < 2 or format not in _BITS:
            raise SettingsError(f"a virtual camera can't have {size} {format.name}", "width and height must be even")
        self.node = device if device.startswith("/") else find_or_make_loopback(device, kernel)
        self.bytes = size.width * size.height * _BITS[format] // 8
        self._kernel = kernel
        self._streaming = False
        with ExitStack() as undo:
            self._open(undo)
            self._set_format(size, format)
            self._set_rate(fps)
            self._undo = undo.pop_all()

    def write(self, frame: Plane) -> None:
        """Hand one whole frame to the readers: (bytes,), contiguous. The module copies it.

        Raises SinkError when the device is gone or takes only a part.
        """
        try:
            taken = self._kernel.write(self._fd, frame)
        except OSError as error:
            raise loopback_error(error, self.node, "write a frame") from error
        self._streaming = True
        if taken != self.bytes:
            raise SinkError(
                f"{self.node} took {taken} of a frame's {self.bytes} bytes", "another program changed its format"
            )

    def close(self) -> None:
        """End the stream, so that apps see the camera go, and close; a second call does nothing."""
        self._undo.close()

    def _open(self, undo: ExitStack) -> None:
        try:
            self._fd = self._kernel.open(self.node, os.O_RDWR)
            undo.callback(self._kernel.close, self._fd)
            undo.callback(self._stop)
            capability = ioctls.query_capability(self._kernel, self._fd)
        except OSError as error:
            raise loopback_error(error, self.node, "open the virtual camera") from error
        self.card = capability.card.decode(errors="replace")
        if capability.driver != b"v4l2 loopback" and not capability.own & vd.CAP_VIDEO_OUTPUT:
            raise SinkError(
                f"{self.node} is a camera, not a virtual one", "leave --output out, to have ours found by its name"
            )

    def _set_format(self, size: Size, format: PixelFormat) -> None:  # noqa: A002
        line = size.width * (2 if format is PixelFormat.YUYV else 1)
        wanted = vd.PixFormat(
            width=size.width,
            height=size.height,
            pixelformat=ioctls.fourcc(format.value),
            field=vd.FIELD_NONE,
            bytesperline=line,
            sizeimage=self.bytes,
            colorspace=vd.COLORSPACE_SRGB,
            priv=vd.PIX_FMT_PRIV_MAGIC,
            ycbcr_enc=vd.YCBCR_ENC_601,
            quantization=vd.QUANTIZATION_LIM_RANGE,
        )
        try:
            answer = ioctls.set_format(self._kernel, self._fd, vd.OUTPUT, wanted)
        except OSError as error:
            raise loopback_error(error, self.node, f"set the format {_told(wanted)}") from error
        same = all(getattr(answer, name) == getattr(wanted, name) for name in ("width", "height", "pixelformat"))
        # 0.12 answers sizeimage rounded up to whole pages
        if not same or answer.bytesperline not in (0, line) or answer.sizeimage < self.bytes:
            raise SinkError(
                f"{self.node} answers with the format {_told(answer)} instead of {_told(wanted)}",
                "an app that shows it, another writer, or the control keep_format holds the old one: close the app, "
                f'or "v4l2-ctl -d {self.node} -c keep_format=0"',
            )

    def _set_rate(self, fps: float) -> None:
        try:
            ioctls.set_rate(self._kernel, self._fd, vd.OUTPUT, Fraction(fps).limit_denominator(1001))
        except OSError as error:
            raise loopback_error(error, self.node, f"set the rate of {fps:g} frames per second") from error

    def _stop(self) -> None:
        """Release 0.13 counts its writers, and counts none down on close alone."""
        if self._streaming:
            with suppress(OSError):  # a device that is gone streams no more
                ioctls.stream_off(self._kernel, self._fd, vd.OUTPUT)


def _told(pix: vd.PixFormat) -> str:
    return f"{ioctls.fourcc_text(pix.pixelformat)} {pix.width}x{pix.height}"
