"""WebRTC with a real browser: it sees the camera's picture, and it is the camera."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for browser and stream_programs, which are no tests

from browser import FAKE_CAMERA, Browser, Page
from stream_programs import DAY, Camera, quarters, saved, tcp_port, until

STATUS = "document.getElementById('status').textContent"
READY = "!!document.getElementById('start')?.onclick"
DARK, BRIGHT = (0, 137, 0), (76, 255, 24)
MIDDLES = """(() => {
    const video = document.querySelector("video"), canvas = document.createElement("canvas");
    if (!video?.videoWidth) return null;
    const [width, height] = [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const at = (x, y) => [...context.getImageData(width * x, height * y, 1, 1).data].slice(0, 3);
    return [at(.25, .25), at(.75, .25), at(.25, .75), at(.75, .75)];
})()"""
"""The colours that the page shows in the middle of each quarter of its picture."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser(*FAKE_CAMERA, f"--host-resolver-rules=MAP {socket.gethostname()} 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    picture = saved(quarters(DAY), tmp_path / "day.png")
    with Camera(tmp_path / "camera", picture, f"webrtc://@:{tcp_port()}/output") as camera:
        yield camera


def page_of(camera: Camera, word: str = "see it") -> str:
    found = re.search(rf"{word} .*(http://127\.0\.0\.1:\S+)", camera.log)
    assert found is not None, camera.log
    return found[1]


def shows(page: Page, colours: tuple[tuple[int, int, int], ...] = DAY) -> bool:
    middles = page.run(MIDDLES)
    return middles is not None and bool(np.abs(np.array(middles) - np.array(colours)).max() <= 12)


def test_browsers_see_the_cameras_picture_also_when_one_leaves_and_comes_back(browser: Browser, camera: Camera) -> None:
    url = page_of(camera)
    with browser.page(url) as page:
        until(lambda: shows(page), camera)
        with browser.page(url) as other:
            until(lambda: shows(other), camera)
            other.go("about:blank")
            until(lambda: "watches no longer" in camera.log, camera)
            other.go(url)
            until(lambda: shows(other), camera)
            assert (page.errors, other.errors) == ([], [])
        assert page.run(STATUS) == "Live."
        frames = page.run("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames")
        until(lambda: page.run("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames") > frames)


def test_a_fifth_browser_is_told_and_gets_in_by_itself(browser: Browser, camera: Camera) -> None:
    url = page_of(camera)
    with ExitStack() as later, ExitStack() as first:
        for _ in range(4):
            page = first.enter_context(browser.page(url))
            page.wait_for(f"{STATUS} === 'Live.'")
        fifth = later.enter_context(browser.page(url))
        fifth.wait_for(f"{STATUS} === '4 browsers watch already. Trying again…'")
        first.close()
        until(lambda: shows(fifth), camera)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_the_picture_comes_back_by_itself_when_the_daemon_does(browser: Browser, camera: Camera, end: str) -> None:
    with browser.page(page_of(camera)) as page:
        until(lambda: shows(page), camera)
        page.run("window.sameDocument = true")
        getattr(camera, end)()
        page.wait_for(f"{STATUS}.endsWith('Trying again…')")
        camera.start()
        page.wait_for(f"{STATUS} === 'Live.'")
        until(lambda: shows(page), camera)
        assert page.run("window.sameDocument")


def test_a_browser_without_h264_sees_it_too(browser: Browser, camera: Camera) -> None:
    only_vp8 = """
        const original = RTCPeerConnection.prototype.addTransceiver;
        RTCPeerConnection.prototype.addTransceiver = function (...what) {
            const made = original.apply(this, what);
            const { codecs } = RTCRtpReceiver.getCapabilities("video");
            made.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === "video/VP8"));
            return made;
        };"""
    with browser.page("about:blank") as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=only_vp8)
        page.go(page_of(camera))
        page.wait_for("document.querySelector('video')?.videoWidth")
        until(lambda: shows(page), camera)


def test_nothing_but_the_loopback_interface_is_used(browser: Browser, camera: Camera) -> None:
    with browser.page(page_of(camera)) as page:
        until(lambda: shows(page), camera)
        assert {host for host, _ in sockets(camera, "udp")} == {"127.0.0.1"}
        assert {host for host, _ in sockets(camera, "tcp")} == {"127.0.0.1"}
        assert sockets(camera, "udp6") + sockets(camera, "tcp6") == []


def sockets(camera: Camera, kind: str) -> list[tuple[str, int]]:
    """The addresses to which sockets of the daemon are bound, of one kind of /proc/net."""
    assert camera._program is not None
    process = Path("/proc") / str(camera._program.pid)
    links = [link.readlink().name for link in (process / "fd").iterdir() if link.is_symlink()]
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in (process / "net" / kind).read_text().splitlines()[1:]]
    bound = [row[1].split(":") for row in rows if row[9] in own]
    return [
        (socket.inet_ntoa(bytes.fromhex(host)[::-1]) if len(host) == 8 else host, int(port, 16)) for host, port in bound
    ]


def test_the_page_fits_a_phone_and_the_keyboard(browser: Browser, camera: Camera, tmp_path: Path) -> None:
    with browser.page(page_of(camera), (360, 740), dark=True) as page:
        until(lambda: shows(page), camera)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        page.press("Tab")
        assert page.run("document.activeElement.textContent") == "Full screen"
        page.screenshot(tmp_path / "phone.png")
        page.press("Enter")
        page.wait_for("document.fullscreenElement?.id === 'picture'")
        page.press("Escape")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Camera]:
    with Camera(tmp_path / "receiver", f"webrtc://@:{tcp_port()}/in", "null:") as receiver:
        yield receiver


def bgcam(camera: Camera, *arguments: str) -> str:
    """What the client says."""
    command = [str(Path(sys.executable).with_name("bgcam")), *arguments]
    return subprocess.run(
        command, env=camera._environment, stdout=subprocess.PIPE, text=True, timeout=30, check=True
    ).stdout


def snapshot(camera: Camera, file: Path) -> np.ndarray:
    """What viewers see, RGB (240, 320, 3)."""
    bgcam(camera, "snapshot", "--overwrite", str(file))
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_browsers_camera_is_the_camera(browser: Browser, receiver: Camera, tmp_path: Path) -> None:
    url = page_of(receiver, "send it")
    until(lambda: "no browser sends its camera" in bgcam(receiver, "status"), receiver)
    with browser.page(url) as page:
        page.wait_for(READY)
        page.press("Tab", "Tab")
        assert page.run("document.activeElement.id") == "start"
        page.press("Enter")
        page.wait_for(f"{STATUS} === 'Your camera is sent to bgcamd.'")
        until(lambda: is_fake(snapshot(receiver, tmp_path / "seen.png")), receiver)
        assert page.run("document.getElementById('camera').selectedOptions[0].text") == "fake_device_0"
        page.screenshot(tmp_path / "sender.png")
        page.press("Enter")
        page.wait_for(f"{STATUS} === 'Nothing is sent.'")
        until(lambda: "no browser sends its camera" in bgcam(receiver, "status"), receiver)
        page.press("Enter")
        until(lambda: is_fake(snapshot(receiver, tmp_path / "again.png")), receiver)
        receiver.kill()
        page.wait_for(f"{STATUS}.endsWith('Trying again…')")
        receiver.start()
        until(lambda: is_fake(snapshot(receiver, tmp_path / "restarted.png")), receiver)
        assert [error for error in page.errors if "ERR_CONNECTION_REFUSED" not in error] == []


def is_fake(picture: np.ndarray) -> bool:
    """Whether this is the camera that Chromium draws: on dark green a disk in bright green, with a mouth."""
    found = np.array([picture[200, 20], picture[20, 300], picture[165, 150], picture[120, 120]], int)
    return bool(np.abs(found - [DARK, DARK, BRIGHT, BRIGHT]).max() <= 16)


def test_a_second_browser_waits_until_the_first_has_left(browser: Browser, receiver: Camera) -> None:
    url = page_of(receiver, "send it")
    with browser.page(url) as waiting:
        with browser.page(url) as page:
            for tab in (page, waiting):
                tab.wait_for(READY)
                tab.call("Page.bringToFront")
                tab.click("#start")
                tab.wait_for(f"{STATUS} !== 'Nothing is sent.'")
                if tab is page:
                    tab.wait_for(f"{STATUS} === 'Your camera is sent to bgcamd.'")
            waiting.wait_for(f"{STATUS} === 'Another browser sends its camera already. Trying again…'")
        waiting.wait_for(f"{STATUS} === 'Your camera is sent to bgcamd.'")


def test_a_page_that_gets_no_camera_says_where_it_would(browser: Browser, receiver: Camera) -> None:
    url = page_of(receiver, "send it")
    with browser.page(url.replace("127.0.0.1", socket.gethostname())) as page:
        page.wait_for(f"{STATUS} !== 'Nothing is sent.'")
        assert page.run(STATUS).endswith("On bgcamd’s machine, open " + url.replace("127.0.0.1", "localhost"))
        assert page.run("document.getElementById('start').disabled")
