"""Frames as cameras send them, made of noise, for tests of canvases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Plane, Size

BYTES = {PixelFormat.YUYV: 2, PixelFormat.NV12: 1.5, PixelFormat.I420: 1.5}


def noise(seed: int, *shape: int) -> Plane:
    """A picture with soft and hard edges, and every value."""
    rng = np.random.default_rng(seed)
    height, width, *channels = shape
    small = rng.integers(-80, 336, (height // 7 + 2, width // 7 + 2, *channels)).clip(0, 255).astype(np.uint8)
    how = cv2.INTER_NEAREST if seed % 3 == 0 else cv2.INTER_CUBIC
    picture = cv2.resize(small, (width, height), interpolation=how).reshape(shape)
    return rng.integers(0, 256, shape, np.uint8) if seed % 5 == 0 else picture


@dataclass(frozen=True)
class Camera:
    """What frames it sends. ``frame`` gives the same one every time."""

    seed: int
    size: Size
    kind: PixelFormat = PixelFormat.YUYV
    color: Color = BT601
    padding: int = 0

    def frame(self, memory: Plane | None = None, release: Callable[[], None] | None = None) -> Frame:
        """A frame, in lines that are ``padding`` bytes longer than they need be; in ``memory`` if that is given."""
        w, h = self.size
        shapes = {
            PixelFormat.YUYV: [(h, w, 2)],
            PixelFormat.NV12: [(h, w), (h // 2, w // 2, 2)],
            PixelFormat.I420: [(h, w), (h // 2, w // 2), (h // 2, w // 2)],
            PixelFormat.RGB24: [(h, w, 3)],
            PixelFormat.GREY: [(h, w)],
        }
        planes, start = [], 0
        for n, shape in enumerate(shapes[self.kind]):
            pitch = shape[1] * (shape[2] if len(shape) > 2 else 1) + self.padding
            under = np.full(h * pitch, 99, np.uint8) if memory is None else memory[start:]
            plane = np.ndarray(shape, np.uint8, under.data, 0, (pitch, *np.empty(shape, np.uint8).strides[1:]))
            plane[:] = noise(self.seed + n, *shape)
            planes.append(plane)
            start += shape[0] * pitch
        return Frame(
            tuple(planes),
            self.kind,
            self.size,
            color=self.color,
            captured_ns=self.seed,
            sequence=self.seed % 99,
            release=release,
        )


def matte_of(seed: int, size: Size) -> np.ndarray:
    """Soft or hard: float32 (h, w), 0..1."""
    picture = noise(seed, size.height, size.width).astype(np.float32) / 255
    return np.clip(picture * (8 if seed % 2 else 1.5) - (4 if seed % 2 else 0.25), 0, 1)


def fetched(gpu: Gpu, array: DeviceArray) -> np.ndarray:
    """A copy of it."""
    here = np.empty(array.shape, array.dtype)
    gpu.download(here, array)
    gpu.synchronize()
    return here


def uploaded(gpu: Gpu, array: np.ndarray) -> DeviceArray:
    """A copy of it on the GPU; the caller's."""
    there = gpu.array(array.shape, array.dtype)
    gpu.upload(there, array)
    return there
