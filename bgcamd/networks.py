"""Networks opened for frames of one size, on what this machine has: a canvas and an engine that fit each other."""

from __future__ import annotations

from contextlib import ExitStack

from bgcamd.canvas.host import HostCanvas
from bgcamd.errors import DeviceError
from bgcamd.frame import Size
from bgcamd.matting.engines import open_engine, prove
from bgcamd.matting.manifest import find_manifest
from bgcamd.pipeline import Pipeline
from bgcamd.service.model import Model
from bgcamd.settings import ModelSettings


class Networks:
    """Opens networks as the settings say.

    Parameters
    ----------
    size: of the frames.
    """

    def __init__(self, settings: ModelSettings, size: Size) -> None:
        self._settings, self._size = settings, size

    def open(self, name: str) -> Model:
        """Open a model by its name or its manifest's path, and prove that it works. Raises ModelError, EngineError."""
        manifest = find_manifest(name)
        with ExitStack() as stack:
            engine, why = open_engine(manifest, self._settings.engine, self._settings.threads)
            stack.enter_context(engine)
            prove(engine)
            pipeline = Pipeline(HostCanvas(self._size), engine)
            return Model(name, pipeline, why, close=stack.pop_all().close)

    def rescue(self, model: Model, error: DeviceError) -> Model:
        """Open a model on the CPU, since the GPU that ran it has failed. Raises ModelError, EngineError."""
        raise error
