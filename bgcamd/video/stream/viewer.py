"""One client that watches: it gets each picture in its own time, and those that it is too slow for not at all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from bgcamd.video.stream.encoder import Coded
from bgcamd.video.stream.packets import Packetizer
from bgcamd.video.stream.rtsp_transport import Carrier

_MOST_WAITING = 8


class Viewer:
    """Packetizes and sends in a thread of its own, from the first ``play`` until ``close``.

    It starts with a key frame. When too many pictures wait they are dropped, and all after them until the
    next key frame, so that what is shown is whole. Its packets are numbered without a gap even then.

    Parameters
    ----------
    carrier: closed with the viewer.
    packetizer: the viewer's own; closed with it.
    lost: called once, in the sending thread, when the client can't be reached any more.
    """

    def __init__(self, carrier: Carrier, packetizer: Packetizer, lost: Callable[[], None]) -> None:
        self.carrier, self._packetizer, self._lost = carrier, packetizer, lost
        self.playing = False
        self._waiting: deque[Coded] = deque()
        self._needs_key, self._closed = True, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="viewer")

    @property
    def next_number(self) -> int:
        """The sequence number of the first packet after the next ``play``; only while not playing."""
        return self._packetizer.next_number

    def put(self, coded: Coded) -> None:
        """Take a picture to be sent, or drop it. Never waits for the client."""
        with self._changed:
            if not self.playing or (self._needs_key and not coded.key):
                return
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting.clear()
                if not coded.key:
                    self._needs_key = True
                    return
            self._needs_key = False
            self._waiting.append(coded)
            self._changed.notify()

    def play(self) -> None:
        """Send what comes from now on."""
        with self._changed:
            self.playing = self._needs_key = True
            if self._thread.ident is None:
                self._thread.start()

    def pause(self) -> None:
        """Send nothing until ``play``."""
        with self._changed:
            self.playing = False
            self._waiting.clear()

    def close(self) -> None:
        """End the thread; who can't be sent to must have been cut off before."""
        with self._changed:
            self.playing, self._closed = False, True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()
        self._packetizer.close()
        self.carrier.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                if self._closed:
                    return
                coded = self._waiting.popleft()
            try:
                self.carrier.send(self._packetizer.packets(coded))
            except OSError:
                self.pause()
                self._lost()
                return
