"""A decoder: ``python -m bgcamd.decoding SOCKET DAEMON``, a socket's descriptor and the process that started it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import av.error
import cv2
from av.audio import codeccontext as sound_decoder
from av.audio import stream as sound
from av.subtitles import codeccontext as subtitle_decoder
from av.subtitles import stream as subtitles
from PIL import Image, ImageColor, ImageFilter, ImagePalette

from bgcamd.decoding import limits, work
from bgcamd.decoding.memory import places_in
from bgcamd.decoding.order import CAME, FREE, MOST_BYTES, Order, answered, order_from
from bgcamd.errors import InputError
from bgcamd.scene import Fit
from bgcamd.video.files import container

LOADED = (ImageColor, ImageFilter, ImagePalette, sound, sound_decoder, subtitles, subtitle_decoder)
"""What Pillow and PyAV would load when a file needs it, and then could not any more."""
_WORK_S = 20
_FDS = 2  # the file, the memory


def main() -> None:
    """Do what is ordered until the daemon has enough of us, or ends."""
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        Image.init()
        cv2.setNumThreads(1)
        limits.confine(int(sys.argv[2]))
        while True:
            raw, fds, _, _ = socket.recv_fds(sock, MOST_BYTES, _FDS)
            if not raw:
                return
            try:
                _obey(sock, order_from(raw), fds)
            finally:
                for fd in fds:
                    os.close(fd)


def _obey(sock: socket.socket, order: Order, fds: list[int]) -> None:
    path = Path(f"/proc/self/fd/{fds[0]}")
    try:
        with _told(path):
            answer = _done(sock, order, path, fds[1:])
    except InputError as error:
        answer = {"error": error.message.replace(str(path), order.name), "hint": error.hint}
    except Exception as error:
        sock.send(answered({"failed": f"{type(error).__name__}: {error}"}))
        raise SystemExit(70) from error
    sock.send(answered(answer))


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What libraries raise where memory ends, or a file is strange, as InputError."""
    too_much = InputError(f"{path} takes more memory to decode than it may", "make it smaller")
    try:
        yield
    except (MemoryError, cv2.error) as error:
        raise too_much from error
    except av.error.FFmpegError as error:
        raise InputError(f"can't read {path}: {container.brief(error)}", container.HINT) from error
    except InputError as error:
        if isinstance(error.__cause__, MemoryError):
            raise too_much from error
        raise


def _done(sock: socket.socket, order: Order, path: Path, memory: list[int]) -> dict[str, str]:
    limits.may_work(None if order.job == "play" else _WORK_S)
    if order.job == "kind":
        return {"kind": work.kind_of(path).name}
    plate, fit = order.plate, Fit(order.fit)
    places = places_in(memory[0], plate, order.places)
    if order.job == "picture":
        work.picture(path, plate, fit, places[0])
    elif order.job == "small":
        for made, plane in zip(work.small(path), places[0], strict=True):
            plane[:] = made
    else:
        work.play(path, plate, fit, places, _Ring(sock, order))
    return {"done": "yes"}


class _Ring:
    """Implements ``work.Paces``: the daemon frees places, and is told of pictures."""

    def __init__(self, sock: socket.socket, order: Order) -> None:
        self._sock, self._free, self._begin_ns = sock, deque(order.free), order.begin_ns

    def place(self) -> int | None:
        while not self._free:
            raw = self._sock.recv(FREE.size)
            if not raw:
                return None
            self._free.append(FREE.unpack(raw)[0])
        return self._free.popleft()

    def came(self, place: int, due_ns: int) -> None:
        self._sock.send(CAME.pack(b"came", place, self._begin_ns + due_ns))


if __name__ == "__main__":
    main()
