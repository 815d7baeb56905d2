"""Who makes a daemon's life eventful: clients that ask, look on, send garbage and leave, and hands that pull plugs."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from soak_house import MODELS, House

from bgcamd.errors import BgcamError, ControlError, InputError, ModelError, UsageError
from bgcamd.frame import Frame, PixelFormat, Size
from bgcamd.matting.fake import Fault
from bgcamd.video.files.media_writer import MediaWriter

FITS = ("cover", "contain", "stretch", "tile")
_SENT = 20
"""Different pictures that are sent: more than the daemon keeps."""
_LONG_S = 30.0


class Visitor(ABC):
    """One who does something, again and again, each time something else.

    Parameters
    ----------
    rest_s: between two things, so that frames have their time too.
    seed: of what is done when.
    """

    def __init__(self, house: House, rest_s: float, seed: int) -> None:
        self.house, self.dice, self._rest_s = house, random.Random(seed), rest_s
        self.done = 0
        self.failure: BaseException | None = None

    @abstractmethod
    def deeds(self) -> tuple[Callable[[], None], ...]:
        """What is done, in turn, beginning anywhere."""

    def live_until(self, over: Callable[[], bool]) -> None:
        """Do one thing after another; what goes wrong is kept for ``failure``."""
        deeds = self.deeds()
        start = self.dice.randrange(len(deeds))
        for deed in itertools.islice(itertools.cycle(deeds), start, None):
            if over():
                return
            try:
                deed()
            except BaseException as error:
                error.add_note(f"while: {getattr(deed, '__name__', deed)}")
                self.failure = error
                return
            self.done += 1
            time.sleep(self._rest_s)


class User(Visitor):
    """Changes the scene in every way, pauses, and swaps the network."""

    def __init__(self, house: House, rest_s: float, seed: int) -> None:
        super().__init__(house, rest_s, seed)
        self._files = itertools.cycle(_files(house.home))

    def deeds(self) -> tuple[Callable[[], None], ...]:
        return (self.send, self.plain, self.edge, self.send, self.pause, self.model, self.mistakes, self.choose)

    def send(self) -> None:
        """A picture, an animation or a clip, by its descriptor."""
        path = next(self._files)
        with path.open("rb") as file:
            self.house.ask("Set", (file.fileno(),), replace=0, name=path.name, fit=self.dice.choice(FITS))
        self.house.until_seen()

    def plain(self) -> None:
        """Every background that needs no file."""
        for given in ({"blur": 30}, {"color": "#102030"}, {"remove": True}, {"keep": True}, {"color": "teal"}):
            self.house.ask("Set", (), **given)
            self.house.until_seen(3)

    def edge(self) -> None:
        """The outline, and the mirror."""
        for number in (0, 40):
            self.house.ask(
                "Set", (), feather=number, shift=number, smooth=90 - number, light_wrap=number, mirror=number > 0
            )
            self.house.until_seen(3)

    def pause(self) -> None:
        """The camera is closed, and opened again; viewers see each kind of card."""
        with (self.house.home / "0.png").open("rb") as file:
            self.house.ask("Pause", (file.fileno(),), picture=0, name="0.png")
        self.house.ask("Pause", text="Back at three")
        self.house.until("paused")
        self.house.ask("Resume")
        self.house.until_seen()
        self.house.ask("Pause", freeze=True)
        self.house.ask("Resume")
        self.house.until_seen()

    def model(self) -> None:
        """Every network once."""
        for name in MODELS:
            self.house.ask("Set", (), model=name)
            self.house.until_seen(3)

    def mistakes(self) -> None:
        """What is refused, and changes nothing."""
        with Path(os.devnull).open("rb") as null, (self.house.home / "none.png").open("rb") as text:
            self._refused(InputError, null.fileno(), replace=0)
            self._refused(InputError, text.fileno(), replace=0, name="none.png")
        self._refused(ModelError, model="unheard-of")
        self._refused(UsageError, blur=1000)

    def _refused(self, kind: type[BgcamError], *fds: int, **parameters: object) -> None:
        try:
            self.house.ask("Set", fds, **parameters)
        except kind:
            return
        raise AssertionError(f"{parameters} were taken")

    def choose(self) -> None:
        """One of those that were sent before is chosen, another forgotten."""
        offered: list[dict[str, object]] = self.house.ask("Backgrounds")["backgrounds"]  # type: ignore[assignment]
        recent = [str(each["id"]) for each in offered if each["recent"]]
        for name in recent[:3]:
            self.house.ask("Thumbnail", (), choice=name)
        for method, name in zip(("Set", "Forget"), self.dice.sample(recent, min(2, len(recent))), strict=False):
            self.house.ask(method, (), choice=name)


class Looker(Visitor):
    """Looks on: streams that come and go, some of them without a goodbye."""

    def deeds(self) -> tuple[Callable[[], None], ...]:
        return (self.monitor, self.look, self.snapshot, self.crowd, self.garbage)

    def monitor(self) -> None:
        """The status, a few times."""
        self._stream("Monitor", self.dice.randrange(1, 4), interval_ms=50)

    def look(self) -> None:
        """Pictures, a few, with and without what was before."""
        self._stream("Look", self.dice.randrange(1, 6), before=self.dice.random() < 0.5)

    def _stream(self, method: str, replies: int, **parameters: object) -> None:
        with contextlib.suppress(ControlError), self.house.client() as client:  # a crowd may be there
            stream = client.stream_with_fds(f"org.bgcam.{method}", parameters, timeout_s=_LONG_S)
            for _, fds in itertools.islice(stream, replies):
                fds.close()

    def snapshot(self) -> None:
        """A PNG."""
        self.house.ask("Snapshot")

    def crowd(self) -> None:
        """More clients at once than there is room for."""
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                client = stack.enter_context(self.house.client())
                with contextlib.suppress(ControlError):  # the last ones are told that there are too many
                    client.call("org.bgcam.GetStatus", timeout_s=_LONG_S)[1].close()

    def garbage(self) -> None:
        """What is no varlink, what never ends, descriptors that nobody asked for."""
        half = b'{"method":"org.bgcam.Set","parameters":{"replace":0'
        for data, fds in ((self.dice.randbytes(200), 0), (b"[" * 5000, 0), (half, 3), (half + b"}}\0", 2), (b"{", 60)):
            with (
                socket.socket(socket.AF_UNIX) as sock,
                Path(os.devnull).open("rb") as null,
                contextlib.suppress(OSError),
            ):
                sock.settimeout(5)
                sock.connect(str(self.house.socket))
                socket.send_fds(sock, [data], [null.fileno()] * fds)
                if self.dice.random() < 0.5:
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(100)


class Hand(Visitor):
    """Pulls plugs, closes apps, and breaks the network. The only one that touches the machine."""

    def deeds(self) -> tuple[Callable[[], None], ...]:
        return (self.replug, self.readers, self.damage, self.readers, self.faults, self.readers, self.reload)

    def replug(self) -> None:
        """The camera goes and comes back, under another number and in another format."""
        self.house.replug()
        self.house.until_seen()

    def reload(self) -> None:
        """The virtual camera goes and comes back."""
        self.house.reload()
        self.house.until_seen()

    def readers(self) -> None:
        """The last app closes; another opens."""
        self.house.output.read_by(0)
        time.sleep(0.2)
        self.house.output.read_by(2)
        self.house.until_seen()

    def damage(self) -> None:
        """Frames that are cut off or marked as damaged."""
        for _ in range(20):
            self.house.camera.feed(b"\xff\xd8" * self.dice.randrange(1, 400), error=self.dice.random() < 0.5)
            time.sleep(0.001)
        self.house.until_seen()

    def faults(self) -> None:
        """The network fails in every way but one: hanging takes its time."""
        for fault in (Fault.RAISE, Fault.NAN, Fault.EMPTY, Fault.CRASH):
            engine = self.house.networks.engine
            engine.fault = fault
            time.sleep(0.02)
            engine.fault = None
        self.house.until_seen()


def visited(visitors: list[Visitor], over: Callable[[], bool]) -> None:
    """Have all of them live at once until it is over. Raises the first failure of one."""
    ended = threading.Event()

    def stop() -> bool:
        return over() or ended.is_set()

    def live(visitor: Visitor) -> None:
        visitor.live_until(stop)
        if visitor.failure is not None:
            ended.set()

    threads = [threading.Thread(target=live, args=(visitor,), name=type(visitor).__name__) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for visitor in visitors:
        if visitor.failure is not None:
            raise visitor.failure


def _files(home: Path) -> list[Path]:
    """Pictures, clips, and one file that is none of both."""
    (home / "none.png").write_bytes(b"no picture" * 100)
    files = []
    for number in range(_SENT):
        path = home / f"{number}{('.png', '.jpg', '.webp')[number % 3]}"
        noise = np.random.default_rng(number).integers(0, 256, (30 + number, 60, 3), np.uint8)
        cv2.imwrite(str(path), noise)
        files.append(path)
        if number % 7 == 3:
            files.append(_clip(home / f"{number}.mp4", number))
    return files


def _clip(path: Path, seed: int) -> Path:
    """A second of noise, or half a one."""
    size, noise = Size(96, 64), np.random.default_rng(seed)
    with MediaWriter(path, size=size, rate=Fraction(30)) as sink:
        for _ in range(10 + seed):
            planes = tuple(noise.integers(0, 256, shape, np.uint8) for shape in ((64, 96), (32, 48), (32, 48)))
            sink.write(Frame(planes, PixelFormat.I420, size))
    return path
