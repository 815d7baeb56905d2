"""``bgcamd``: the daemon. The one place where its parts are put together."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2

from bgcamd import __version__
from bgcamd.canvas.background import Plate
from bgcamd.canvas.card import Cards
from bgcamd.cli.announce import announce
from bgcamd.cli.edge import Edge
from bgcamd.cli.options import daemon_options, instance_option, scene_options
from bgcamd.decoding.decoders import Decoders
from bgcamd.errors import BgcamError, ModelError, SettingsError, UsageError
from bgcamd.frame import BT601, Frame, PixelFormat
from bgcamd.live.capture import Capture
from bgcamd.live.demand import Demand
from bgcamd.live.looks import Looks
from bgcamd.live.loop import LiveLoop
from bgcamd.live.outputs import Outputs
from bgcamd.live.wording import STARTING
from bgcamd.networks import Networks
from bgcamd.paths import DEFAULT_INSTANCE, named_socket, service_socket, state_folder, user_socket
from bgcamd.pipeline import fit_to
from bgcamd.prepare import prepare, prepare_first
from bgcamd.scene import Clip, Picture, Scene
from bgcamd.service import systemd
from bgcamd.service.backgrounds import Backgrounds
from bgcamd.service.control import Control
from bgcamd.service.daemon import Daemon
from bgcamd.service.dispatch import Service
from bgcamd.service.gallery import Gallery, usual_folders
from bgcamd.service.heartbeat import Heartbeat
from bgcamd.service.keeping import Keeping
from bgcamd.service.listen import Listener, adopt, listen
from bgcamd.service.model import Model
from bgcamd.service.server import Server
from bgcamd.service.state import Saved, load
from bgcamd.settings import CameraSettings, ControlSettings, SceneChange, Settings, load_settings
from bgcamd.streams import check_stream
from bgcamd.video.address import parse_camera, parse_output
from bgcamd.video.mailbox import Latest
from bgcamd.video.v4l2.advice import LABEL
from bgcamd.wiring import Camera, Choices, check_camera, check_output, choose, output_plan

_log = logging.getLogger("bgcamd")
_TWICE_S = 0.3  # `timeout`, and a terminal that closes, send the same signal twice


@click.command(cls=Edge, context_settings={"help_option_names": ["-h", "--help"]})
@instance_option
@daemon_options
@scene_options()
@click.version_option(__version__, prog_name="bgcamd")
def main(instance: str | None, config: Path | None, overrides: Mapping[str, Any], change: SceneChange) -> None:
    """Run the virtual camera: read a camera, replace what is behind the person, write a virtual camera.

    Without options it takes the best that the machine has. While it runs, bgcam changes the background.
    """
    logging.basicConfig(level=logging.INFO, handlers=[systemd.log_handler()])
    faulthandler.enable()  # a watchdog ends us by SIGABRT: say where each thread was
    sys.setswitchinterval(0.0005)  # hand a frame from thread to thread within a millisecond
    cv2.setNumThreads(1)  # the call itself needs the other cores
    name = instance or DEFAULT_INSTANCE
    asked = overrides.get("model.name") is not None
    try:
        keeping = click.get_current_context().obj
        run(load_settings(config, overrides, name), change, instance=name, model_asked=asked, keeping=keeping)
    except BgcamError as error:
        systemd.notify(f"STATUS={' '.join(str(error).split())}")
        systemd.turn_away()
        raise


def run(
    settings: Settings,
    change: SceneChange,
    *,
    instance: str,
    model_asked: bool,
    keeping: Keeping | None = None,
) -> None:
    """Run the daemon until it is told to stop.

    instance: the daemon's name, which tells where its socket and its state are, and its virtual camera's label.
    change: the scene's options. They change the scene that was live last, else the settings' one.
    model_asked: the settings' model is an option's, and so wins over the one that a client chose last.
    keeping: what an earlier run left, and the next will find; None to ask systemd for it.
    """
    by_name = None if instance != DEFAULT_INSTANCE else named_socket()
    socket = settings.control.socket or by_name or user_socket(instance)
    state = _state_of(socket, instance)
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(settings.control, socket))
        choices = _choices(settings, instance)
        air = stack.enter_context(_on_air(settings.camera, choices, socket, keeping or Keeping()))
        decoders = stack.enter_context(Decoders())
        saved = _saved(state, settings, decoders)
        scene = change.applied_to(saved.scene, decoders.background_of)
        if isinstance(scene.background, Picture | Clip):
            decoders.expect()  # while the network is loaded
        networks = Networks(settings.model.engine, settings.model.threads, air.plate.size, settings.model.quality)
        air.camera.registrar = lambda: networks.gpu
        model, chosen = _model(networks, settings.model.name, None if model_asked else saved.model)
        made = _assembled(settings, air, networks, model, scene, decoders=decoders, strangers=listener.anyone)
        daemon = stack.enter_context(made)
        sent = Backgrounds(state / "backgrounds", decoders.background_of)
        gallery = Gallery(sent, _folders(settings, instance), decoders.background_of, decoders.small)
        control = Control(daemon, gallery, state / "scene.json", chosen, paused=saved.paused)
        if saved.paused:
            daemon.pause()  # who paused, and was restarted, is not to be seen either
        daemon.orders.obey = control.obey
        stack.enter_context(Server(listener, Service([control.interface])))
        _stop_on_signals(daemon)
        announce(daemon, choices, socket, instance)
        with Heartbeat(lambda: daemon.written, daemon.headline):
            daemon.run()


@contextmanager
def _listening(control: ControlSettings, socket: Path) -> Iterator[Listener]:
    """The socket that systemd hands over, else one of our own."""
    given = systemd.listen_fds()
    if not given:
        with listen(socket, group=control.group or None, mode=control.mode) as listener:
            yield listener
        return
    if len(given) > 1:
        raise SettingsError(f"systemd hands over {len(given)} sockets", "one .socket unit with one ListenStream=")
    adopted = adopt(os.dup(given[0]))  # the original is for `turn_away`, which comes after this has ended
    with adopted.sock:
        yield adopted


def _stop_on_signals(daemon: Daemon) -> None:
    """The first signal ends it after the frame in hand; one that comes later at once, whatever hangs."""
    first_at = 0.0

    def stop(number: int, _: object) -> None:
        nonlocal first_at
        now = time.monotonic()
        first_at = first_at or now
        if now - first_at > _TWICE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        daemon.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _state_of(socket: Path, instance: str) -> Path:
    """Where this daemon keeps its state. Two never share it: each removes the backgrounds that it does not show."""
    if socket not in (user_socket(instance), service_socket(instance)):
        return state_folder() / f"at{str(socket.absolute()).replace('/', '-')}"
    return state_folder() if instance == DEFAULT_INSTANCE else state_folder() / "instances" / instance


def _choices(settings: Settings, instance: str) -> Choices:
    """Raises SettingsError, InputError for a clip that is not there, OutputError for one that can't be written."""
    try:
        camera = parse_camera(settings.camera.address)
        outputs = [parse_output(address) for address in settings.output.addresses]
        for address in (camera, *outputs):
            check_stream(address)
        check_camera(camera)
        for output in outputs:
            check_output(output)
    except UsageError as error:
        raise SettingsError(error.message, error.hint) from error
    label = LABEL if instance == DEFAULT_INSTANCE else f"{LABEL} {instance}"
    return choose(camera, outputs, settings.preview.port, label)


def _folders(settings: Settings, instance: str) -> tuple[Path, ...]:
    """Where the user's own backgrounds are."""
    folder = settings.preview.folder
    return usual_folders(instance, settings.file) if folder is None else (folder,)


def _saved(state: Path, settings: Settings, decoders: Decoders) -> Saved:
    """What was live last, as far as it can still be shown; at the first start, what the settings say."""
    file = state / "scene.json"
    if not file.exists():
        return Saved(settings.scene.applied_to(Scene(), decoders.background_of))
    saved, note = load(file)
    if note:
        _log.warning("%s", note)
    return saved


def _model(networks: Networks, usual: str, chosen: str | None) -> tuple[Model, str | None]:
    """Open the model that a client chose last, else the settings' one; say which choice still stands."""
    if chosen is not None:
        try:
            return networks.open(chosen), chosen
        except BgcamError as error:
            _log.warning("%s; going on with %s", error, usual)
    return networks.open(usual), None


@dataclass(frozen=True)
class _Air:
    """What shows a picture as soon as there is one."""

    camera: Camera
    plate: Plate
    cards: Cards
    outputs: Outputs


@contextmanager
def _on_air(settings: CameraSettings, choices: Choices, socket: Path, keeping: Keeping) -> Iterator[_Air]:
    """The outputs, with a first card: who watched before a restart waits no longer than need be."""
    camera = Camera(choices.camera, settings.size, settings.fps)
    natural, rate = camera.look()
    rate = min(rate, settings.fps or rate)
    size = fit_to(settings.size, natural)
    plate = Plate(size, PixelFormat.I420, BT601)
    cards = Cards(plate)
    with Outputs([output_plan(address, size, rate, socket, keeping) for address in choices.outputs]) as outputs:
        card = cards.frame(STARTING)
        outputs.write(card)
        keeping.clear()
        keeping.keep_card(*card.planes)
        yield _Air(camera, plate, cards, outputs)


@contextmanager
def _assembled(
    settings: Settings,
    air: _Air,
    networks: Networks,
    model: Model,
    scene: Scene,
    *,
    decoders: Decoders,
    strangers: bool,
) -> Iterator[Daemon]:
    """The live loop with everything round it.

    strangers: clients may be other users.
    """
    plate, outputs, looks = air.plate, air.outputs, Looks(air.plate.size)
    with ExitStack() as stack:
        mailbox = stack.enter_context(Latest[Frame]())
        capture = stack.enter_context(Capture(air.camera, mailbox, settings.camera.fps))
        loop = LiveLoop(
            capture=capture,
            mailbox=mailbox,
            outputs=outputs,
            pipeline=model.pipeline,
            scene=prepare_first(scene, plate, decoders),
            demand=Demand(lambda: outputs.watched or looks.watched, _linger(settings.camera, air.camera)),
            looks=looks,
            draw_card=air.cards.frame,
        )
        daemon = Daemon(
            loop=loop,
            capture=capture,
            outputs=outputs,
            model=model,
            prepare=lambda wanted: prepare(wanted, plate, decoders=decoders),
            open_model=lambda name: _asked_model(networks, name, strangers=strangers),
            rescue=networks.rescue,
        )
        stack.callback(daemon.close)
        yield daemon


def _linger(settings: CameraSettings, camera: Camera) -> float | None:
    """How long the camera stays on unwatched; a clip or the demo, which has no light to go off, for ever."""
    return settings.linger if camera.real and not settings.always_on else None


def _asked_model(networks: Networks, name: str, *, strangers: bool) -> Model:
    """Open what a client asked for; strangers must not make us open any file."""
    if strangers and ("/" in name or name.endswith(".toml")):
        raise ModelError(f"{name}: only models by name here", "bgcam models lists them")
    return networks.open(name)


if __name__ == "__main__":
    main(prog_name="bgcamd")
