"""From addresses and names to things: which class answers to what the user wrote. Nothing is opened before asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bgcamd.assets import demo_path
from bgcamd.errors import BgcamError, OutputError, SinkError, SourceError
from bgcamd.frame import Size
from bgcamd.live.beside import Beside
from bgcamd.live.outputs import OutputPlan
from bgcamd.paths import state_folder
from bgcamd.preview.sink import PreviewSink
from bgcamd.protocols import Sink, Source
from bgcamd.streams import open_camera, open_output
from bgcamd.video.address import (
    Auto,
    CameraAddress,
    Demo,
    Device,
    File,
    Loopback,
    Named,
    Null,
    OutputAddress,
    Preview,
)
from bgcamd.video.demo import DemoReader
from bgcamd.video.files.images import read_image
from bgcamd.video.files.media_formats import check_clip_target
from bgcamd.video.files.media_writer import MediaWriter
from bgcamd.video.files.paths import Kind, classify, open_reader, output_kind
from bgcamd.video.files.sequence_writer import sequence_writer
from bgcamd.video.null import NullSink
from bgcamd.video.player import Player
from bgcamd.video.v4l2 import devices
from bgcamd.video.v4l2.camera import V4L2Camera, look
from bgcamd.video.v4l2.loopback import LoopbackSink
from bgcamd.video.v4l2.loopback_control import find_or_make_loopback
from bgcamd.video.v4l2.loopback_device import NOBODY, Keeper
from bgcamd.video.v4l2.memory import Registrar
from bgcamd.video.v4l2.modes import HD
from bgcamd.web.secret import kept_secret

_log = logging.getLogger(__name__)

_RATE = Fraction(30)
_DEMO = Size(960, 720)  # the photograph is square: in 16:9 little of it is left


@dataclass(frozen=True)
class Choices:
    """What ``auto`` came to. notes: what is missing for the real thing, each with its cure."""

    camera: CameraAddress
    outputs: tuple[OutputAddress, ...]
    notes: tuple[BgcamError, ...]


def choose(camera: CameraAddress, outputs: Iterable[OutputAddress], preview_port: int, label: str) -> Choices:
    """Replace ``auto`` by the best that this machine has now: a camera, else the demo; the loopback, else a page.

    label: of the virtual camera where the user named none.
    """
    notes: list[BgcamError] = []
    if isinstance(camera, Auto):
        try:
            camera = Device(Path(devices.find_camera()))
        except SourceError as error:
            notes.append(error)
            camera = Demo()
    chosen: list[OutputAddress] = []
    for output in outputs:
        try:
            chosen.append(_found(output, label))
        except SinkError as error:
            notes.append(error)
            chosen.append(Preview(preview_port))
    return Choices(camera, tuple(chosen), tuple(notes))


def _found(output: OutputAddress, label: str) -> OutputAddress:
    if isinstance(output, Auto):
        find_or_make_loopback(label)
        return Loopback(label)
    return Loopback(label) if output == Loopback() else output


class Camera:
    """What opens the camera, again and again; each call raises SourceError when there is none at the moment.

    A real camera that was open once is found again when it comes back under another number.

    Attributes
    ----------
    registrar: tells who lets a GPU read the camera's frames where they lie; None for nobody.
    """

    def __init__(self, address: CameraAddress, size: Size | None, fps: Fraction | None) -> None:
        self._address, self._size, self._fps = address, size, fps
        self._known: devices.Device | None = None
        self.registrar: Callable[[], Registrar | None] = lambda: None

    @property
    def real(self) -> bool:
        """Whether it has a light that goes on."""
        return isinstance(self._address, Device | Named)

    def look(self) -> tuple[Size, Fraction]:
        """The size and rate that it would have, as far as can be told now, without turning it on."""
        try:
            if self.real:
                mode = look(self._node(), size=self._size, fps=self._asked)
                return mode.size, mode.rate
            with self() as source:
                return source.size, source.rate
        except SourceError:  # whoever opens it later says what is wrong, and tries on
            return self._size or HD, self._fps or _RATE

    def __call__(self) -> Source:
        match self._address:
            case Device() | Named():
                node = self._node()
                source = V4L2Camera(node, size=self._size, fps=self._asked, registrar=self.registrar())
                self._known = devices.describe(node)
                if self._fps and abs(source.rate - self._fps) > self._fps / 20:
                    _log.warning("%s gives %g frames per second, not %g", source.name, source.rate, self._fps)
                return source
            case File(path):
                return Player(lambda: open_reader(path), name=str(path), rate=self._fps or _RATE)
            case Demo():
                return _demo(self._size or _DEMO, self._fps or _RATE)
            case Auto():
                raise TypeError("auto has to be chosen first")
            case other:
                return open_camera(other, self._size, self._fps)

    @property
    def _asked(self) -> float | None:
        return float(self._fps) if self._fps else None

    def _node(self) -> str:
        if self._known is not None:
            try:
                return devices.find_again(self._known)
            except SourceError:
                if self._address != Named(""):
                    raise
        match self._address:
            case Device(path):
                return str(path)
            case Named(""):
                return devices.find_camera()
            case Named(text):
                return devices.find_named(text)
            case other:
                raise TypeError(f"{other} is no device")


def _demo(size: Size, rate: Fraction) -> Source:
    path = demo_path()
    if not path.is_file():
        raise SourceError("the demo's picture has not been fetched", "bgcam models fetch --demo")
    photo = read_image(path)
    return Player(lambda: DemoReader(photo, size=size, rate=rate), name="demo clip", rate=rate)


def check_camera(camera: CameraAddress) -> None:
    """Raise InputError for a file that is not there: nobody plugs it in."""
    if isinstance(camera, File):
        classify(camera.path)


def check_output(output: OutputAddress) -> None:
    """Raise OutputError for a file that can't be written or is there already."""
    if isinstance(output, File):
        if output_kind(output.path) is Kind.SEQUENCE:
            sequence_writer(output.path)
            return
        if output.path.exists():
            raise OutputError(f"{output.path} exists already", "name another file, or remove it")
        check_clip_target(output.path, alpha=False, overwrite=False)


def output_plan(
    output: OutputAddress, size: Size, rate: Fraction, socket: Path | None = None, keeper: Keeper = NOBODY
) -> OutputPlan:
    """Say how an output is opened.

    socket: the daemon's, for a page; None where there is no daemon. keeper: keeps a virtual camera for the next run.
    """
    if isinstance(output, Preview):
        return OutputPlan(str(output), _page(output.port, socket))
    return OutputPlan(str(output), _output_opener(output, size, rate, keeper))


def _page(port: int, socket: Path | None) -> Callable[[], Sink]:
    if socket is None:
        raise TypeError("only a daemon has a page")
    return lambda: PreviewSink(socket, port=port, secret=kept_secret(state_folder()))


def _output_opener(output: OutputAddress, size: Size, rate: Fraction, keeper: Keeper) -> Callable[[], Sink]:
    match output:
        case Loopback(label):
            return lambda: LoopbackSink(None, label=label, size=size, fps=float(rate), keeper=keeper)
        case Device(path):
            return lambda: LoopbackSink(str(path), size=size, fps=float(rate), keeper=keeper)
        case File(path):
            return lambda: Beside(_recording(path, size, rate))
        case Null():
            return NullSink
        case Auto() | Preview():
            raise TypeError(f"{output} is none that stands for itself")
        case other:
            return lambda: open_output(other, size, rate)


def _recording(path: Path, size: Size, rate: Fraction) -> Sink:
    if output_kind(path) is Kind.SEQUENCE:
        return sequence_writer(path, consecutive=True)
    return MediaWriter(path, size=size, rate=rate)
