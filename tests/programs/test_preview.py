"""The preview page as a person uses it: our two programs, and a browser that is clicked, typed into and dropped on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from browser import Browser, Page

ROOM, SEA, SNOW = (200, 120, 40), (20, 60, 200), (230, 235, 240)
GREEN, WHITE = (0, 177, 64), (255, 255, 255)
PIXEL = """(() => {
  const seen = document.querySelector("#picture"), pixels = seen.getContext("2d");
  return [...pixels.getImageData(seen.width * %f, seen.height / 10, 1, 1).data].slice(0, 3);
})()"""
FOCUSED = """(({ id, ariaLabel, title, localName }) => id || ariaLabel || title || localName)(document.activeElement)"""
NUMBER = "Number(document.querySelector('#picture').dataset.number)"


class Programs:
    """bgcamd, on a picture of a room without anybody, and bgcam, both with folders of their own."""

    def __init__(self, folder: Path) -> None:
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._environment.pop("BGCAMD_SOCKET", None)
        for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            self._environment[name] = str(folder / name)
            (folder / name).mkdir(mode=0o700)
        self.room, backgrounds = folder / "room.png", folder / "XDG_CONFIG_HOME" / "bgcamd" / "backgrounds"
        backgrounds.mkdir(parents=True)
        Image.new("RGB", (640, 360), ROOM).save(self.room)
        Image.new("RGB", (64, 36), SEA).save(backgrounds / "sea.png")
        Image.new("RGB", (64, 36), SNOW).save(backgrounds / "snow.png")

    @contextmanager
    def daemon(self, *options: str, camera: str = "") -> Iterator[subprocess.Popen[str]]:
        given = [f"--camera={camera or self.room}", *(options or ["--output=null:"])]
        with self._started("bgcamd", *given) as program:
            assert program.stdout is not None
            for line in program.stdout:
                if "ask it" in line:
                    break
            yield program

    @contextmanager
    def preview(self) -> Iterator[str]:
        """The address of the page of ``bgcam preview``."""
        code = "from bgcamd.cli import main; main(prog_name='bgcam')"
        with self._started("-c", code, "preview", "--no-open") as program:
            assert program.stdout is not None
            yield program.stdout.readline().strip()

    def status(self) -> dict[str, Any]:
        code = "from bgcamd.cli import main; main(prog_name='bgcam')"
        done = subprocess.run(
            [sys.executable, "-c", code, "status", "--json"],
            env=self._environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextmanager
    def _started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        run = command if command[0] == "-c" else ("-m", *command)
        with subprocess.Popen(
            [sys.executable, *run], env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as program:
            try:
                yield program
                program.send_signal(signal.SIGINT)
                assert program.wait(20) in (0, -signal.SIGKILL)
            finally:
                program.kill()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(programs: Programs, browser: Browser) -> Iterator[Page]:
    """The page while everything is well; nothing may have gone wrong in it at the end."""
    with programs.daemon(), programs.preview() as url, browser.page(url) as page:
        page.wait_for(f"{NUMBER} > 3")
        yield page
        assert page.errors == []


def wait_for_colour(page: Page, colour: tuple[int, int, int], across: float = 0.9) -> None:
    """Until the picture, so far from its left side, is of a colour, as far as JPEG and limited range can tell."""
    page.wait_for(f"{PIXEL % across}.every((value, channel) => Math.abs(value - {list(colour)}[channel]) < 12)")


def wait_for_text(page: Page, selector: str, text: str) -> None:
    page.wait_for(f"document.querySelector('{selector}').textContent.includes({json.dumps(text)})")


def wait_until_pressed(page: Page, selector: str, *, pressed: bool = True) -> None:
    page.wait_for(f"document.querySelector({json.dumps(selector)})?.ariaPressed === '{str(pressed).lower()}'")


def test_pictures_come_and_go_on_coming(page: Page) -> None:
    before = page.run(NUMBER)
    page.wait_for(f"{NUMBER} > {before + 20}")
    assert page.run("document.querySelector('#cover').hidden")
    wait_for_text(page, "#state", "Live")
    wait_for_text(page, "#pace", "fps")
    wait_for_colour(page, ROOM)  # a blurred wall is a wall


def test_a_click_on_a_colour_changes_the_picture(page: Page) -> None:
    page.click("[aria-label=Green]")
    wait_for_colour(page, GREEN)
    wait_until_pressed(page, "[aria-label=Green]")
    page.click("#keep")
    wait_for_colour(page, ROOM)
    wait_until_pressed(page, "#keep")
    wait_until_pressed(page, "[aria-label=Green]", pressed=False)


def test_a_click_on_a_picture_of_the_users_folder_shows_it(page: Page, programs: Programs) -> None:
    page.wait_for("document.querySelector('[title=sea] img').complete")
    page.click("[title=sea]")
    wait_for_colour(page, SEA)
    wait_until_pressed(page, "[title=sea]")
    assert programs.status()["scene"]["name"] == "sea.png"


def test_before_and_after_lie_beside_each_other_and_the_line_is_moved_by_keys(page: Page) -> None:
    page.click("[aria-label=White]")
    wait_for_colour(page, WHITE)
    page.click("#compare")
    wait_for_colour(page, ROOM, across=0.3)
    wait_for_colour(page, WHITE, across=0.6)
    assert page.run("document.activeElement.id") == "divide"
    for _ in range(25):
        page.press("ArrowRight")
    wait_for_colour(page, ROOM, across=0.6)
    page.click("#compare")
    wait_for_colour(page, WHITE, across=0.3)


def test_a_picture_that_is_dropped_is_shown_and_kept(page: Page, programs: Programs, tmp_path: Path) -> None:
    Image.new("RGB", (64, 36), (120, 0, 160)).save(tmp_path / "plum.png")
    page.drop("#stage", [tmp_path / "plum.png"])
    wait_for_colour(page, (120, 0, 160))
    wait_until_pressed(page, "[title='plum.png']")
    page.click("[title=snow]")
    wait_for_colour(page, SNOW)
    page.click("[title='plum.png']")
    wait_for_colour(page, (120, 0, 160))
    page.click("[title=snow]")
    wait_until_pressed(page, "[title=snow]")
    page.click("[aria-label='Forget plum.png']")
    page.wait_for("!document.querySelector('[title=\"plum.png\"]')")


def test_a_chosen_file_that_is_no_picture_is_told_and_nothing_changes(
    programs: Programs, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "letter.png").write_text("Dear Sir or Madam")
    with programs.daemon(), programs.preview() as url, browser.page(url) as page:
        page.wait_for(f"{NUMBER} > 3")
        page.choose_files("#file", [tmp_path / "letter.png"])
        wait_for_text(page, "#alert", "letter.png")
        assert programs.status()["scene"]["background"] == "blur"
        page.click("#alert button")
        page.wait_for("document.querySelector('#alert').hidden")


def test_the_blur_is_set_by_keys(page: Page, programs: Programs) -> None:
    page.run("document.querySelector('#blur').focus()")
    for _ in range(30):
        page.press("ArrowRight")
    wait_for_text(page, "output[for=blur]", "80")
    page.wait_for("new Promise(done => setTimeout(() => done(true), 500))")
    assert programs.status()["scene"]["blur"] == 80


def test_everything_is_reached_by_tab_and_pressed_by_keys(page: Page) -> None:
    page.run("document.querySelector('#pause').focus()")
    seen = []
    while (name := page.run(FOCUSED)) != "summary":
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid" or name == "colour"
        seen.append(name)
        page.press("Tab")
    colours = ["Green", "Teal", "Navy", "Plum", "Sand", "Grey", "White", "Black", "colour"]
    assert seen == [
        "pause", "mirror", "compare", "keep", "blurred", "remove", "blur", *colours, "fit", "sea", "snow", "add",
    ]  # fmt: skip
    page.run("document.querySelector('[aria-label=White]').focus()")
    page.press("Enter")
    wait_for_colour(page, WHITE)
    page.run("document.querySelector('#mirror').focus()")
    page.press(" ")
    wait_until_pressed(page, "#mirror")


def test_pause_shows_the_card_and_no_room_before_it(page: Page, programs: Programs) -> None:
    page.click("#compare")
    wait_for_colour(page, ROOM, across=0.3)
    page.click("#pause")
    wait_for_text(page, "#pause", "Resume")
    wait_for_text(page, "#state", "Paused")
    assert programs.status()["state"] == "paused"
    page.wait_for(f"{PIXEL % 0.3}.every((value) => value < 80)")
    page.click("#pause")
    wait_for_colour(page, ROOM, across=0.3)


def test_a_page_that_nobody_sees_looks_at_nothing(page: Page) -> None:
    hide = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true })"
    event = "document.dispatchEvent(new Event('visibilitychange'))"
    page.run(f"{hide % 'true'} && {event}")
    page.wait_for("new Promise((done) => setTimeout(() => done(true), 300))")  # what was on its way
    number = page.run(NUMBER)
    page.wait_for("new Promise((done) => setTimeout(() => done(true), 700))")
    assert page.run(NUMBER) == number
    page.run(f"{hide % 'false'} && {event}")
    page.wait_for(f"{NUMBER} > {number}")


def test_the_page_says_when_the_daemon_has_gone_and_goes_on_when_it_is_back(
    programs: Programs, browser: Browser
) -> None:
    with programs.daemon() as daemon, programs.preview() as url, browser.page(url) as page:
        page.wait_for(f"{NUMBER} > 3")
        daemon.kill()
        daemon.wait()
        wait_for_text(page, "#state", "does not answer")
        wait_for_text(page, "#cover", "no bgcamd is running")
        assert [text for text in page.errors if "Failed to load" not in text] == []
        with programs.daemon():
            wait_for_text(page, "#state", "Live")
            page.wait_for("document.querySelector('#cover').hidden")
            page.click("[aria-label=Green]")
            wait_for_colour(page, GREEN)


def test_the_page_says_when_its_own_program_has_ended(programs: Programs, browser: Browser) -> None:
    with programs.daemon():
        with programs.preview() as url:
            tab = browser.page(url)
            page = tab.__enter__()
            page.wait_for(f"{NUMBER} > 3")
        wait_for_text(page, "#state", "Disconnected")
        wait_for_text(page, "#cover", "bgcam preview")
        tab.__exit__(None, None, None)


def test_the_daemon_serves_the_same_page_as_an_output(programs: Programs, browser: Browser) -> None:
    with programs.daemon("--output=preview:"):
        url = str(programs.status()["output"]).removeprefix("preview at ")
        with browser.page(url) as page:
            page.wait_for(f"{NUMBER} > 3")
            page.click("[aria-label=White]")
            wait_for_colour(page, WHITE)
            assert page.errors == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 860), (768, 1024), (360, 740)], ids=["desktop", "tablet", "phone"])
def test_it_fits_every_screen(page: Page, size: tuple[int, int], dark: bool, tmp_path: Path) -> None:
    page.look(size, dark=dark)
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.wait_for("document.querySelectorAll('#pictures img').length === 2")
    assert page.run("document.documentElement.scrollWidth") <= size[0]
    small = page.run(
        "[...document.querySelectorAll('button, input, select, summary')].filter((e) => e.offsetWidth"
        " && !e.matches('.any input') && Math.min(e.offsetWidth, e.offsetHeight) < 24).map((e) => e.id || e.className)"
    )
    assert small == []
    page.screenshot(tmp_path / "page.png", whole=True)
    with Image.open(tmp_path / "page.png") as shot:
        corner = shot.convert("L").getpixel((2, 2))
    assert isinstance(corner, int)
    assert (corner < 100) is dark


def test_with_somebody_in_the_picture_only_the_room_is_replaced(programs: Programs, browser: Browser) -> None:
    with programs.daemon(camera="demo:"), programs.preview() as url, browser.page(url) as page:
        page.wait_for(f"{NUMBER} > 3")
        page.click("[aria-label=Green]")
        wait_for_colour(page, GREEN, across=0.02)
        shares = """(() => {
          const seen = document.querySelector("#picture"), { width, height } = seen;
          const samples = seen.getContext("2d").getImageData(0, 0, width, height).data;
          let green = 0;
          for (let at = 0; at < samples.length; at += 4) {
            green += samples[at] < 30 && Math.abs(samples[at + 1] - 177) < 20 && Math.abs(samples[at + 2] - 64) < 20;
          }
          return green / width / height;
        })()"""
        assert 0.2 < page.run(shares) < 0.8
