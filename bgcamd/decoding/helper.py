"""A decoder as the daemon sees it: a process at the other end of a socket, that may do anything but harm."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bgcamd.decoding.order import MOST_BYTES, Order, answer_from

COMMAND = (sys.executable, "-P", "-m", "bgcamd.decoding")
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "HOME")
# One thread of BLAS, few arenas: both would take of the address space that a decoder may have.
_LEAN = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_GONE_S = 5.0
_NICE = 5
NONSENSE = "the decoder talked nonsense"


class Lost(Exception):  # noqa: N818 - it happens
    """The decoder crashed, hung or talked nonsense; the text says which. It is of no more use."""


class Hung(Lost):
    """It took too long."""


class Helper:
    """One decoder. For one thread at a time, but for ``kill`` and ``say``.

    Attributes
    ----------
    yielding: other programs come first, from now on.
    used: it has seen a file.
    """

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self._process, self.sock = process, sock
        self.yielding = self.used = False
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, order: Order, fds: Sequence[int], timeout_s: float) -> dict[str, str]:
        """Have something done and return the answer, whose texts are plain. Raises Lost."""
        self.order(order, fds)
        return self.answer(timeout_s)

    def order(self, order: Order, fds: Sequence[int]) -> None:
        """Have something done; the descriptors stay the caller's. Raises Lost."""
        try:
            self.used = True
            socket.send_fds(self.sock, [order.packed()], fds, socket.MSG_NOSIGNAL)
        except OSError:
            raise Lost(self.why()) from None

    def answer(self, timeout_s: float) -> dict[str, str]:
        """The answer to an order. Raises Lost."""
        raw = self.hear(timeout_s)
        if raw is None:
            raise Hung(f"the decoder did not end within {timeout_s:g} s")
        try:
            return answer_from(raw)
        except ValueError:
            raise Lost(NONSENSE) from None

    def hear(self, timeout_s: float) -> bytes | None:
        """Its next message; None where none came in time. Raises Lost."""
        if not self._poller.poll(timeout_s * 1000):
            return None
        try:
            raw = self.sock.recv(MOST_BYTES)
        except OSError:
            raw = b""
        if not raw:
            raise Lost(self.why())
        return raw

    def say(self, message: bytes) -> None:
        """Send it, if it is there to hear it. Never waits."""
        with contextlib.suppress(OSError):
            self.sock.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def why(self) -> str:
        """Why it ended; waits a little until it has."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GONE_S)
        code = self._process.returncode
        if code is None:
            return "the decoder went silent"
        if code == -signal.SIGXCPU:
            return "the decoder took too much time"
        return f"the decoder crashed (signal {-code})" if code < 0 else f"the decoder ended (code {code})"

    def yield_to_others(self) -> None:
        """Have the kernel give it less of a CPU that others want; it can't be undone."""
        self.yielding = True
        with contextlib.suppress(OSError):  # a service's @resources forbids it
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)

    def kill(self) -> None:
        """End it at once, whatever it does; who waits for it is told. From any thread."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it and forget it."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GONE_S)
        self.sock.close()


def start(command: Sequence[str] = COMMAND) -> Helper:
    """Start one. It dies with the thread that calls this. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            fd = theirs.fileno()
            process = subprocess.Popen(
                [*command, str(fd), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(fd,),
                env=_environment(),
                cwd="/",
                process_group=0,  # a terminal's Ctrl-C is for the daemon
            )
    except BaseException:
        ours.close()
        raise
    return Helper(process, ours)


def _environment() -> dict[str, str]:
    """Only what Python needs: the daemon's own may hold passwords."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_LEAN, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
