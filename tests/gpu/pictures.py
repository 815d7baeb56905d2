"""Frames as a camera sends them, YUYV, in memory that the GPU reads by itself: of a clip, or made here."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.cuda.gpu import Gpu
from bgcamd.errors import InputError
from bgcamd.frame import Frame, PixelFormat, Size

Bgr = NDArray[np.uint8]


def sent(gpu: Gpu, stack: ExitStack, clip: Path | None, size: Size, count: int) -> list[Frame]:
    """``count`` frames of ``size``; their memory is given back with ``stack``."""
    pictures = _of_clip(clip, size) if clip is not None else _made(size)
    frames = []
    for number, bgr in enumerate(itertools.islice(pictures, count)):
        lines = _registered(gpu, stack, 2 * size.width * size.height).reshape(size.height, size.width, 2)
        _pack(bgr, lines)
        frames.append(Frame((lines,), PixelFormat.YUYV, size, captured_ns=number * 33_333_333, sequence=number))
    return frames


def _registered(gpu: Gpu, stack: ExitStack, size: int) -> NDArray[np.uint8]:
    """Memory as a camera's buffers are made of, that the GPU was told of."""
    length = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    pages = np.frombuffer(mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8)
    stack.enter_context(gpu.register(pages))
    return pages[:size]


def _of_clip(clip: Path, size: Size) -> Iterator[Bgr]:
    """A clip's frames, cut to the shape and scaled, over and over. OpenCV reads it: PyAV is not everywhere."""
    while True:
        opened = cv2.VideoCapture(str(clip))
        seen = 0
        while (read := opened.read())[0]:
            seen += 1
            yield _cover(read[1], size)
        opened.release()
        if not seen:
            raise InputError(f"{clip} can't be read")


def _cover(bgr: Bgr, size: Size) -> Bgr:
    height, width = bgr.shape[:2]
    scale = max(size.width / width, size.height / height)
    cut_w, cut_h = round(size.width / scale), round(size.height / scale)
    left, top = (width - cut_w) // 2, (height - cut_h) // 2
    return cv2.resize(bgr[top : top + cut_h, left : left + cut_w], size, interpolation=cv2.INTER_CUBIC)


def _made(size: Size) -> Iterator[Bgr]:
    """Somebody's outline before a wall with a pattern, moving to and fro."""
    x, y = np.meshgrid(np.linspace(0, 1, size.width), np.linspace(0, 1, size.height))
    wall = np.stack([np.sin(25 * x) * np.cos(18 * y) * 60 + 128, 90 + 80 * y, 160 - 90 * x], 2).astype(np.uint8)
    for number in itertools.count():
        picture, middle = wall.copy(), int(size.width * (0.5 + 0.1 * np.sin(number)))
        head, body = (size.height // 6, size.height // 5), (size.width // 5, size.height // 2)
        cv2.ellipse(picture, (middle, size.height), body, 0, 0, 360, (120, 60, 40), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (middle, size.height * 2 // 5), head, 0, 0, 360, (150, 180, 220), -1, cv2.LINE_AA)
        yield picture


def _pack(bgr: Bgr, lines: NDArray[np.uint8]) -> None:
    """BT.601 in the limited range; of the chroma each second sample is left out."""
    ycc = cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb).astype(np.float32)
    y, cr, cb = (16 + ycc[..., 0] * (219 / 255), *(128 + (ycc[..., c] - 128) * (224 / 255) for c in (1, 2)))
    lines[..., 0] = np.round(y)
    lines[:, 0::2, 1], lines[:, 1::2, 1] = np.round(cb[:, 0::2]), np.round(cr[:, 0::2])
