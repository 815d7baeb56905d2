"""A v4l2loopback device that we own: one format for life, every answer of the module checked."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from fractions import Fraction
from typing import Protocol

from bgcamd.errors import SettingsError, SinkError
from bgcamd.frame import PixelFormat, Plane, Size
from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import loopback_error
from bgcamd.video.v4l2.kernel import LINUX, Kernel
from bgcamd.video.v4l2.loopback_control import find_or_make_loopback

_BITS = {PixelFormat.I420: 12, PixelFormat.NV12: 12, PixelFormat.YUYV: 16}  # a pixel's


class Keeper(Protocol):
    """Who keeps devices open from one run of the program to the next."""

    def take(self, node: str, /) -> int | None:
        """The device as the last run left it, open and streaming, in the caller's hands; None where it did not."""

    def keep(self, node: str, fd: int, /) -> bool:
        """Keep a duplicate for the next run; whether it will."""

    def forget(self, node: str, /) -> None:
        """Keep it no more: when this returns, the duplicate is closed."""


class Nobody(Keeper):
    """Keeps nothing."""

    def take(self, _node: str, /) -> int | None:
        return None

    def keep(self, _node: str, _fd: int, /) -> bool:
        return False

    def forget(self, _node: str, /) -> None:
        pass


NOBODY = Nobody()
"""The one to use; it holds no state."""


class LoopbackDevice:
    """One v4l2loopback device, open for writing in one format for life.

    It is a camera to apps from the first ``write`` on, which starts the stream, until ``close``; longer where it is
    kept for the next run.

    Parameters
    ----------
    device: "/dev/videoN" or a label.
    size: even width and height. fps: frames per second, what apps are told.
    format: I420, NV12 or YUYV; colours are BT.601, limited range.
    keeper: who keeps it open when it is closed here.

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
        keeper: Keeper = NOBODY,
    ) -> None:
        if size.width % 2 or size.height % 2 or min(size) < 2 or format not in _BITS:
            raise SettingsError(f"a virtual camera can't have {size} {format.name}", "width and height must be even")
        self.node = device if device.startswith("/") else find_or_make_loopback(device, kernel)
        self.bytes = size.width * size.height * _BITS[format] // 8
        self._kernel, self._keeper = kernel, keeper
        wanted = self._pix_format(size, format)
        left = self._left(wanted)
        self._streaming = self._kept = left is not None
        with ExitStack() as undo:
            self._open(undo, left)
            if left is None:
                self._set_format(wanted)
            self._set_rate(fps)
            self._undo = undo.pop_all()
        self._kept = self._kept or keeper.keep(self.node, self._fd)

    def write(self, frame: Plane) -> None:
        """Hand one whole frame to the readers: (bytes,), contiguous. The module copies it.

        Raises SinkError when the device is gone or takes only a part.
        """
        try:
            taken = self._kernel.write(self._fd, frame)
        except OSError as error:
            self._lost()
            raise loopback_error(error, self.node, "write a frame") from error
        self._streaming = True
        if taken != self.bytes:
            self._lost()
            raise SinkError(
                f"{self.node} took {taken} of a frame's {self.bytes} bytes", "another program changed its format"
            )

    def close(self) -> None:
        """End the stream, so that apps see the camera go, unless it is kept; close. A second call does nothing."""
        self._undo.close()

    def _lost(self) -> None:
        """What can't be written to any more is no use to the next run."""
        if self._kept:
            self._keeper.forget(self.node)
            self._kept = False

    def _left(self, wanted: vd.PixFormat) -> int | None:
        """The device as the last run left it, if in the format that is wanted: it has that one until it is closed."""
        fd = self._keeper.take(self.node)
        if fd is None:
            return None
        with suppress(OSError):
            if _fits(ioctls.get_format(self._kernel, fd, vd.OUTPUT), wanted):
                return fd
            ioctls.stream_off(self._kernel, fd, vd.OUTPUT)
        self._kernel.close(fd)
        self._keeper.forget(self.node)
        return None

    def _open(self, undo: ExitStack, left: int | None) -> None:
        try:
            self._fd = self._kernel.open(self.node, os.O_RDWR) if left is None else left
            undo.callback(self._kernel.close, self._fd)
            undo.callback(self._stop)
            undo.push(lambda kind, *_: self._lost() if kind else None)
            capability = ioctls.query_capability(self._kernel, self._fd)
        except OSError as error:
            raise loopback_error(error, self.node, "open the virtual camera") from error
        self.card = capability.card.decode(errors="replace")
        if capability.driver != b"v4l2 loopback" and not capability.own & vd.CAP_VIDEO_OUTPUT:
            raise SinkError(
                f"{self.node} is a camera, not a virtual one", "leave --output out, to have ours found by its name"
            )

    def _pix_format(self, size: Size, format: PixelFormat) -> vd.PixFormat:  # noqa: A002
        return vd.PixFormat(
            width=size.width,
            height=size.height,
            pixelformat=ioctls.fourcc(format.value),
            field=vd.FIELD_NONE,
            bytesperline=size.width * (2 if format is PixelFormat.YUYV else 1),
            sizeimage=self.bytes,
            colorspace=vd.COLORSPACE_SRGB,
            priv=vd.PIX_FMT_PRIV_MAGIC,
            ycbcr_enc=vd.YCBCR_ENC_601,
            quantization=vd.QUANTIZATION_LIM_RANGE,
        )

    def _set_format(self, wanted: vd.PixFormat) -> None:
        try:
            answer = ioctls.set_format(self._kernel, self._fd, vd.OUTPUT, wanted)
        except OSError as error:
            raise loopback_error(error, self.node, f"set the format {_told(wanted)}") from error
        if not _fits(answer, wanted):
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
        if self._streaming and not self._kept:
            with suppress(OSError):  # a device that is gone streams no more
                ioctls.stream_off(self._kernel, self._fd, vd.OUTPUT)


def _fits(answer: vd.PixFormat, wanted: vd.PixFormat) -> bool:
    """Whether a format is what was wanted. Release 0.12 answers sizeimage rounded up to whole pages."""
    same = all(getattr(answer, name) == getattr(wanted, name) for name in ("width", "height", "pixelformat"))
    return same and answer.bytesperline in (0, wanted.bytesperline) and answer.sizeimage >= wanted.sizeimage


def _told(pix: vd.PixFormat) -> str:
    return f"{ioctls.fourcc_text(pix.pixelformat)} {pix.width}x{pix.height}"
