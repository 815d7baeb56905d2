"""What may change from one frame to the next without the recorded work changing: a block in the GPU's memory.

``struct Parameters`` of kernels.cu, field by field; all of them are 4 bytes wide, or arrays of whole words.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.canvas.blur import coarse, steps
from bgcamd.canvas.color import Matrix, solid, yuv_to_rgb, yuv_to_yuv
from bgcamd.canvas.cuda.memory import Arrays, Staging
from bgcamd.canvas.outline import moved, shifted, spread
from bgcamd.canvas.steady import kept_at
from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.frame import Color, InputSpec, Region, Size
from bgcamd.scene import USUAL_EDGE, Edge

_STEPS = 12  # room for the sizes of a chain: enough for any picture
_RADIUS = 10  # of the blur's Gaussian at most,
_REACH = 120  # and of a feather's
_STILL = 64  # changes of colour at which anything of the last matte is kept
_CHAIN = [("steps", np.int32), ("width", np.int32, _STEPS), ("height", np.int32, _STEPS)]
_GAUSS = [(name, np.int32) for name in ("across", "down")] + [
    (f"{name}_weights", np.int32, _REACH + 1) for name in ("across", "down")
]
_PARAMETERS = np.dtype(
    [
        ("recolor", np.int32),
        ("recolor_matrix", np.int32, 12),
        ("recolor_factor", np.float32, 3),
        ("recolor_offset", np.float32, 3),
        ("region", np.int32, 4),
        ("to_rgb", np.int32, 12),
        ("bgr", np.int32),
        ("half", np.int32),
        ("by_peak", np.int32),
        ("factor", np.float32, 3),
        ("shift", np.float32, 3),
        ("deviation", np.float32, 3),
        ("middle", np.float32),
        ("lower", np.float32),
        ("upper", np.float32),
        ("smooth", np.int32),
        ("still", np.float32, _STILL),
        ("shifted", _GAUSS),
        ("feathered", _GAUSS),
        ("moved", np.uint8, 256),
        ("own_alpha", np.int32),
        ("coloured", np.int32),
        ("light_wrap", np.float32),
        ("back", np.int32),
        ("matte_factor", np.float32),
        ("matte_offset", np.float32),
        ("luma", _CHAIN),
        ("chroma", _CHAIN),
        ("radius", np.int32),
        ("weights", np.float32, _RADIUS + 1),
    ]
)
_SAME, _RANGE, _MATRIX = range(3)
_PLANES, _ROOM, _MATTE = range(3)


class Parameters:
    """The block, on both sides: the setters write it here, ``upload`` brings it to the GPU where it has changed.

    Attributes
    ----------
    block: the GPU's copy.
    size, color: the canvas's.
    """

    def __init__(self, gpu: Gpu, arrays: Arrays, size: Size, color: Color) -> None:
        self.size, self.color = size, color
        self._now = np.zeros((), _PARAMETERS)
        self._there = b""
        self._raw: tuple[Color, bool] | None = None
        self._outline = USUAL_EDGE, Region(0, 0, *size), size  # how it is drawn, of what, and the matte's size
        self._drawn: object = None  # what of that is in the block
        self.block: DeviceArray = arrays.get("parameters", (_PARAMETERS.itemsize,))
        self._staging = Staging(gpu, _PARAMETERS.itemsize)
        black, white = (solid((c, c, c), color)[0] for c in (0, 255))
        self._now["region"] = 0, 0, *size
        self._now["to_rgb"] = _fixed(yuv_to_rgb(color))
        self._now["matte_factor"], self._now["matte_offset"] = (white - black) / 255, black

    def upload(self) -> None:
        """Queue an upload if anything has changed since the last."""
        self._draw()
        now = self._now.tobytes()
        if now != self._there:
            self._staging.open()[:] = np.frombuffer(now, np.uint8)
            self._staging.upload(self.block)
            self._there = now

    def raw(self, color: Color, *, own_alpha: bool) -> None:
        """What a camera's samples mean, and whether the frame has an alpha of its own."""
        if self._raw == (color, own_alpha):
            return
        self._raw = color, own_alpha
        self._now["own_alpha"] = own_alpha
        self._now["recolor"] = (
            _SAME if color == self.color else _RANGE if color.matrix == self.color.matrix else _MATRIX
        )
        matrix = yuv_to_yuv(color, self.color)
        self._now["recolor_matrix"] = _fixed(matrix)
        self._now["recolor_factor"], self._now["recolor_offset"] = matrix.diagonal(), matrix[:, 3]

    def spec(self, spec: InputSpec) -> None:
        """What the network wants."""
        now = self._now
        now["bgr"], now["half"], now["by_peak"] = spec.bgr, spec.half, spec.scale_to_max
        for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
            now["factor"][channel], now["shift"][channel] = spec.scale / std, mean / std
            now["deviation"][channel] = std

    def look(self, region: Region) -> None:
        """What of the frame the network sees."""
        self._outline = self._outline[0], region, self._outline[2]
        self._now["region"] = region

    def small(self, size: Size) -> None:
        """The size of its matte."""
        self._outline = *self._outline[:2], size

    def edge(self, edge: Edge) -> None:
        """How the outline is drawn."""
        self._outline = edge, *self._outline[1:]

    def _draw(self) -> None:
        if self._outline == self._drawn:
            return
        self._drawn = self._outline
        (edge, region, small), now, middle = self._outline, self._now, self._outline[0].threshold / 100
        now["middle"], now["lower"], now["upper"] = middle, 0.5 / middle, 0.5 / (1 - middle)
        now["smooth"], now["still"] = edge.smooth > 0, kept_at(edge.smooth)[:_STILL]
        now["light_wrap"] = edge.light_wrap / 100
        now["shifted"]["across"] = now["feathered"]["across"] = 0  # none
        if edge.shift:
            sigmas = spread(edge.shift, small, region, self.size, at_least=1)
            _put_gauss(now["shifted"], *sigmas)
            now["moved"] = moved(shifted(edge.shift, small, region, self.size), sigmas[1])
        if edge.feather:
            _put_gauss(now["feathered"], *spread(edge.feather, small, region, self.size))

    def colours(self, *, wanted: bool) -> None:
        """Whether the edge gets the person's own colour, if anything is to be seen behind."""
        self._now["coloured"] = wanted and self._now["back"] != _MATTE

    def planes(self) -> None:
        """Behind the person are given planes."""
        self._now["back"] = _PLANES

    def matte(self) -> None:
        """The alpha alone."""
        self._now["back"] = _MATTE

    def room(self, strength: int) -> None:
        """Behind the person is the room, blurred."""
        small, sigma = coarse(self.size, strength)
        radius = (round(sigma * 8 + 1) | 1) // 2  # as cv2.GaussianBlur chooses it for floats
        kernel: NDArray[np.float32] = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)[radius:, 0]
        self._now["back"], self._now["radius"] = _ROOM, radius
        self._now["weights"][: radius + 1] = kernel
        for name, start in (("luma", self.size), ("chroma", _half(self.size))):
            sizes = [start, *steps(start, small)]
            self._now[name]["steps"] = len(sizes) - 1
            for level, (width, height) in enumerate(sizes):
                self._now[name]["width"][level], self._now[name]["height"][level] = width, height

    def close(self) -> None:
        """Free it."""
        self._staging.close()


def launches(size: Size) -> list[Size]:
    """What each ``shrink_room`` must be laid out for: the largest picture after its two steps, of any strength."""
    chains = [steps(start, coarse(size, s)[0]) for s in range(1, 101) for start in (size, _half(size))]
    count = -(-max(map(len, chains)) // 2)
    after = [[chain[min(2 * n + 1, len(chain) - 1)] for chain in chains if len(chain) > 2 * n] for n in range(count)]
    return [Size(max(s.width for s in sizes), max(s.height for s in sizes)) for sizes in after]


def _put_gauss(into: NDArray[np.void], across: float, down: float) -> None:
    for name, sigma in (("across", across), ("down", down)):
        weights = _gauss(sigma)
        into[name], into[f"{name}_weights"][: len(weights)] = len(weights) - 1, weights


def _gauss(sigma: float) -> NDArray[np.int32]:
    """What ``cv2.GaussianBlur`` weighs bytes with, from the centre on, in 1/256: read off what it makes of one."""
    radius = (round(6 * sigma + 1) | 1) // 2
    line = np.zeros((1, 6 * radius + 1), np.uint8)
    line[0, 3 * radius] = 255
    blurred = cv2.GaussianBlur(line, (2 * radius + 1, 1), sigma)[0, 3 * radius : 4 * radius + 1]
    weights: NDArray[np.int32] = blurred.astype(np.int32)
    weights[0] = 256 - 2 * weights[1:].sum()  # 255 times it, rounded, may be one less
    return weights


def _half(size: Size) -> Size:
    return Size(size.width // 2, size.height // 2)


def _fixed(matrix: Matrix) -> NDArray[np.int32]:
    """In 1/1024, as ``cv2.transform`` has it for bytes."""
    return np.rint(matrix * 1024).astype(np.int32).reshape(-1)
