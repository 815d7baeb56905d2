"""One buffer's memory, and a GPU's hold on it."""

from __future__ import annotations

import mmap
from contextlib import ExitStack, suppress
from typing import Protocol

import numpy as np

from bgcamd.errors import DeviceError
from bgcamd.frame import PixelFormat, Plane
from bgcamd.video.v4l2 import layout
from bgcamd.video.v4l2 import videodev2 as vd


class Registration(Protocol):
    """Memory that a GPU reads by itself, until closed."""

    def close(self) -> None:
        """End it. A second call does nothing, nor does one when the GPU has been closed before; any thread may."""


class Registrar(Protocol):
    """Who makes host memory readable for a GPU: ``cuda.gpu.Gpu`` is one."""

    def register(self, view: Plane, /) -> Registration:
        """Register memory: uint8 (n,), whole pages; it stays where it is until closed. From any thread.

        Raises DeviceError when the memory is of a kind that the GPU can't read, or the GPU fails.
        """


class Memory:
    """One buffer's memory: whole pages, unmapped when it is closed and nobody has a view of it any more.

    Attributes
    ----------
    planes: views of it, as ``layout.planes`` describes them; none once closed.
    lent: whether a frame of it is out.
    """

    def __init__(self, pages: mmap.mmap, pix: vd.PixFormat, format: PixelFormat) -> None:  # noqa: A002
        self.planes = layout.planes(pages, pix, format)
        self.lent = False
        self._whole = np.frombuffer(pages, np.uint8)
        self._registered = False
        self._undo = ExitStack()
        self._undo.callback(_unmap, pages)

    def register(self, registrar: Registrar) -> None:
        """Let a GPU read it, until it is closed. Raises DeviceError."""
        self._undo.callback(_end, registrar.register(self._whole))
        self._registered = True

    @property
    def address(self) -> int:
        """Where it begins."""
        return int(self._whole.ctypes.data)

    @property
    def length(self) -> int:
        """In bytes."""
        return self._whole.size

    def close(self) -> None:
        """Unregister and unmap; while a frame is out and a GPU may be reading it, nothing: then once more."""
        if not (self._registered and self.lent):
            self.planes, self._whole = (), np.zeros(0, np.uint8)
            self._undo.close()


def whole_pages(size: int) -> int:
    """As many bytes as the pages have that ``size`` bytes lie in."""
    return max(-(-size // mmap.PAGESIZE), 1) * mmap.PAGESIZE


def _end(registration: Registration) -> None:
    with suppress(DeviceError):  # of a GPU that failed: it holds nothing any more
        registration.close()


def _unmap(pages: mmap.mmap) -> None:
    with suppress(BufferError):  # a frame that is out has views; unmapped when the last of them is dropped
        pages.close()
