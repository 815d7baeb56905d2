"""A program that writes raw pictures to a pipe, as a camera."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from bgcamd.errors import SourceError
from bgcamd.frame import BT601, Color, Frame, PixelFormat, Plane, Size
from bgcamd.video.mailbox import Latest

PIPE = "{pipe}"
"""Stands in a command for the number of the pipe's file descriptor."""

_PIPE_BYTES = 1 << 20  # what a user may ask for; the usual 64 KiB are 22 switches a frame
_END_S = 1.5


@dataclass(frozen=True)
class Program:
    """What to start.

    command: the program and its arguments. Where none holds ``PIPE``, it writes to its standard output; else what it
        says there counts as said to standard error.
    size, color: of the I420 frames that it writes, one after the other, rows without a gap.
    """

    command: Sequence[str]
    size: Size
    color: Color = BT601

    @property
    def name(self) -> str:
        """The program, without its folder."""
        return Path(self.command[0]).name


class Child:
    """Runs a program and keeps its newest picture, until closed.

    Raises
    ------
    SourceError: it can't be started.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._newest: Latest[Frame] = Latest()
        self._free: list[Plane] = []
        self._said = ""
        self._ended = False
        self._process, frames, words = self._start()
        self._threads = [
            threading.Thread(target=self._read_frames, args=(frames,), name="frames of a program"),
            threading.Thread(target=self._read_words, args=(words,), name="words of a program"),
        ]
        for thread in self._threads:
            thread.start()

    def _start(self) -> tuple[subprocess.Popen[bytes], int, int]:
        """The process, and the ends of two pipes: of its pictures and of what it says."""
        (frames, frames_in), (words, words_in) = os.pipe(), os.pipe()
        with contextlib.suppress(OSError):  # less will do
            fcntl.fcntl(frames, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        command = [word.replace(PIPE, str(frames_in)) for word in self._program.command]
        named = command != list(self._program.command)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=words_in if named else frames_in,
                stderr=words_in,
                pass_fds=(frames_in,) if named else (),
                start_new_session=True,  # a terminal's Ctrl-C is ours to handle
            )
        except OSError as error:
            os.close(frames)
            os.close(words)
            raise SourceError(f"{self._program.name} can't be started: {error.strerror}") from error
        finally:
            os.close(frames_in)
            os.close(words_in)
        return process, frames, words

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest picture not yet read; None when none came in time.

        captured_ns: when its first bytes arrived. The memory is used again once released.
        Raises SourceError when the program has ended.
        """
        frame = self._newest.get(timeout_s)
        if frame is None and self._ended:
            self._threads[1].join(_END_S)  # its last words may still be on their way
            raise SourceError(f"{self._program.name} has ended: {self._said or 'it does not say why'}")
        return frame

    def close(self) -> None:
        """Interrupt the program as Ctrl-C does, which lets it put the camera away; kill it where it does not end.

        A second call does nothing.
        """
        if self._process.returncode is not None:
            return
        self._newest.close()
        self._signal(signal.SIGINT)
        self._threads[0].join(_END_S)
        self._signal(signal.SIGKILL)  # also what it may have started; only then is its number free for another process
        self._process.wait()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read_frames(self, pipe: int) -> None:
        width, height = self._program.size
        count = 0
        try:
            while True:
                memory = self._free.pop() if self._free else np.empty(width * height * 3 // 2, np.uint8)
                captured_ns = _fill(pipe, memory)
                if captured_ns is None:
                    return
                luma, chroma = memory[: width * height], memory[width * height :]
                blue, red = chroma.reshape(2, height // 2, width // 2)
                frame = Frame(
                    (luma.reshape(height, width), blue, red),
                    PixelFormat.I420,
                    self._program.size,
                    color=self._program.color,
                    captured_ns=captured_ns,
                    sequence=count,
                    release=partial(self._free.append, memory),
                )
                self._newest.put(frame)
                count += 1
        finally:
            os.close(pipe)
            self._ended = True
            self._newest.close()

    def _read_words(self, pipe: int) -> None:
        """Keep the first line that is called an error, else the last one."""
        with open(pipe, errors="replace") as lines:
            for line in lines:
                if line.strip() and "error" not in self._said.lower():
                    self._said = "".join(c if c.isprintable() else " " for c in line.strip())[:200]


def _fill(pipe: int, memory: Plane) -> int | None:
    """Read until the memory is full; return when the first bytes were there (ns), or None at the end."""
    view, first_ns = memory.data, 0
    while view:
        count = os.readv(pipe, [view])
        if not count:
            return None
        first_ns = first_ns or time.monotonic_ns()
        view = view[count:]
    return first_ns
