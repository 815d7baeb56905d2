"""The virtual camera outlives the daemon: systemd keeps its device open over a crash, a restart and an upgrade.

Apps go on seeing a camera of the same format, and nobody else can take it. The next run, which needs a second to load
what it works with, shows a card until then: it needs nothing but the two descriptors for that. When the service is
stopped for good, systemd closes both. Outside systemd nothing is kept, and nothing fails.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bgcamd.service import systemd

if TYPE_CHECKING:
    from bgcamd.frame import Plane

_CARD = "card"
_CARD_S = 0.1


class Keeping:
    """What the last run left, and what this one leaves to the next; implements ``loopback_device.Keeper``.

    While its block runs, and until the first device is taken, a thread writes the last run's card to all of them.
    Loads no other part of bgcamd.
    """

    def __init__(self) -> None:
        self._left = systemd.stored_fds()
        self._card = _read(self._left.pop(_CARD, None))
        self._taken = threading.Event()
        self._thread = threading.Thread(target=self._show, name="keeping", daemon=True)

    def __enter__(self) -> Self:
        if self._card and self._left:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_card()

    def take(self, node: str) -> int | None:
        """The device ``node`` as it was left open, streaming, in the caller's hands from now on; None where it was not.

        The card is written no more.
        """
        self._end_card()
        fd = self._left.pop(_name(node), None)
        if fd is None or _is(fd, node):
            return fd
        self._drop(_name(node), fd)
        return None

    def keep(self, node: str, fd: int) -> bool:
        """Leave it open for the next run, whatever becomes of this one; False where nobody keeps it."""
        return systemd.store_fd(_name(node), fd)

    def forget(self, node: str) -> None:
        """Leave it no more; when this returns, systemd has closed it."""
        systemd.forget_fd(_name(node))
        systemd.was_heard()

    def keep_card(self, *planes: Plane) -> None:
        """Leave what the next run is to show first, as the devices take it."""
        systemd.forget_fd(_CARD)
        fd = os.memfd_create("bgcamd-card", os.MFD_CLOEXEC)
        with open(fd, "wb") as card:  # noqa: PTH123 - a file without a name
            for plane in planes:
                card.write(plane.tobytes())
            card.flush()
            systemd.store_fd(_CARD, fd)

    def clear(self) -> None:
        """Close what was left and nobody took."""
        self._end_card()
        while self._left:
            self._drop(*self._left.popitem())

    def _drop(self, name: str, fd: int) -> None:
        os.close(fd)
        systemd.forget_fd(name)
        systemd.was_heard()

    def _show(self) -> None:
        while not self._taken.is_set():
            for fd in self._left.values():
                with suppress(OSError):  # whoever opens it properly says what is wrong
                    os.write(fd, self._card)
            self._taken.wait(_CARD_S)

    def _end_card(self) -> None:
        self._taken.set()
        if self._thread.is_alive():
            self._thread.join()


def _name(node: str) -> str:
    return node.rpartition("/")[2]


def _read(fd: int | None) -> bytes:
    if fd is None:
        return b""
    with open(fd, "rb") as card:  # noqa: PTH123
        card.seek(0)  # the position is shared with who wrote it
        return card.read()


def _is(fd: int, node: str) -> bool:
    """Whether a descriptor is of the device that has this node now."""
    try:
        mine, there = os.fstat(fd), os.stat(node)  # noqa: PTH116
    except OSError:
        return False
    return stat.S_ISCHR(mine.st_mode) and mine.st_rdev == there.st_rdev
