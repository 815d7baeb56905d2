"""The encoder beside the loop: the loop copies a frame and goes on; the newest frame is encoded when it can be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Self

from bgcamd.frame import Frame, Size
from bgcamd.video.mailbox import Latest
from bgcamd.video.pool import Pool
from bgcamd.video.stream.encoder import Coded, Encoder

_WAIT_S = 0.25
_KEYS_APART_S = 0.25  # key frames are large: a client that asks for more of them only hurts the others


class Encoding:
    """Encodes in a thread of its own, from entering the context until it is left.

    Parameters
    ----------
    size, rate: of the frames.
    hand_on: takes each picture, in this thread; the next is encoded when it returns.

    Attributes
    ----------
    parameters: as ``Encoder.parameters``.

    Raises
    ------
    SinkError: as ``Encoder``.
    """

    def __init__(self, size: Size, rate: Fraction, hand_on: Callable[[Coded], None]) -> None:
        self._encoder, self._hand_on = Encoder(size, rate), hand_on
        self.parameters = self._encoder.parameters
        self._pool, self._mailbox = Pool(), Latest[Frame]()
        self._ending, self._key_wanted = threading.Event(), threading.Event()
        self._last_key_s = float("-inf")
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="encoder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._mailbox.close()
        self._thread.join()
        del self._encoder  # its memory must not wait for a collection: ``hand_on`` mostly belongs to who has us

    def put(self, frame: Frame) -> None:
        """Copy a frame, to be encoded unless a newer one comes first. Raises what an earlier one's encoding raised."""
        if self._error is not None:
            raise self._error
        copy = self._pool.copy(frame)
        self._mailbox.put(copy.lend(captured_ns=frame.captured_ns, sequence=frame.sequence))
        copy.release()

    def want_key(self) -> None:
        """Make one of the next frames a key frame: the next, unless the last one is just gone."""
        self._key_wanted.set()

    def _run(self) -> None:
        while not self._ending.is_set() and self._error is None:
            frame = self._mailbox.get(_WAIT_S)
            if frame is None:
                continue
            try:
                self._hand_on(self._encode(frame))
            except Exception as error:
                self._error = error
            finally:
                frame.release()

    def _encode(self, frame: Frame) -> Coded:
        key = self._key_wanted.is_set() and time.monotonic() - self._last_key_s >= _KEYS_APART_S
        if key:
            self._key_wanted.clear()
        coded = self._encoder.encode(frame, key=key)
        if coded.key:
            self._last_key_s = time.monotonic()
        return coded
