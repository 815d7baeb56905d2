"""The blurred room on the GPU, as ``blur.RoomBlur`` makes it; laid out once, for every strength."""

from __future__ import annotations

import numpy as np

from bgcamd.canvas.blur import coarse
from bgcamd.canvas.cuda.memory import Arrays
from bgcamd.canvas.cuda.parameters import launches
from bgcamd.cuda.driver import Grid
from bgcamd.cuda.gpu import DeviceArray, Int, Kernels, Pinned, grid_over
from bgcamd.frame import Size

_TILE = 32, 8  # the threads of a block of ``across``


class Room:
    """Queues the kernels, which return at once where the parameters ask for no blur.

    Attributes
    ----------
    blurred: uint8 (3, h, w), Y, U, V, each with its own lines, of the size that the strength asks for, at its start.
    area: bytes from one of its planes to the next.
    """

    def __init__(self, kernels: Kernels, arrays: Arrays, size: Size) -> None:
        self._kernels, self._size = kernels, size
        self._launches = launches(size)
        self._between = [
            arrays.get(f"room {n}", (4, size.height, size.width)) for n, size in enumerate(self._launches[:-1])
        ]
        width, height = self._small_size = coarse(size, 1)[0]
        self.area = width * height
        self._small = arrays.get("small room", (4, height, width))
        self._sums = arrays.get("room sums", (height, width, 4), np.float32)
        self.blurred: DeviceArray = arrays.get("blurred", (3, height, width))

    def blur(self, parameters: DeviceArray, picture: DeviceArray | Pinned, alpha: DeviceArray) -> None:
        """Blur the part of ``picture`` that ``alpha`` leaves out."""
        launch, whole = self._kernels.launch, (Int(self._size.width), Int(self._size.height))
        small = self._small, Int(self.area)
        above = picture, Int(0)  # the first step reads the picture itself
        for number, (size, below) in enumerate(zip(self._launches, [*self._between, self._small], strict=True)):
            area = Int(size.width * size.height)
            grid = grid_over(*size, 4)
            launch(
                "shrink_room", grid, parameters, Int(2 * number), picture, alpha, *whole, *above, below, area, *small
            )
            above = below, area
        columns, rows = _TILE
        width, height = self._small_size
        tiles = Grid((-(-width // columns), -(-height // rows), 1), (columns, rows, 1))
        launch("across", tiles, parameters, *small, self._sums)
        launch("down", grid_over(width, height), parameters, self._sums, self.blurred, Int(self.area))
