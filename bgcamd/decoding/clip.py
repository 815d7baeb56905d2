"""A clip as background, decoded by a process of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from bgcamd.canvas.background import Plate
from bgcamd.canvas.moving import Playing
from bgcamd.decoding.decoders import Decoders
from bgcamd.decoding.helper import NONSENSE, Helper, Lost
from bgcamd.decoding.memory import new_memory, places_in
from bgcamd.decoding.order import CAME, FREE, answer_from, order_for
from bgcamd.errors import InputError
from bgcamd.scene import Fit
from bgcamd.video.files.inputs import open_input

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""After each crash so long until the decoder is started again; after the last of them it is not."""
_PLACES = 8  # another process is not always scheduled in time
_HUNG_S = 10.0
_CALM_S = 600.0  # after so long without a crash all is forgotten
_LONGEST_NS = 1 << 62
_STEP_NS = 33_000_000  # from the last picture of one decoder to the first of the next
_CAME = b"came"
_log = logging.getLogger(__name__)


class Played(Playing):
    """Plays a file, live. What its decoder says is believed as far as it can be true.

    The pictures are shown where the decoder has put them, in memory that is shared with it, without a copy. When it
    crashes or hangs the last picture stays, ``problem`` says so, and another decoder is started, which begins the
    clip anew.

    Parameters
    ----------
    pauses_s: as ``PAUSES_S``. hung_s: so long may one picture take. Raises InputError when there is no first one.
    """

    def __init__(
        self,
        path: Path,
        plate: Plate,
        fit: Fit,
        decoders: Decoders,
        *,
        pauses_s: tuple[float, ...] = PAUSES_S,
        hung_s: float = _HUNG_S,
    ) -> None:
        self._file = open_input(path)
        self._memory = new_memory(plate, _PLACES)
        super().__init__(places_in(self._memory, plate, _PLACES), wait=False)
        self._order = replace(order_for("play", str(path), plate, fit), places=_PLACES)
        self._decoders, self._pauses_s, self._hung_s = decoders, pauses_s, hung_s
        self._free = set(range(_PLACES))  # what the decoder may write to
        self._decoder: Helper | None = None
        self._trouble, self._last_ns, self._given = "", 0, 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep_playing, name="background clip", daemon=True)
        self._thread.start()
        try:
            self._await_first()
        except BaseException:
            self.close()
            raise

    @property
    def problem(self) -> str:
        """See ``scene.Backdrop``."""
        return super().problem or self._trouble

    def close(self) -> None:
        """See ``scene.Backdrop``. Ends the decoder."""
        self._end.set()
        with self._changed:
            decoder = self._decoder
        if decoder is not None:
            decoder.kill()
        self._thread.join()
        self._file.close()
        os.close(self._memory)

    def _gone(self, place: int) -> None:
        self._free.add(place)
        self._given = time.monotonic()
        if self._decoder is not None:
            self._decoder.say(FREE.pack(place))

    def _keep_playing(self) -> None:
        """The thread: one decoder after the other."""
        try:
            crashes = 0
            while not self._end.is_set():
                began = time.monotonic()
                try:
                    self._play()
                except Lost as lost:
                    crashes = 0 if time.monotonic() - began > _CALM_S else crashes
                    if self._end.is_set() or not self._goes_on(str(lost), crashes):
                        return
                    crashes += 1
        except InputError as error:
            if self._shown:
                _log.warning("the background stands still: %s", error)
            self._fail(error.message)
        finally:
            self._fail("its decoder has ended")

    def _goes_on(self, why: str, crashes: int) -> bool:
        """Wait before another decoder is started; False where this was the last."""
        if not self._shown or crashes == len(self._pauses_s):
            raise InputError(f"{self._order.name} can't be decoded: {why}", "choose another file, or convert it")
        self._trouble = f"the background stands still: {why}; it is started again"
        _log.warning("%s", self._trouble)
        self._end.wait(self._pauses_s[crashes])
        return True

    def _play(self) -> None:
        """By one decoder, until closed. Raises Lost, InputError where it says that it can't."""
        with self._decoders.take(urgent=True) as decoder:
            with self._changed:  # what is shown meanwhile must not be told before the order
                self._decoder, self._given = decoder, time.monotonic()
                begin_ns = self._last_ns + _STEP_NS if self._shown else 0
                order = replace(self._order, free=tuple(self._free), begin_ns=begin_ns)
                decoder.order(order, [self._file.fileno(), self._memory])
            while not self._end.is_set():
                raw = decoder.hear(self._hung_s)
                if raw is not None:
                    self._told(raw)
                elif self._free and time.monotonic() - self._given >= self._hung_s:
                    raise Lost(f"the decoder gave no picture for {self._hung_s:g} s")

    def _told(self, raw: bytes) -> None:
        """A picture has come, or why none will."""
        if len(raw) != CAME.size or not raw.startswith(_CAME):
            raise self._refused(raw)
        _, place, due_ns = CAME.unpack(raw)
        with self._changed:
            if place not in self._free or not self._last_ns <= due_ns < _LONGEST_NS:
                raise Lost(NONSENSE)
            self._free.remove(place)
            self._last_ns, self._given, self._trouble = due_ns, time.monotonic(), ""
            self._came(due_ns, place)

    def _refused(self, raw: bytes) -> Exception:
        try:
            answer = answer_from(raw)
        except ValueError:
            return Lost(NONSENSE)
        if "failed" in answer:
            return Lost(f"the decoder failed ({answer['failed']})")
        return InputError(answer.get("error", NONSENSE), answer.get("hint", ""))
