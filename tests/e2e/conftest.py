"""One guest for all of these tests: booted fresh, bgcamd installed in it as a user would, a webcam with a person.

``make e2e`` runs them; a plain ``pytest`` does not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
sys.path.insert(0, str(HERE))  # for guest, service and pictures, which are no tests

from guest import Guest, booted  # noqa: E402
from pictures import write_person, write_reef  # noqa: E402
from service import Service  # noqa: E402

RIG = Path(os.environ.get("RIG_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "bgcamd-rig")).expanduser()
GUEST = pytest.StashKey[Guest]()

Say = Callable[[str], None]
PLUG = "modprobe vivid n_devs=1 node_types=0x1 input_types=0x00 vid_cap_nr={}; udevadm settle"

BUSY = 2  # goals in time are printed beside what was measured; only twice as much fails: machines have other work, too


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Print what a test saw, whether it passes or not."""
    terminal = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert terminal is not None
    assert capture is not None

    def print_now(text: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.write_line(f"    {text}")

    return print_now


@pytest.fixture(scope="session")
def guest(say: Say, pytestconfig: pytest.Config) -> Iterator[Guest]:
    """The guest, with bgcamd installed and not yet started."""

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        say(f"[rig] {what}: {time.monotonic() - start:.0f} s")

    with booted(RIG) as guest:
        pytestconfig.stash[GUEST] = guest
        with timed("pictures and sources copied"):
            _copy(guest.share)
        with timed("bgcamd installed in the guest"):
            _install(guest)
        say(
            guest.run(
                "echo guest: $(uname -sr), v4l2loopback $(modinfo -F version v4l2loopback), $(python3 -V)"
            ).strip()
        )
        yield guest


@pytest.fixture
def loopback(guest: Guest) -> str:
    """The module, loaded as the installed settings say: the virtual camera is /dev/video10, in no program's use."""
    guest.run("modprobe v4l2loopback; udevadm settle")
    return "/dev/video10"


@pytest.fixture
def empty_webcam(guest: Guest, loopback: str) -> str:
    """A second loopback device: what a test writes to it, it shows as a webcam would."""
    guest.run("[ -e /dev/video20 ] || python3 /share/inside/add_webcam.py 20 'Test Webcam'; udevadm settle")
    return "/dev/video20"


@pytest.fixture
def webcam(guest: Guest, empty_webcam: str) -> Iterator[str]:
    """A webcam that sees a person: MJPG, 1280x720, 30 frames a second."""
    play = f"ffmpeg -loglevel error -re -stream_loop -1 -i /share/person.avi -c copy -f v4l2 {empty_webcam}"
    with guest.background("webcam", play):
        guest.wait_for(f"v4l2-ctl -d {empty_webcam} --list-formats | grep MJPG")
        yield empty_webcam


@pytest.fixture
def room(guest: Guest, empty_webcam: str) -> Iterator[str]:
    """A webcam that sees the same person before white walls, which no card and no background is as bright as."""
    walls = "drawbox=x=0:w=250:c=white:t=fill,drawbox=x=990:w=290:c=white:t=fill"
    made = f"ffmpeg -loglevel error -i /share/person.avi -vf {walls} -c:v mjpeg -q:v 4"
    guest.run(f"[ -e /tmp/room.avi ] || {made} /tmp/room.avi", timeout=120)
    play = f"ffmpeg -loglevel error -re -stream_loop -1 -i /tmp/room.avi -c copy -f v4l2 {empty_webcam}"
    with guest.background("room", play):
        guest.wait_for(f"v4l2-ctl -d {empty_webcam} --list-formats | grep MJPG")
        yield empty_webcam


@pytest.fixture
def vivid(guest: Guest, loopback: str) -> Iterator[str]:
    """The kernel's own test camera, as /dev/video0; it can be unplugged."""
    guest.run(PLUG.format(0))
    yield "/dev/video0"
    guest.wait_for("! [ -d /sys/module/vivid ] || modprobe -r vivid")


@pytest.fixture
def service(guest: Guest, loopback: str) -> Iterator[Service]:
    """bgcamd.service, stopped; what a test sets up is taken back."""
    service = Service(guest)
    yield service
    service.remove()


def _copy(share: Path) -> None:
    """Put into the shared folder what the guest needs: the checkout as it is now, wheels, programs, pictures."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (CHECKOUT / name).is_file():
            (share / "bgcamd" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, share / "bgcamd" / name)
    shutil.copytree(RIG / "wheels", share / "wheels")
    shutil.copytree(HERE / "inside", share / "inside")
    write_person(share / "person.avi")
    write_reef(share / "coral.jpg")


def _install(guest: Guest) -> None:
    """As root, from the sources; pip finds its wheels in a folder instead of the network."""
    guest.run("PIP_NO_INDEX=1 PIP_FIND_LINKS=/share/wheels make -C /share/bgcamd install", timeout=300)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside what failed, show what the guest has to say about it."""
    report = yield
    guest = item.config.stash.get(GUEST, None)
    if report.failed and guest is not None:
        if guest.process.poll() is None:
            report.sections.append(("bgcamd's journal", guest.call("journalctl -u bgcamd -n 15 --no-pager").output))
        else:
            report.sections.append(("the guest's console", guest.console.read_text(errors="replace")[-2000:]))
    return report
