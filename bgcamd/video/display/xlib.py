"""To outlive an X server: Xlib ends the whole program when its connection breaks, whatever else the program does.

Xlib has one handler a process for that, so this module keeps one, and knows whether it was called.
"""

from __future__ import annotations

import ctypes
import threading

_lost = threading.Event()


def _stay(_: int) -> int:
    """Hold the thread for good: when this returns, Xlib calls ``exit``."""
    _lost.set()
    threading.Event().wait()
    return 0


_handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_stay)


def outlive() -> None:
    """From now on, a connection that breaks stops only the thread that uses it, which must be a daemon thread."""
    ctypes.CDLL("libX11.so.6").XSetIOErrorHandler(_handler)


def lost() -> bool:
    """Whether the connection broke. The process can't have another: SDL is stopped in the middle of something."""
    return _lost.is_set()
