"""Where the results go: files, that appear whole or not at all, and live outputs, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bgcamd.errors import OutputError, UsageError
from bgcamd.frame import Frame
from bgcamd.live.outputs import Outputs
from bgcamd.protocols import Command, Sink
from bgcamd.video.address import Auto, File, Loopback, OutputAddress, Preview, parse_output
from bgcamd.video.files.media_formats import ALPHA_SUFFIXES
from bgcamd.video.files.paths import Kind, holds_alpha, output_kind


@dataclass(frozen=True)
class Targets:
    """What the user named. files: paths as written, for a "/" at the end says that it is a directory."""

    files: tuple[str, ...]
    live: tuple[OutputAddress, ...]

    @property
    def yuv(self) -> bool:
        """Whether any of them takes a video's frames, so that all get those."""
        return bool(self.live) or any(output_kind(path) is Kind.CLIP for path in self.files)

    def check_alpha(self) -> None:
        """Raise OutputError where a file can't be transparent, UsageError where it would be beside a live output."""
        for path in self.files:
            if not holds_alpha(path):
                clip = output_kind(path) is Kind.CLIP
                kinds = ", ".join(sorted(ALPHA_SUFFIXES)) if clip else ".png or .webp"
                raise OutputError(
                    f"{path} can't be transparent", f"write {kinds}, or choose a background: --replace, --blur, --color"
                )
        if self.files and self.live:
            message = f"{self.live[0]} can't be transparent, {self.files[0]} would be"
            raise UsageError(message, "choose a background: --replace, --blur, --color, --keep")


def parse_targets(texts: Sequence[str]) -> Targets:
    """Tell files from live outputs. Raises UsageError; OutputError for a kind of file that is none."""
    files: list[str] = []
    live: list[OutputAddress] = []
    for text in texts:
        match parse_output(text):
            case File(path):
                files.append(text if not text.startswith("file:") else str(path) + "/" * text.endswith("/"))
            case Preview():
                raise UsageError(
                    f"{text} is the daemon's page", "run bgcamd, then bgcam preview; or take webrtc://@:8554/out"
                )
            case Auto():
                live.append(Loopback())
            case address:
                live.append(address)
    for file in files:
        output_kind(file)
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        raise UsageError(f"{twice} is named twice as OUTPUT")
    return Targets(tuple(files), tuple(live))


class Fan:
    """All outputs as one sink.

    files: completed when the context is left without an exception, else discarded; borrowed by nobody else.
    live: opened at once; any that can't be raises its error here, later it is tried again.
    """

    name = "outputs"

    def __init__(self, files: Sequence[Sink], live: Outputs) -> None:
        self._files, self._live = files, live

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._live)
            self._live.open()
            for file in self._files:
                stack.enter_context(file)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Give the frame to each. Raises OutputError where a file fails; a live output that fails is opened again."""
        for file in self._files:
            file.write(frame)
        self._live.write(frame)

    @property
    def places(self) -> Sequence[str]:
        """How a person sees the live outputs."""
        return self._live.places

    def commands(self) -> Sequence[Command]:
        """What the viewers of the live outputs ask for."""
        return self._live.commands()
