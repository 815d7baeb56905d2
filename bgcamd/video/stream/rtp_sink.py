"""RTP to one host, whether it listens or not."""

from __future__ import annotations

import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from bgcamd.atomic import reason, replacing
from bgcamd.errors import OutputError, SinkError
from bgcamd.frame import Frame, Size
from bgcamd.paths import user_socket
from bgcamd.video.stream.encoder import Coded
from bgcamd.video.stream.encoding import Encoding
from bgcamd.video.stream.packets import Packetizer, is_rtcp
from bgcamd.video.stream.sdp import description
from bgcamd.video.stream_address import Rtp
from bgcamd.web.network import network_hint

_BURST, _PAUSE_S = 32, 0.001  # of a key frame's packets: the kernel keeps about 180 for a receiver


class RtpSink:
    """Sends H.264 from entering the context until it is left; in a thread of its own, the newest frame wins.

    Parameters
    ----------
    address: who gets the packets; those of RTCP go to the port after.
    size, rate: of the frames.

    Attributes
    ----------
    name: the address.
    sdp: what a receiver must know, as text; a file of it is in the runtime folder as long as the sink is open.
    see: how to watch it on this machine, one line; "" where there is no such file.

    Raises
    ------
    SinkError: there is no such host, or no H.264; here or by a later ``write``.
    """

    def __init__(self, address: Rtp, *, size: Size, rate: Fraction) -> None:
        self.name, self.see = str(address), ""
        self._address, self._size = address, Size(size.width & ~1, size.height & ~1)
        self._encoding = Encoding(size, rate, self._send)
        self.sdp = description(address.host, address.port, parameters=self._encoding.parameters, rate=rate)
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            with suppress(OutputError):  # without a file the packets are no worse
                path = stack.enter_context(_kept(self._address, self.sdp))
                self.see = f"ffplay -protocol_whitelist file,udp,rtp {path}"
            self._closing = stack.enter_context(ExitStack())
            self._packetizer = stack.enter_context(Packetizer(self._size))
            stack.enter_context(self._encoding)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Copy a frame, to be sent soon. Raises SinkError for what went wrong with an earlier one."""
        self._encoding.put(frame)

    def _send(self, coded: Coded) -> None:
        if self._sockets is None:  # here, since to look a name up may take long
            rtp = self._closing.enter_context(_connected(self._address.host, self._address.port))
            self._sockets = rtp, self._closing.enter_context(_connected(self._address.host, self._address.port + 1))
        rtp, rtcp = self._sockets
        for number, packet in enumerate(self._packetizer.packets(coded)):
            if number % _BURST == _BURST - 1:
                time.sleep(_PAUSE_S)
            with suppress(OSError):  # nobody there yet, or the network is down: they may come later
                (rtcp if is_rtcp(packet) else rtp).send(packet)


def description_file(address: Rtp) -> Path:
    """Where the session description is while a sink sends to ``address``."""
    return user_socket().parent / f"rtp-{re.sub('[^A-Za-z0-9.-]', '_', address.host)}-{address.port}.sdp"


def _connected(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with ExitStack() as stack:
            made = stack.enter_context(socket.socket(family, kind, protocol))
            made.connect(address)
            stack.pop_all()
        return made
    except OSError as error:
        hint = network_hint(error.errno, "is the name right?")
        raise SinkError(f"can't send to {host}:{port}: {reason(error)}", hint) from error


@contextmanager
def _kept(address: Rtp, text: str) -> Iterator[Path]:
    """Keep a file with a session description in the runtime folder. Raises OutputError."""
    path = description_file(address)
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise OutputError(f"{folder} is not ours alone")
    except OSError as error:
        raise OutputError(f"can't write {path}: {reason(error)}") from error
    with replacing(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
