"""The methods of org.bgcam: what ``org.bgcam.varlink`` describes, on top of whoever implements ``Controls``."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from bgcamd.errors import InputError, OutputError, UsageError
from bgcamd.scene import Blur, Colour, Fit, Keep, Picture, Remove, Scene, check_edge
from bgcamd.service.backgrounds import Arrival, Backgrounds
from bgcamd.service.dispatch import Call, Interface, Method, Reply
from bgcamd.service.state import Saved, save, scene_to_dict
from bgcamd.settings import SceneChange
from bgcamd.values import colour

INTERFACE = "org.bgcam"
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 50, 60_000
_log = logging.getLogger(__name__)


class Controls(Protocol):
    """What the daemon lets its clients do. Called from any thread; ``apply`` never twice at once."""

    @property
    def scene(self) -> Scene:
        """The scene that is live."""

    def status(self) -> dict[str, object]:
        """org.bgcam's type Status; numbers that are not known are None, never NaN."""

    def apply(self, scene: Scene, model: str | None) -> None:
        """Make ``scene``, and ``model`` unless None, live; return when they are.

        Raises BgcamError; what was live before then stays.
        """

    def pause(self) -> None:
        """Turn the camera off."""

    def resume(self) -> None:
        """Turn the camera on again."""

    def snapshot(self) -> bytes:
        """The picture that viewers see now, as a PNG. Raises BgcamError."""

    def stop(self) -> None:
        """Ask the daemon to end; returns at once, so that the caller still gets its answer."""


class Control:
    """org.bgcam for one daemon; ``interface`` is what the server serves.

    Parameters
    ----------
    controls: the daemon.
    backgrounds: where clients' pictures are kept.
    state_file: where the scene is saved after every change.
    model: the model's name as it was loaded from ``state_file``, saved again until a client names another.
    """

    def __init__(
        self, controls: Controls, backgrounds: Backgrounds, state_file: Path, model: str | None = None
    ) -> None:
        self._controls = controls
        self._backgrounds = backgrounds
        self._state_file = state_file
        self._model = model
        self._changing = threading.Lock()
        methods: dict[str, Method] = {
            "GetStatus": self._get_status,
            "Monitor": self._monitor,
            "Set": self._set,
            "Pause": self._pause,
            "Resume": self._resume,
            "Snapshot": self._snapshot,
            "Stop": self._stop,
        }
        self.interface = Interface(INTERFACE, methods)

    def _get_status(self) -> Reply:
        return Reply({"status": self._controls.status()})

    def _monitor(self, call: Call, *, interval_ms: int | None = None) -> Iterator[Reply]:
        interval = 1000 if interval_ms is None else interval_ms
        if not MIN_INTERVAL_MS <= interval <= MAX_INTERVAL_MS:
            raise UsageError(f"interval_ms is {interval}, must be {MIN_INTERVAL_MS}..{MAX_INTERVAL_MS}")
        while call.more:
            yield Reply({"status": self._controls.status()}, continues=True)
            if call.left(interval / 1000):
                break
        yield Reply({"status": self._controls.status()})

    def _set(
        self,
        call: Call,
        *,
        replace: int | None = None,
        name: str | None = None,
        blur: int | None = None,
        color: str | None = None,
        remove: bool | None = None,
        keep: bool | None = None,
        fit: str | None = None,
        mirror: bool | None = None,
        feather: int | None = None,
        shift: int | None = None,
        threshold: int | None = None,
        smooth: int | None = None,
        light_wrap: int | None = None,
        model: str | None = None,
    ) -> Reply:
        edge = _edge(feather=feather, shift=shift, threshold=threshold, smooth=smooth, light_wrap=light_wrap)
        change = SceneChange(_background(blur, color, remove, keep), _fit(fit), mirror, edge)
        if replace is not None and change.background is not None:
            raise _two_backgrounds()
        if replace is None and name is not None:
            raise UsageError("a name without a picture", "pass the picture's descriptor as replace")
        with self._received(call, replace, name or "") as arrival, self._changing:
            return self._change(arrival, change, model)

    def _received(self, call: Call, index: int | None, name: str) -> AbstractContextManager[Arrival | None]:
        """The picture that came with the call; copied before any lock is held, since a slow disk may be behind it."""
        if index is None:
            return nullcontext()
        try:
            fd = call.fds.take(index)
        except LookupError as error:
            raise UsageError(f"replace is {index}, but {error}", "send the picture's descriptor along") from None
        return self._backgrounds.receive(fd, name)

    def _change(self, arrival: Arrival | None, change: SceneChange, model: str | None) -> Reply:
        """Make it live, then save it, then forget the old background; on an error forget the new one."""
        try:
            scene = change.applied_to(self._controls.scene, Picture)  # it names no file: pictures arrive
            if arrival is not None:
                scene = dataclasses.replace(scene, background=self._backgrounds.settle(arrival))
            self._controls.apply(scene, model)
            self._model = self._model if model is None else model
            self._save(scene)
            return Reply({"scene": scene_to_dict(scene)})
        except InputError as error:
            if arrival is None:
                raise
            raise self._backgrounds.in_clients_words(error, arrival) from error
        finally:
            self._backgrounds.prune(self._controls.scene)

    def _save(self, scene: Scene) -> None:
        """A full disk is no reason to take back what is live; but the scene before, maybe the room, must not return."""
        try:
            save(self._state_file, Saved(scene, self._model))
        except OutputError as error:
            _log.warning("the scene is live, but will not outlive a restart: %s", error)
            with contextlib.suppress(OSError):
                self._state_file.unlink()

    def _pause(self) -> Reply:
        self._controls.pause()
        return Reply()

    def _resume(self) -> Reply:
        self._controls.resume()
        return Reply()

    def _snapshot(self) -> Reply:
        return Reply({"picture": 0}, fds=(_in_memory(self._controls.snapshot()),))

    def _stop(self) -> Reply:
        self._controls.stop()
        return Reply()


_Plain = Blur | Colour | Remove | Keep


def _background(blur: int | None, color: str | None, remove: bool | None, keep: bool | None) -> _Plain | None:
    """The background that the parameters name, None where they name none."""
    named: list[_Plain | None] = [
        None if blur is None else _blur(blur),
        None if color is None else _colour(color),
        Remove() if remove else None,
        Keep() if keep else None,
    ]
    chosen = [each for each in named if each is not None]
    if len(chosen) > 1:
        raise _two_backgrounds()
    return chosen[0] if chosen else None


def _blur(strength: int) -> Blur:
    if not 1 <= strength <= 100:
        raise UsageError(f"blur is {strength}, must be 1..100")
    return Blur(strength)


def _colour(text: str) -> Colour:
    try:
        found = colour(text, Path())
    except ValueError as error:
        raise UsageError(f"color is {text[:40]!r}, {error}") from None
    if found is None:
        raise UsageError("color is empty", "give a colour such as #00b140")
    return found


def _edge(**given: int | None) -> dict[str, int]:
    """The edge's fields that were given."""
    asked = {key: value for key, value in given.items() if value is not None}
    try:
        check_edge(asked)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return asked


def _two_backgrounds() -> UsageError:
    return UsageError("two backgrounds at once", "give one of replace, blur, color, remove, keep")


def _fit(text: str | None) -> Fit | None:
    try:
        return None if text is None else Fit(text)
    except ValueError:
        raise UsageError(f"fit is {str(text)[:40]!r}, must be one of {', '.join(Fit)}") from None


def _in_memory(content: bytes) -> int:
    """A descriptor of an anonymous file that holds ``content``, its offset at the start."""
    fd = os.memfd_create("bgcamd-snapshot", os.MFD_CLOEXEC)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd
