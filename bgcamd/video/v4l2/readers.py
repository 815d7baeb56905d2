"""Whether any app shows the virtual camera: then, and only then, the real one needs to be on.

v4l2loopback 0.13 and later say how many readers stream (``StreamEvents``): a program that only looks at the device
starts nothing. With older ones, who keeps the node open for a while is taken for a reader (``OpenFiles``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from bgcamd.video.v4l2 import ioctls
from bgcamd.video.v4l2.devices import list_devices
from bgcamd.video.v4l2.kernel import LINUX, Kernel


class Readers(Protocol):
    """Who reads a virtual camera. One thread at a time."""

    @property
    def how(self) -> str:
        """How it is known, for ``status``."""

    def present(self) -> bool:
        """Whether anybody reads now; costs microseconds."""

    def close(self) -> None:
        """Stop watching; a second call does nothing."""


def watch_readers(node: str, kernel: Kernel = LINUX) -> Readers:
    """Watch ``node`` by the best means that the module has; where there is none, there is always somebody."""
    others = [device.node for device in list_devices(kernel) if device.loopback and device.node != node]
    for means in (lambda: StreamEvents(node, kernel), lambda: OpenFiles(node, others)):
        with suppress(OSError):
            return means()
    return Always()


class StreamEvents:
    """The module's own word. Raises OSError where the module is too old for it."""

    how = "the module's events"

    def __init__(self, node: str, kernel: Kernel = LINUX) -> None:
        self._kernel, self._count = kernel, 0
        self._fd: int | None = kernel.open(node, os.O_RDONLY | os.O_NONBLOCK)
        try:
            ioctls.subscribe_client_usage(kernel, self._fd)
        except BaseException:
            self.close()
            raise

    def present(self) -> bool:
        """See ``Readers``. A device that is gone has no readers."""
        with suppress(OSError):
            while self._fd is not None and (count := ioctls.dequeue_client_usage(self._kernel, self._fd)) is not None:
                self._count = count
        return self._count > 0

    def close(self) -> None:
        """See ``Readers``."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._kernel.close(fd)


_REFERENCES = Path("/sys/module/v4l2loopback/refcnt")
_PROBE_S = 0.7  # Discord opens every camera four times each three seconds, and closes it at once


class OpenFiles:
    """The module's reference count, which is how often its devices are open; less our own descriptors.

    What is open on its other devices is left out as far as /proc lets us see it: that is all that this user's
    processes have open, other bgcamds first of all. (Not inotify: it merges equal events, so two opens may be one.)

    Parameters
    ----------
    node: "/dev/videoN".
    others: nodes of the module's other devices.
    now_s: the clock.
    references: the count's file in sysfs. processes: /proc.

    Raises OSError where there is no such count.
    """

    how = "the module's reference count"

    def __init__(
        self,
        node: str,
        others: Collection[str] = (),
        *,
        now_s: Callable[[], float] = time.monotonic,
        references: Path = _REFERENCES,
        processes: Path = Path("/proc"),
    ) -> None:
        self._node, self._others, self._now_s = node, frozenset(others), now_s
        self._references, self._processes = references, processes
        self._references.read_text()
        self._since: float | None = None

    def present(self) -> bool:
        """See ``Readers``: somebody has had it open for longer than a probe takes."""
        if not self._held():
            self._since = None
            return False
        if self._since is None:
            self._since = self._now_s()
        return self._now_s() - self._since >= _PROBE_S

    def _held(self) -> bool:
        try:
            count = int(self._references.read_text())
        except (OSError, ValueError):  # the module is gone, and its devices with it
            return False
        count -= _open_files(self._processes / "self" / "fd", {self._node})
        if count > 0 and self._others:
            folders = self._processes.glob("[0-9]*/fd")
            count -= sum(_open_files(folder, self._others) for folder in folders)
        return count > 0

    def close(self) -> None:
        """See ``Readers``. Nothing to close."""


def _open_files(folder: Path, nodes: Collection[str]) -> int:
    """How many of a process's descriptors are of ``nodes``; 0 where we may not look, or it has ended."""
    count = 0
    with suppress(OSError):
        for link in folder.iterdir():
            with suppress(OSError):
                count += str(link.readlink()) in nodes
    return count


class Always:
    """Nothing is known, so somebody may always be there."""

    how = "not known; the camera is always on"

    def present(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Nothing to close."""
