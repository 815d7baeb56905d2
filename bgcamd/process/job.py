"""One run of ``bgcam process``: what the user named, opened in the order in which what is wrong should be said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction

from bgcamd.errors import InputError, OutputError, UsageError
from bgcamd.frame import BT601, Frame, PixelFormat
from bgcamd.live.outputs import Outputs
from bgcamd.matting.engines import Choice, open_engine
from bgcamd.matting.manifest import Manifest
from bgcamd.pipeline import fit_to
from bgcamd.process.inputs import LiveReader, paced
from bgcamd.process.outputs import Fan, Targets
from bgcamd.process.studio import Studio
from bgcamd.protocols import Command, Engine
from bgcamd.scene import Background, Blur, Remove, Scene
from bgcamd.streams import given_at, is_patient
from bgcamd.video.address import CameraAddress, File
from bgcamd.video.files.paths import FileReader, open_reader, open_writer
from bgcamd.wiring import Camera, choose, output_plan

Input = FileReader | LiveReader
Progress = Callable[[Iterable[Frame], int | None], Iterable[Frame]]

_RATE = Fraction(30)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What to read, what to show, where to write.

    overwrite: whether files that are there may be replaced.
    backgrounds: what a window's key goes through, beside the scene's own and a blur.
    """

    source: CameraAddress
    targets: Targets
    scene: Scene
    manifest: Manifest
    engine: Choice
    threads: int
    overwrite: bool
    backgrounds: Sequence[Background] = ()

    @property
    def live(self) -> bool:
        """Whether the input goes on until it is told to stop."""
        return not isinstance(self.source, File)

    @property
    def transparent(self) -> bool:
        """Whether nothing is behind the person in the results."""
        return isinstance(self.scene.background, Remove) and not self.targets.live

    def run(self, stopped: threading.Event, progress: Progress, tell: Callable[[str], None]) -> None:
        """Do it; return when all is done, or, with a live input, when ``stopped``: then too the files are complete.

        progress: gives the frames on, and shows how many they are. tell: is told where a person finds the streams.
        Raises BgcamError; then no file is left.
        """
        with ExitStack() as stack:
            reader = self._reader(stopped)
            stack.enter_context(reader)
            if isinstance(self.scene.background, Remove):  # after what is wrong with the input: they may be swapped
                self.targets.check_alpha()
            fan = self._fan(reader)
            network = stack.enter_context(open_engine(self.manifest, self.engine, self.threads, size=reader.size)[0])
            studio = self._studio(network, reader)
            stack.callback(studio.close)
            stack.enter_context(fan)
            for place in filter(None, (given_at(self.source), *fan.places)):
                tell(place)
            for frame in progress(self._frames(reader, stopped), reader.count):
                fan.write(studio.run(frame))
                for command in fan.commands():
                    self._obey(command, studio, stopped)
                if stopped.is_set():
                    break
            if stopped.is_set() and not self.live and self.targets.files:
                raise OutputError(f"{', '.join(self.targets.files)} not written: ended before the end of {reader.name}")
        if reader.damage:  # what could be read has been written; what could not is still an error
            raise InputError(reader.damage, f"what could be read is in {', '.join(self.targets.files)}")

    def _reader(self, stopped: threading.Event) -> Input:
        if isinstance(self.source, File):
            return open_reader(self.source.path, format=PixelFormat.I420 if self.targets.yuv else PixelFormat.RGB24)
        source = choose(self.source, (), 0, "").camera
        camera = Camera(source, None, None)
        size, rate = camera.look()
        return LiveReader(camera, name=str(source), size=size, rate=rate, stopped=stopped, patient=is_patient(source))

    def _fan(self, reader: Input) -> Fan:
        size = fit_to(None, reader.size) if reader.size and self.targets.yuv else None
        writers = [
            open_writer(path, reader, size=size, alpha=self.transparent, overwrite=self.overwrite)
            for path in self.targets.files
        ]
        if self.targets.live and size is None:
            raise UsageError(f"{reader.name} holds pictures of any size", "a live output needs one picture or a video")
        plans = [output_plan(output, size, reader.rate or _RATE) for output in self.targets.live if size is not None]
        return Fan(writers, Outputs(plans))

    def _studio(self, network: Engine, reader: Input) -> Studio:
        return Studio(
            self.scene,
            network,
            format=PixelFormat.I420 if self.targets.yuv else PixelFormat.RGBP,
            size=fit_to(None, reader.size) if self.targets.yuv and reader.size else None,
            color=getattr(reader, "color", BT601),
            alpha=self.transparent,
            still_passes=self.manifest.still_passes if reader.size is None else None,
            live=self.live,
        )

    def _frames(self, reader: Input, stopped: threading.Event) -> Iterable[Frame]:
        if self.targets.live and not self.live:
            return paced(reader, skip=not self.targets.files, stopped=stopped)
        return reader

    def _obey(self, command: Command, studio: Studio, stopped: threading.Event) -> None:
        """Do what the keys of a window ask for. What can't be shown is passed over."""
        scene = studio.scene
        match command:
            case Command.QUIT:
                stopped.set()
            case Command.MIRROR:
                studio.show(replace(scene, mirror=not scene.mirror))
            case Command.NEXT_BACKGROUND:
                for background in _after(scene.background, [self.scene.background, Blur(), *self.backgrounds]):
                    try:
                        studio.show(replace(scene, background=background))
                    except InputError as error:
                        _log.warning("%s", error)
                        continue
                    return


def _after(background: Background, turn: Sequence[Background]) -> list[Background]:
    """All of ``turn`` in the order in which they come after ``background``."""
    known = list(dict.fromkeys(turn))
    place = known.index(background) + 1 if background in known else 0
    return known[place:] + known[:place]
