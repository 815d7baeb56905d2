"""The canvas on an NVIDIA GPU: the host canvas's verbs, as kernels on memory that is laid out once.

    with Gpu(CudaDriver()) as gpu, CudaCanvas(gpu, size) as canvas:
        frame = canvas.take(raw)                        # one upload; what follows only queues
        canvas.look(region)                             # it, and
        canvas.dress(scene, frame.captured_ns)          # the scene, or its picture, are uploaded where they changed
        alpha = canvas.refine(engine.infer(canvas.shrink(frame, spec)), frame, scene.scene.edge)
        done = canvas.give(canvas.compose(frame, alpha, scene))     # one download, and the only wait

From ``shrink`` to ``compose`` the same kernels run with the same arguments for every frame, region and scene, so that
they can be recorded once (``Gpu.record``) and replayed; what is remembered from frame to frame lies in the GPU's
memory. The arithmetic is the host's, rounding included: planes are the same byte for byte, but for a sample in
thousands that is off by 1 (blurred, or sharpened in floats).
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from bgcamd.canvas.background import Plate
from bgcamd.canvas.cuda.memory import Arrays, Staging, part
from bgcamd.canvas.cuda.outline import Outline
from bgcamd.canvas.cuda.parameters import Parameters
from bgcamd.canvas.cuda.room import Room
from bgcamd.canvas.cuda.take import Intake
from bgcamd.canvas.planes import Planes, new_planes
from bgcamd.cuda.gpu import DeviceArray, Gpu, Int, Pinned, grid_over
from bgcamd.errors import DeviceError, EngineError
from bgcamd.frame import (
    BT601,
    GLANCE,
    UNKNOWN_CHANGE,
    Change,
    Color,
    Frame,
    InputSpec,
    Matte,
    PixelFormat,
    Plane,
    Region,
    Size,
)
from bgcamd.scene import USUAL_EDGE, Alpha, Blur, Edge, Keep, PreparedScene

_KERNELS = Path(__file__).with_name("kernels.cu")


class DeviceFrame(Frame):
    """A frame on the GPU: ``planes`` is empty; ``block`` holds Y, U, V, and if it is done, whether it is valid."""

    __slots__ = ("block",)

    def __init__(self, block: DeviceArray | Pinned, like: Frame, size: Size, color: Color) -> None:
        super().__init__((), PixelFormat.I420, size, color=color, captured_ns=like.captured_ns, sequence=like.sequence)
        self.block = block


class CudaCanvas:
    """Implements ``protocols.Canvas``, in I420. Not for two threads at once. Every call may raise DeviceError.

    Parameters
    ----------
    gpu: where; borrowed.
    size, color: of every frame that leaves, as ``HostCanvas`` has them.

    Attributes
    ----------
    plate: the shape that backgrounds and cards for this canvas are brought into.
    sharpens: is not heeded: mattes always are.
    colours_edges: whether soft pixels get the person's own colour, without the old room's.
    """

    format = PixelFormat.I420
    holds_alpha = False

    def __init__(self, gpu: Gpu, size: Size, color: Color = BT601) -> None:
        self.gpu, self.size, self.color = gpu, size, color
        self.plate = Plate(size, self.format, color)
        self.sharpens, self.colours_edges = True, True
        self._whole = Int(size.width), Int(size.height)
        self._scene: PreparedScene | None = None  # what the GPU is dressed for, and the time
        self._time_ns = 0
        self._seen: DeviceArray | None = None  # the picture that the network saw last
        self._behind: Planes = ()  # what the GPU's background is a copy of
        gpu.enter_thread()
        with ExitStack() as undo:
            self._kernels = undo.enter_context(gpu.kernels(_KERNELS))
            self._arrays = arrays = Arrays(gpu)
            undo.callback(arrays.close)
            self._lay_out(undo)
            self._parameters = Parameters(gpu, arrays, size, color)
            undo.callback(self._parameters.close)
            self._intake = Intake(gpu, self._kernels, arrays, self._parameters)
            undo.callback(self._intake.close)
            self._outline = Outline(
                gpu, self._kernels, arrays, self._parameters, fault=self._fault, glanced=self._glanced
            )
            self._room = Room(self._kernels, arrays, size)
            self._undo = undo.pop_all()

    def _lay_out(self, undo: ExitStack) -> None:
        """Memory for the background, for the done picture, and for what leaves: planes, a word, who was seen."""
        width, height = self.size
        arrays, samples = self._arrays, width * height * 3 // 2
        word = -(-samples // 4) * 4
        glance, end = word + 4, word + 4 + GLANCE.width * GLANCE.height
        self._out = undo.enter_context(self.gpu.pinned(end))
        self._planes = new_planes(self.format, self.size, self._out.view)
        self._fault_out = self._out.view[word:glance]
        self._glanced_out = self._out.view[glance:].reshape(GLANCE.height, GLANCE.width)
        self._done: DeviceArray | Pinned = self._out if self.gpu.card.integrated else arrays.get("done", (end,))
        self._fault = part(self._done, word, (4,))
        self._glanced = part(self._done, glance, self._glanced_out.shape)
        self._colours = arrays.get("colours", (max(height // 4, 1), max(width // 4, 1), 4))
        self._background = arrays.get("background", (samples,))
        self._staging = Staging(self.gpu, samples)
        undo.callback(self._staging.close)
        self._given = undo.enter_context(self.gpu.event())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is lent and free all; a second call does nothing."""
        with suppress(DeviceError):
            self.gpu.enter_thread()
        self._undo.close()

    def take(self, raw: Frame, *, mirror: bool = False) -> Frame:
        """See ``protocols.Canvas``. Raises SourceError for a damaged frame, which is released, too.

        A frame in memory that the GPU was told of (``Gpu.register``) is read from there, and released by ``give``.
        """
        try:
            self.gpu.enter_thread()
        except DeviceError:
            raw.release()
            raise
        self._intake.take(raw, mirror=mirror)
        self.gpu.clear(self._glanced)
        return DeviceFrame(self._intake.picture, raw, self.size, self.color)

    def moved(self) -> Change:
        """See ``protocols.Canvas``. It is not known: to fetch it would take longer than to look again."""
        return UNKNOWN_CHANGE

    def look(self, region: Region | None) -> None:
        """See ``protocols.Canvas``. Uploaded by whichever verb is next."""
        self._parameters.look(region or Region(0, 0, *self.size))

    def shrink(self, frame: Frame, spec: InputSpec, *, mirrored: bool = False) -> DeviceArray:
        """See ``protocols.Canvas``: float32 or, with ``spec.half``, float16."""
        width, height = spec.size
        self._parameters.spec(spec)
        self._parameters.upload()
        self._seen = self._arrays.get("seen", (height, width, 4))
        tensor = self._arrays.get("tensor", (1, 3, height, width), np.float16 if spec.half else np.float32)
        peak = self._arrays.get("peak", (1,), np.int32)
        small, grid = (Int(width), Int(height)), grid_over(width, height)
        launch, block = self._kernels.launch, self._parameters.block
        if spec.scale_to_max:
            self.gpu.clear(peak)
        launch("shrink", grid, block, _block(frame), *self._whole, self._seen, tensor, peak, *small, Int(mirrored))
        if spec.scale_to_max:
            launch("by_peak", grid, block, self._seen, peak, tensor, *small)
        return tensor

    def keep(self, matte: Matte) -> None:
        """See ``protocols.Canvas``, and ``refine``. Whether there is one to join with is a part of what is recorded."""
        _check_shape(matte)
        self._outline.keep(matte.alpha)

    def glance(self, matte: Matte) -> None:
        """See ``protocols.Canvas``, and ``refine``."""
        _check_shape(matte)
        self._parameters.upload()
        self._outline.glance(matte.alpha)

    def glanced(self) -> Plane:
        """See ``protocols.Canvas``. It came with the picture."""
        return self._glanced_out

    def forget(self) -> None:
        """See ``protocols.Canvas``. Any thread may, without having entered the GPU."""
        self.gpu.enter_thread()
        self._outline.forget()

    def refine(self, matte: Matte, frame: Frame, edge: Edge = USUAL_EDGE) -> DeviceArray:  # noqa: ARG002 - it is here
        """See ``protocols.Canvas``. What is wrong with a matte's shape is raised here; with its numbers, by ``give``.

        Where this is replayed, the edge is that of the scene that ``dress`` was given.
        """
        _check_shape(matte)
        height, width = matte.alpha.shape
        self._parameters.small(Size(width, height))
        self._parameters.edge(edge)
        self._parameters.upload()
        return self._outline.drawn(matte, self._seen, self._intake.own_alpha)

    def dress(self, scene: PreparedScene, time_ns: int) -> None:
        """Bring to the GPU what it needs for this scene at this time, where it has changed. Never to be recorded."""
        if isinstance(scene.scene.background, Keep):
            return
        if scene is not self._scene or (scene.backdrop is not None and time_ns != self._time_ns):
            self._lay_behind(scene, time_ns)
            self._scene, self._time_ns = scene, time_ns
        self._parameters.edge(scene.scene.edge)
        self._parameters.colours(wanted=self.colours_edges)
        self._parameters.upload()

    def _lay_behind(self, scene: PreparedScene, time_ns: int) -> None:
        match scene.scene.background:
            case Alpha():
                self._parameters.matte()
            case Blur(strength):
                self._parameters.room(strength)
            case background:
                if scene.backdrop is None:
                    raise TypeError(f"{background} was not prepared")
                self._parameters.planes()
                self._put_behind(scene.backdrop.planes_at(time_ns))

    def _put_behind(self, planes: Planes) -> None:
        """Upload them, if they are others."""
        if planes is self._behind:
            return
        memory, start = self._staging.open(), 0
        for plane in planes:
            memory[start : start + plane.size] = plane.reshape(-1)
            start += plane.size
        self._staging.upload(self._background)
        self._behind = planes

    def compose(self, frame: Frame, alpha: DeviceArray, scene: PreparedScene) -> Frame:
        """See ``protocols.Canvas``."""
        if isinstance(scene.scene.background, Keep):
            return frame
        self.dress(scene, frame.captured_ns)
        width, height = self.size
        block, picture = self._parameters.block, _block(frame)
        self._room.blur(block, picture, alpha)
        behind = self._background, self._room.blurred, Int(self._room.area)
        grid, small = grid_over(width // 2, height // 2), grid_over(max(width // 4, 1), max(height // 4, 2))
        launch, whole = self._kernels.launch, self._whole
        launch("between", small, block, picture, alpha, *behind, self._colours, *whole)
        launch("compose", grid, block, picture, alpha, *behind, self._colours, self._done, *whole)
        return DeviceFrame(self._done, frame, self.size, self.color)

    def give(self, done: Frame) -> Frame:
        """See ``protocols.Canvas``. Waits, asleep; the planes are pinned memory, valid until the next call.

        Raises EngineError where the matte was none.
        """
        block = _block(done)
        if isinstance(block, DeviceArray):
            self.gpu.download(self._out.view[: block.nbytes], block)
        self._given.record()
        self._given.wait()
        self._intake.settle()
        if block is self._done and self._fault_out.any():
            self._forgive()
            raise EngineError("the network gave no valid matte")
        return Frame(
            self._planes,
            self.format,
            self.size,
            color=self.color,
            captured_ns=done.captured_ns,
            sequence=done.sequence,
        )

    def _forgive(self) -> None:
        """The next matte may be a valid one."""
        if self._done is self._out:
            self._fault_out.fill(0)
        else:
            self.gpu.clear(self._fault)


def _check_shape(matte: Matte) -> None:
    if len(matte.alpha.shape) != 2 or 0 in matte.alpha.shape:
        raise EngineError("the network gave no valid matte")


def _block(frame: Frame) -> DeviceArray | Pinned:
    if not isinstance(frame, DeviceFrame):
        raise TypeError("only a frame of this canvas lies on the GPU")
    return frame.block
