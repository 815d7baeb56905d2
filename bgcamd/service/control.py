"""The methods of org.bgcam: what ``org.bgcam.varlink`` describes, on top of whoever implements ``Controls``."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from bgcamd.errors import ControlError, InputError, OutputError, UsageError
from bgcamd.live.looks import Look, Looks
from bgcamd.protocols import Command
from bgcamd.scene import Clip, Picture, Scene
from bgcamd.service import asked
from bgcamd.service.backgrounds import Arrival
from bgcamd.service.dispatch import Call, Interface, Method, Reply
from bgcamd.service.gallery import Gallery, without_path
from bgcamd.service.state import Saved, save, scene_to_dict
from bgcamd.service.varlink import in_memory
from bgcamd.settings import SceneChange

INTERFACE = "org.bgcam"
MIN_INTERVAL_MS, MAX_INTERVAL_MS = 50, 60_000
_PICTURE_S, _LEFT_S = 5.0, 0.5  # how long a picture may take to come, and how soon one who left is noticed
MAX_TEXT = 200
"""Characters on a card that a client writes."""
_log = logging.getLogger(__name__)


class Controls(Protocol):
    """What the daemon lets its clients do. Called from any thread; ``apply`` never twice at once."""

    @property
    def scene(self) -> Scene:
        """The scene that is live."""

    @property
    def looks(self) -> Looks:
        """What viewers see, for who looks on."""

    def status(self) -> dict[str, object]:
        """org.bgcam's type Status; numbers that are not known are None, never NaN."""

    def apply(self, scene: Scene, model: str | None) -> None:
        """Make ``scene``, and ``model`` unless None, live; return when they are.

        Raises BgcamError; what was live before then stays.
        """

    def pause(self, text: str = "", picture: Path | None = None, *, freeze: bool = False) -> None:
        """Turn the camera off, and show a card, ``picture`` or what is shown now; return when it is on air."""

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
    gallery: the backgrounds that can be chosen, and where clients' pictures are kept.
    state_file: where the scene is saved after every change.
    model: the model's name as it was loaded from ``state_file``, saved again until a client names another.
    paused: whether nobody is to be shown, saved too.
    """

    def __init__(
        self, controls: Controls, gallery: Gallery, state_file: Path, model: str | None = None, *, paused: bool = False
    ) -> None:
        self._controls = controls
        self._gallery = gallery
        self._state_file = state_file
        self._model, self._paused = model, paused
        self._changing, self._saving = threading.Lock(), threading.Lock()
        methods: dict[str, Method] = {
            "GetStatus": self._get_status,
            "Monitor": self._monitor,
            "Set": self._set,
            "Pause": self._pause,
            "Resume": self._resume,
            "Snapshot": self._snapshot,
            "Look": self._look,
            "Backgrounds": self._backgrounds,
            "Thumbnail": self._thumbnail,
            "Forget": self._forget,
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
        choice: str | None = None,
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
        edge = asked.edge_of(feather=feather, shift=shift, threshold=threshold, smooth=smooth, light_wrap=light_wrap)
        plain = asked.background_of(blur, color, remove, keep)
        if [replace, choice, plain].count(None) < 2:
            raise asked.two_backgrounds()
        if replace is None and name is not None:
            raise UsageError("a name without a picture", "pass the picture's descriptor as replace")
        change = SceneChange(plain, asked.fit_of(fit), mirror, edge)
        with self._received(call, replace, name or "") as arrival, self._changing:
            scene = self._change(arrival, choice, change, model)
        return Reply({"scene": scene_to_dict(scene)})

    def _received(
        self, call: Call, index: int | None, name: str, parameter: str = "replace"
    ) -> AbstractContextManager[Arrival | None]:
        """The picture that came with the call; copied before any lock is held, since a slow disk may be behind it."""
        if index is None:
            return nullcontext()
        try:
            fd = call.fds.take(index)
        except LookupError as error:
            raise UsageError(f"{parameter} is {index}, but {error}", "send the picture's descriptor along") from None
        return self._gallery.sent.receive(fd, name)

    def _change(self, arrival: Arrival | None, choice: str | None, change: SceneChange, model: str | None) -> Scene:
        """Make it live, then save it, then forget the oldest backgrounds; on an error forget the new one."""
        scene = change.applied_to(self._controls.scene, Picture)  # it names no file: pictures arrive
        if arrival is not None:
            return self._show_arrival(arrival, scene, model)
        if choice is not None:
            scene = dataclasses.replace(scene, background=self._gallery.background(self._gallery.find(choice)))
        try:
            self._show(scene, model)
        except InputError as error:
            raise without_path(error, scene.background) from error
        return scene

    def _show_arrival(self, arrival: Arrival, scene: Scene, model: str | None) -> Scene:
        sent = self._gallery.sent
        try:
            scene = dataclasses.replace(scene, background=sent.settle(arrival))
            self._show(scene, model)
        except BaseException as error:
            sent.withdraw(arrival, self._controls.scene)
            if isinstance(error, InputError):
                raise sent.in_clients_words(error, arrival) from error
            raise
        return scene

    def _show(self, scene: Scene, model: str | None) -> None:
        self._controls.apply(scene, model)
        self._model = self._model if model is None else model
        if isinstance(scene.background, Picture | Clip):
            self._gallery.sent.used(scene.background.path)
        self._save(scene)
        self._gallery.sent.prune(scene)

    def obey(self, command: Command) -> None:
        """Do what a viewer asked for by an output's keys. Waits until it is live; raises BgcamError."""
        with self._changing:
            match command:
                case Command.NEXT_BACKGROUND:
                    self._change(None, self._gallery.after(self._controls.scene).id, SceneChange(), None)
                case Command.MIRROR:
                    self._change(None, None, SceneChange(mirror=not self._controls.scene.mirror), None)
                case Command.QUIT:
                    pass  # it was that output's own affair

    def _save(self, scene: Scene) -> None:
        """A full disk is no reason to take back what is live; but the scene before, maybe the room, must not return."""
        saved = Saved(scene, self._model, self._paused)
        with self._saving:
            try:
                save(self._state_file, saved)
            except OutputError:
                with contextlib.suppress(OSError):
                    self._state_file.unlink()
                try:
                    save(self._state_file, saved)  # in the room that the old one took
                except OutputError as error:
                    _log.warning("what is live will not outlive a restart: %s", error)

    def _pause(
        self,
        call: Call,
        *,
        text: str | None = None,
        picture: int | None = None,
        name: str | None = None,
        freeze: bool | None = None,
    ) -> Reply:
        """Not held up by a change that is being made: whoever pauses is in a hurry."""
        if [bool(text), picture is not None, freeze is True].count(True) > 1:
            raise UsageError("two cards at once", "give one of text, picture, freeze")
        if text and len(text) > MAX_TEXT:
            raise UsageError(f"the text is longer than {MAX_TEXT} characters")
        with self._received(call, picture, name or "", "picture") as arrival:
            try:
                self._controls.pause(text or "", arrival.part if arrival else None, freeze=freeze is True)
            except InputError as error:
                if arrival is None:
                    raise
                raise InputError(f"{arrival.name} can't be shown: it is no picture", error.hint) from error
        self._set_paused(True)
        return Reply()

    def _resume(self) -> Reply:
        self._controls.resume()
        self._set_paused(False)
        return Reply()

    def _set_paused(self, paused: bool) -> None:
        self._paused = paused
        self._save(self._controls.scene)

    def _snapshot(self) -> Reply:
        return Reply({"picture": 0}, fds=(in_memory(self._controls.snapshot()),))

    def _look(self, call: Call, *, before: bool | None = None) -> Iterator[Reply]:
        with self._controls.looks.looking(before=before is True) as newest:
            deadline = time.monotonic() + _PICTURE_S
            while not call.left(0):
                if (look := newest(_LEFT_S)) is not None:
                    yield _sent(look, continues=call.more)
                    if not call.more:
                        return
                    deadline = time.monotonic() + _PICTURE_S
                elif time.monotonic() > deadline:
                    raise ControlError(f"no picture has come for {_PICTURE_S:g} s", "`bgcam status` says why")
        raise ControlError("bgcamd ends")

    def _backgrounds(self) -> Reply:
        choices, current = self._gallery.choices(), self._gallery.current(self._controls.scene)
        return Reply({"backgrounds": [choice.as_dict() for choice in choices], "current": current})

    def _thumbnail(self, *, choice: str) -> Reply:
        return Reply({"picture": 0}, fds=(in_memory(self._gallery.thumbnail(self._gallery.find(choice))),))

    def _forget(self, *, choice: str) -> Reply:
        found = self._gallery.find(choice)
        if not found.recent or not isinstance(found.background, Picture | Clip):
            raise UsageError(f"{found.name} is not a picture that a client sent", "remove its file from its folder")
        with self._changing:
            self._gallery.sent.forget(found.background.path, self._controls.scene)
        return Reply()

    def _stop(self) -> Reply:
        self._controls.stop()
        return Reply()


def _sent(look: Look, *, continues: bool) -> Reply:
    """A picture, and what it was before where that was asked for, on their way."""
    fds = [in_memory(look.picture)]
    if look.before is not None:
        fds.append(in_memory(look.before))
    told = {"number": look.number, "picture": 0, "before": None if look.before is None else 1}
    return Reply(told, tuple(fds), continues)
