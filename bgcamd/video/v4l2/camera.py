"""A V4L2 camera: the newest frame, in the memory that the driver wrote it to."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from types import TracebackType
from typing import Self

from bgcamd.errors import SourceError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.video.v4l2 import buffers, ioctls, layout, modes
from bgcamd.video.v4l2 import videodev2 as vd
from bgcamd.video.v4l2.advice import GONE, camera_error
from bgcamd.video.v4l2.kernel import LINUX, Kernel
from bgcamd.video.v4l2.memory import Registrar

_OLD_NS = 5_000_000_000  # no frame is as old: such a timestamp is of another clock


class V4L2Camera:
    """A camera that streams from the moment it is made, as a file that ``open`` returns is open.

    ``read``, ``stop``, ``close`` and a frame's ``release`` may each be called from any thread.

    Parameters
    ----------
    path: the device, "/dev/video0".
    size: what is wanted; None for 1280x720, where holding the rate counts for more than the size.
    fps: what is wanted, frames per second; None for 30.
    registrar: makes the frames' memory readable for a GPU, as far as the driver allows: see ``memory``.
    kernel: who answers the system calls.

    Raises SourceError when it can't be opened, is busy, or offers nothing we can read.
    """

    def __init__(
        self,
        path: str,
        *,
        size: Size | None = None,
        fps: float | None = None,
        registrar: Registrar | None = None,
        kernel: Kernel = LINUX,
    ) -> None:
        self._node, self._kernel = path, kernel
        self._stopped = threading.Event()
        self._reading = threading.Lock()  # held by the one that waits for a frame
        self._lock = threading.Lock()  # held for moments; taken after the other
        wish = modes.wish_of(size, fps)
        with ExitStack() as undo:
            self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            undo.callback(os.close, self._stop_fd)
            self._open(undo)
            self._negotiate(wish)
            stream = buffers.Stream(kernel, path, self._fd, self._pix, self.format)
            self._buffers = buffers.started(stream, registrar)
            undo.callback(self._buffers.close)
            self._undo = undo.pop_all()

    @property
    def name(self) -> str:
        """The card's name and its node, "HD Webcam (/dev/video0)"."""
        return f"{self._card} ({self._node})"

    @property
    def size(self) -> Size:
        """The size of its frames."""
        return self._mode.size

    @property
    def rate(self) -> Fraction:
        """Frames per second, as the driver answered."""
        return self._mode.rate

    @property
    def format(self) -> PixelFormat:
        """MJPG, NV12 or YUYV."""
        return self._mode.format

    @property
    def memory(self) -> str:
        """Where its frames lie, in words: "our pages, registered (USERPTR)"."""
        return self._buffers.memory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest whole frame; None when none came in time, or after ``stop``.

        Its planes are views of a buffer (lines may be longer than the picture is wide), which the driver fills
        again after ``release()``; there are 4, so don't keep more than two frames.
        captured_ns is the driver's monotonic timestamp. Older frames and damaged ones are skipped.

        Raises SourceError when the camera is lost.
        """
        deadline = time.monotonic() + timeout_s
        with self._reading:
            while not self._stopped.is_set():
                left = deadline - time.monotonic()
                if not self._ready(max(left, 0)):
                    return None
                frame = self._newest()
                if frame is not None or left <= 0:
                    return frame
        return None

    def stop(self) -> None:
        """Make a waiting ``read``, and every later one, return None at once."""
        with self._lock:
            if not self._stopped.is_set():
                self._stopped.set()
                os.eventfd_write(self._stop_fd, 1)

    def close(self) -> None:
        """Stop streaming and give all back; a second call does nothing.

        Frames still out stay readable until they are dropped, for a GPU until they are released.
        """
        self.stop()
        with self._reading, self._lock:
            self._undo.close()

    def _open(self, undo: ExitStack) -> None:
        try:
            self._fd = self._kernel.open(self._node, os.O_RDWR | os.O_NONBLOCK)
            undo.callback(self._kernel.close, self._fd)
            capability = ioctls.query_capability(self._kernel, self._fd)
        except OSError as error:
            raise camera_error(error, self._node, "open the camera") from error
        if not capability.own & vd.CAP_VIDEO_CAPTURE or not capability.own & vd.CAP_STREAMING:
            raise SourceError(f"{self._node} is no camera", "choose another with --camera")
        self._card = capability.card.decode(errors="replace")

    def _negotiate(self, wish: modes.Wish) -> None:
        """Agree with the driver on format, size and rate; its answer counts."""
        try:
            mode = modes.choose(modes.offered(self._kernel, self._fd, wish), wish)
            if mode is None:
                raise SourceError(
                    f"{self._node} offers neither MJPG, NV12 nor YUYV", "choose another camera with --camera"
                )
            number = ioctls.fourcc(mode.format.value)
            pix = vd.PixFormat(width=mode.size.width, height=mode.size.height, pixelformat=number)
            pix.field, pix.priv = vd.FIELD_NONE, vd.PIX_FMT_PRIV_MAGIC
            self._pix = ioctls.set_format(self._kernel, self._fd, vd.CAPTURE, pix)
        except OSError as error:
            raise camera_error(error, self._node, "set the format") from error
        if self._pix.pixelformat != number:
            raise SourceError(f"{self._node} does not give the {mode.format.value} that it offers")
        self._color = layout.color(self._pix, mode.format)
        self._mode = modes.Mode(mode.format, Size(self._pix.width, self._pix.height), self._set_rate(mode.rate))

    def _set_rate(self, rate: Fraction) -> Fraction:
        """Ask for a rate; a driver that has only one may refuse the question."""
        try:
            answer = ioctls.set_rate(self._kernel, self._fd, vd.CAPTURE, rate)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY):
                return rate
            raise camera_error(error, self._node, "set the rate") from error
        return answer.timeperframe.rate or rate

    def _ready(self, timeout_s: float) -> bool:
        """Wait for a frame; False when none came or somebody called ``stop``."""
        events = self._kernel.poll((self._fd, self._stop_fd), timeout_s)
        if events.get(self._fd, 0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            raise SourceError(f"{self._node}: the camera is lost", "plug it in again")
        return bool(events) and self._stop_fd not in events

    def _newest(self) -> Frame | None:
        """Dequeue all that is ready and give all but the newest whole one back."""
        newest: vd.Buffer | None = None
        try:
            while (buffer := self._buffers.dequeue()) is not None:
                damaged = buffer.flags & vd.BUF_FLAG_ERROR
                if damaged or buffer.bytesused < layout.bytes_needed(self._pix, self.format):
                    self._give_back(buffer.index)
                    continue
                if newest is not None:
                    self._give_back(newest.index)
                newest = buffer
        except OSError as error:
            raise camera_error(error, self._node, "read a frame") from error
        return None if newest is None else self._frame(newest)

    def _frame(self, buffer: vd.Buffer) -> Frame:
        planes = self._buffers.lend(buffer.index)
        if self.format is PixelFormat.MJPG:
            planes = (planes[0][: buffer.bytesused],)
        return Frame(
            planes,
            self.format,
            self.size,
            color=self._color,
            captured_ns=_captured_ns(buffer),
            sequence=buffer.sequence,
            release=partial(self._give_back, buffer.index),
        )

    def _give_back(self, index: int) -> None:
        """Queue a buffer again, unless closed; a camera that is gone is reported by the next ``read``."""
        with self._lock:
            try:
                self._buffers.queue(index)
            except OSError as error:
                if error.errno not in GONE:
                    raise


def look(path: str, *, size: Size | None = None, fps: float | None = None, kernel: Kernel = LINUX) -> modes.Mode:
    """Return what ``V4L2Camera`` would ask this camera for; nothing streams, so its light stays off.

    Raises SourceError as ``V4L2Camera`` does.
    """
    wish = modes.wish_of(size, fps)
    try:
        fd = kernel.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            mode = modes.choose(modes.offered(kernel, fd, wish), wish)
        finally:
            kernel.close(fd)
    except OSError as error:
        raise camera_error(error, path, "open the camera") from error
    if mode is None:
        raise SourceError(f"{path} offers neither MJPG, NV12 nor YUYV", "choose another camera with --camera")
    return mode


def _captured_ns(buffer: vd.Buffer) -> int:
    """The driver's timestamp where it is of the monotonic clock and makes sense, else now. ns."""
    now = time.monotonic_ns()
    stamp = int(buffer.timestamp.tv_sec * 1_000_000_000 + buffer.timestamp.tv_usec * 1000)
    monotonic = buffer.flags & vd.BUF_FLAG_TIMESTAMP_MASK == vd.BUF_FLAG_TIMESTAMP_MONOTONIC
    return stamp if monotonic and 0 <= now - stamp < _OLD_NS else now
