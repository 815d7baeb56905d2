"""What a decoder may use of the machine, said to the kernel before it sees a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

from bgcamd.decoding import seccomp

MEMORY = 2 << 30
"""Bytes of address space: what is loaded takes 0.4 GB, the largest picture 1 GB more."""
_FILES = 32
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def confine(parent: int) -> None:
    """Give up for ever what decoding does not need, and end when the thread ends that started us.

    parent: its process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("bgcamd has ended")
    with contextlib.suppress(OSError):  # where memory ends, this ends before anything else
        Path("/proc/self/oom_score_adj").write_text("500")
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 2)  # files shall not write the daemon's log
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_NOFILE, _FILES)):
        _lower(what, most)
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        _lower(what, 0)
    seccomp.confine()


def _lower(what: int, most: int) -> None:
    _, now = resource.getrlimit(what)
    if now == resource.RLIM_INFINITY or now > most:
        resource.setrlimit(what, (most, most))


def may_work(seconds: int | None) -> None:
    """From now on take at most so much time of a CPU; None: any."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = resource.RLIM_INFINITY if seconds is None else int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
