"""Beside the loop: the network is brought to where it runs best, and away from a GPU that fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from bgcamd.errors import BgcamError, DeviceError
from bgcamd.pipeline import Pipeline
from bgcamd.service.model import Model

_log = logging.getLogger(__name__)


class Holder(Protocol):
    """Who has the model that is in use."""

    @property
    def model(self) -> Model:
        """It."""

    def exchange(self, old: Model, new: Model) -> bool:
        """Let ``new`` take ``old``'s place, and close ``old``; False, and ``new`` is closed, where ``old`` is no more.

        Raises BgcamError where it can't be done now; ``new`` is closed then, too.
        """


class _EndedError(Exception):
    """A network is being built that nobody waits for any more: the daemon ends, or another model is in use."""


class Upkeep:
    """A thread, from entering the context until it is left.

    Parameters
    ----------
    holder: the daemon.
    rescue: what to go on with when the GPU that runs a model has failed; not on that GPU.

    Attributes
    ----------
    progress: what is being done, or what came of it, for ``status``; "" for nothing.
    """

    def __init__(self, holder: Holder, rescue: Callable[[Model, DeviceError], Model]) -> None:
        self._holder, self._rescue = holder, rescue
        self.progress = ""
        self._failed: tuple[Pipeline, DeviceError] | None = None
        self._tried: Model | None = None  # the last one that was to become better
        self._changed, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="upkeep")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._changed.set()
        self._thread.join()

    def failed(self, pipeline: Pipeline, error: DeviceError) -> None:
        """Say that the GPU failed under a pipeline; by the loop, as often as it likes."""
        if self._failed is None:
            self._failed = pipeline, error
            self._changed.set()

    def changed(self) -> None:
        """Say that another model is in use."""
        self._changed.set()

    def _run(self) -> None:
        self._improve()
        while self._changed.wait() and not self._ended:
            self._changed.clear()
            self._mend()
            self._improve()

    def _mend(self) -> None:
        failed, model = self._failed, self._holder.model
        if failed is not None and model.pipeline is failed[0]:
            _log.error("%s", failed[1])
            try:
                self._holder.exchange(model, self._rescue(model, failed[1]))
            except Exception as error:  # the picture stays hidden; the next frame that fails tries again
                unknown = not isinstance(error, BgcamError)
                _log.error("%s can't go on without the GPU: %s", model.name, error, exc_info=unknown)
        self._failed = None

    def _improve(self) -> None:
        """Raises nothing: what runs now goes on."""
        model = self._holder.model
        if model.better is None or model is self._tried or self._ended:
            return
        self._tried = model
        try:
            better = model.better(self._tell)
            if self._holder.exchange(model, better):
                _log.info("%s; %s", better.pipeline.engine.name, better.why)
            self.progress = ""
        except _EndedError:
            self.progress = ""
        except Exception as error:
            unknown = not isinstance(error, BgcamError)
            _log.warning("%s stays where it is: %s", model.name, error, exc_info=unknown)
            self.progress = f"an internal error: {error!r}" if unknown else str(error)

    def _tell(self, progress: str) -> None:
        if self._ended or self._failed is not None or self._holder.model is not self._tried:
            raise _EndedError
        self.progress = progress
