"""A slow output beside the loop: a recording must not hold up the call."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from bgcamd.frame import Frame
from bgcamd.protocols import Sink
from bgcamd.video.mailbox import Latest
from bgcamd.video.pool import Pool

_WAIT_S = 0.1


class Beside:
    """Writes to ``sink`` in a thread of its own. Where that is slower than the frames come, the newest wins.

    What the sink raises is raised by the next ``write``; the last frame given is written before the end.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink, self._pool = sink, Pool()
        self._mailbox: Latest[Frame] = Latest()
        self._ending = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"output {sink.name}")

    @property
    def name(self) -> str:
        """The sink's."""
        return self._sink.name

    def __enter__(self) -> Self:
        self._sink.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._mailbox.close()
        self._sink.__exit__(kind, error, trace)

    def write(self, frame: Frame) -> None:
        """Copy the frame, to be written soon. Raises what an earlier one's writing raised."""
        if self._error is not None:
            raise self._error
        copy = self._pool.copy(frame)
        self._mailbox.put(copy.lend(captured_ns=frame.captured_ns, sequence=frame.sequence))
        copy.release()

    def _run(self) -> None:
        while self._error is None:
            ending = self._ending.is_set()
            frame = self._mailbox.get(0 if ending else _WAIT_S)
            if frame is None:
                if ending:
                    return
                continue
            try:
                self._sink.write(frame)
            except Exception as error:
                self._error = error
            finally:
                frame.release()
