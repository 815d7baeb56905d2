"""A camera's frame to the GPU: one upload of its raw bytes, from its own memory where the GPU may read that.

Where a kernel does not know the format, the CPU converts it, into memory that is uploaded from.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from bgcamd.canvas.convert import check_planes
from bgcamd.canvas.cuda.memory import Arrays, Staging
from bgcamd.canvas.cuda.parameters import Parameters
from bgcamd.canvas.planes import new_planes
from bgcamd.canvas.taking import Taker
from bgcamd.cuda.gpu import DeviceArray, Gpu, Int, Kernels, grid_over
from bgcamd.errors import DeviceError
from bgcamd.frame import Frame, PixelFormat, Plane

_KERNELS = {PixelFormat.YUYV: "take_yuyv", PixelFormat.NV12: "take_nv12", PixelFormat.I420: "take_i420"}
_PADDED = 256  # there is room on the GPU for lines that end at multiples of so many bytes


class _Raw(NamedTuple):
    """A raw frame's bytes in the host's memory; for each plane, where it begins in them, and from line to line."""

    address: int
    size: int
    planes: tuple[tuple[int, int], ...]


class Intake:
    """Brings raw frames into ``picture``, and their own alpha into ``own_alpha``.

    A frame whose memory the GPU reads by itself is kept until it has, and then released: by ``settle``, by the next
    ``take``, or by ``close``, whatever happens in between. Every other is released when ``take`` returns.
    """

    def __init__(self, gpu: Gpu, kernels: Kernels, arrays: Arrays, parameters: Parameters) -> None:
        width, height = self._size = parameters.size
        self._gpu, self._kernels, self._parameters = gpu, kernels, parameters
        self.picture: DeviceArray = arrays.get("picture", (height * 3 // 2, width))
        self.own_alpha: DeviceArray = arrays.get("own alpha", (height, width))
        self._bytes = arrays.get("raw", (height, -(-2 * width // _PADDED) * _PADDED))
        self._taker = Taker(self._size, PixelFormat.I420, parameters.color)
        self._staging = Staging(gpu, self.picture.nbytes + self.own_alpha.nbytes)  # YUYV is smaller
        self._planes = new_planes(PixelFormat.I420, self._size, self._staging.pinned.view)
        self._lent: Frame | None = None

    def take(self, raw: Frame, *, mirror: bool) -> None:
        """Queue the work. Raises SourceError for a damaged frame and DeviceError."""
        try:
            self.settle()
            check_planes(raw)
            self._parameters.raw(raw.color, own_alpha=raw.alpha is not None)
            self._parameters.upload()
            if raw.size == self._size and raw.alpha is None and raw.format in _KERNELS:
                self._convert_there(raw, mirror)
            else:
                self._convert_here(raw, mirror)
        finally:
            if raw is not self._lent:
                raw.release()

    def settle(self) -> None:
        """Release the frame that the GPU was reading, as soon as it is done with it."""
        lent, self._lent = self._lent, None
        if lent is not None:
            try:
                self._staging.open()
            finally:
                lent.release()

    def close(self) -> None:
        """Free the memory, and give back what is lent."""
        with suppress(DeviceError):
            self.settle()
        self._staging.close()

    def _convert_here(self, raw: Frame, mirror: bool) -> None:
        """Convert on the CPU, then upload."""
        memory = self._staging.open()
        alpha = self._taker.take(raw, self._planes, mirror=mirror)
        self._staging.upload(self.picture)
        if alpha is not None:
            start = self.picture.nbytes
            memory[start : start + alpha.size] = alpha.reshape(-1)
            self._staging.upload(self.own_alpha, start)

    def _convert_there(self, raw: Frame, mirror: bool) -> None:
        """Upload, or on an integrated GPU not even that, then convert."""
        found, integrated = _lines(raw), self._gpu.card.integrated
        seen = self._gpu.registered(found.address, found.size) if found else None
        if found is None or seen is None or not (integrated or found.size <= self._bytes.nbytes):
            found, seen = self._packed(raw), self._staging.pinned.address
        else:
            self._lent = raw
        if not integrated:
            self._gpu.driver.upload(self._bytes.address, found.address, found.size, self._gpu.stream)
            self._staging.queued()
            seen = self._bytes.address
        lines = [argument for start, pitch in found.planes for argument in (ctypes.c_void_p(seen + start), Int(pitch))]
        width, height = self._size
        grid = grid_over(width // 2, height // 2)
        where = self.picture, Int(width), Int(height), Int(mirror)
        self._kernels.launch(_KERNELS[raw.format], grid, self._parameters.block, *lines, *where)
        if integrated:  # the kernel reads the host's memory
            self._staging.queued()

    def _packed(self, raw: Frame) -> _Raw:
        """Copy a frame, without what is between its lines, into our own memory."""
        memory, start, planes = self._staging.open(), 0, []
        for plane in raw.planes:
            np.copyto(memory[start : start + plane.size].reshape(plane.shape), plane)
            planes.append((start, plane.size // len(plane)))
            start += plane.size
        return _Raw(memory.ctypes.data, start, tuple(planes))


def _lines(raw: Frame) -> _Raw | None:
    """Where a frame's bytes lie; None where the kernels can't read them: they read 4 bytes at a time, or 2."""
    word = 4 if raw.format is PixelFormat.YUYV else 2
    starts = [plane.ctypes.data for plane in raw.planes]
    first = min(starts)
    end = max(start + _span(plane) for start, plane in zip(starts, raw.planes, strict=True))
    aligned = all(
        start % word == 0 and plane.strides[0] % word == 0 for start, plane in zip(starts, raw.planes, strict=True)
    )
    dense = all(plane.strides[0] >= plane[0].size and plane[0].flags.c_contiguous for plane in raw.planes)
    if not (aligned and dense):
        return None
    return _Raw(first, end - first, tuple((s - first, p.strides[0]) for s, p in zip(starts, raw.planes, strict=True)))


def _span(plane: Plane) -> int:
    """Bytes from its first sample to the end of its last line."""
    return int(plane.strides[0]) * (len(plane) - 1) + int(plane[0].size)
