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
BOUND_FOR_GUEST = pytest.StashKey[Guest]()

Say = Callable[[str], None]


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Print what a test saw, between the dots, whether it passes or not."""
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
        pytestconfig.stash[BOUND_FOR_GUEST] = guest
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


@pytest.fixture(scope="session")
def loopback(guest: Guest) -> str:
    """The module, loaded: the virtual camera is /dev/video10, and a second one, /dev/video20, is the webcam."""
    guest.run('modprobe v4l2loopback video_nr=10,20 card_label="Virtual BG Camera,Test Webcam" exclusive_caps=1,1')
    guest.run("udevadm settle")
    return "/dev/video10"


@pytest.fixture
def webcam(guest: Guest, loopback: str) -> Iterator[str]:
    """A webcam that sees a person: MJPG, 1280x720, 30 frames a second."""
    play = "ffmpeg -loglevel error -re -stream_loop -1 -i /share/person.avi -c copy -f v4l2 /dev/video20"
    with guest.background("webcam", play):
        guest.wait_for("v4l2-ctl -d /dev/video20 --list-formats | grep MJPG")
        yield "/dev/video20"


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
    pip = "export PIP_NO_INDEX=1 PIP_FIND_LINKS=/share/wheels"
    guest.run(f"{pip}; python3 -m venv /opt/bgcamd && /opt/bgcamd/bin/pip install /share/bgcamd", timeout=300)
    guest.run(f"{pip}; ln -s /opt/bgcamd/bin/bgcam* /usr/local/bin; bgcam models fetch --demo selfie", timeout=300)
    guest.run(f"mkdir -p /etc/bgcamd; cat >/etc/systemd/system/bgcamd.service <<END{UNIT}END\nsystemctl daemon-reload")


UNIT = """
[Service]
ExecStart=/usr/local/bin/bgcamd
ExecStartPost=+/bin/sh -c "sleep 2; udevadm trigger --action=change --subsystem-match=video4linux"
Environment=BGCAMD_MODELS=/root/.cache/bgcamd/models
RuntimeDirectory=bgcamd
StateDirectory=bgcamd
Restart=always
RestartSec=0.2
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside what failed, show what the guest has to say about it."""
    report = yield
    guest = item.config.stash.get(BOUND_FOR_GUEST, None)
    if report.failed and guest is not None:
        if guest.process.poll() is None:
            report.sections.append(("bgcamd's journal", guest.call("journalctl -u bgcamd -n 40 --no-pager").output))
        else:
            report.sections.append(("the guest's console", guest.console.read_text(errors="replace")[-2000:]))
    return report
