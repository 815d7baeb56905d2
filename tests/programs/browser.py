"""A headless Chromium for the tests, by its DevTools protocol over a pipe: https://chromedevtools.github.io.

with Browser() as browser, browser.page(url) as page:
    page.wait_for("document.title")
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A camera that Chromium draws itself, and nobody is asked whether a page may use it."""
_ON_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
_ANSWER_S = 30.0
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
"""Keys by name, with Windows' numbers for them."""


class PageError(Exception):
    """What a page's script raised, or what was waited for in vain."""


class Browser:
    """A Chromium with a new profile; one thread may use it. flags: more options of its command line."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._buffer = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_read, self._to_write = _pipe()
        self._to_read, to_write = _pipe()
        command = [sys.executable, "-c", _ON_3_AND_4, str(to_read), str(to_write), *CHROMIUM, *self._flags]
        self._program = subprocess.Popen(
            [*command, f"--user-data-dir={self._profile.name}"],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to_write)  # it ends with its pipe
        try:
            self._program.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait()
        os.close(self._to_read)
        self._profile.cleanup()

    @contextmanager
    def page(self, url: str, size: tuple[int, int] = (1280, 900), *, dark: bool = False) -> Iterator[Page]:
        """A tab of this size that shows ``url``; closed afterwards."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        try:
            for domain in ("Page", "Runtime", "Log", "DOM"):
                page.call(f"{domain}.enable")
            page.look(size, dark=dark)
            page.go(url)
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result. Raises PageError."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        raw = json.dumps(message).encode() + b"\0"
        while raw:
            raw = raw[os.write(self._to_write, raw) :]
        deadline = time.monotonic() + _ANSWER_S
        while (answer := self._receive(deadline)).get("id") != self._last:
            self.events.append(answer)
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._to_read], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise PageError("Chromium does not answer")
            chunk = os.read(self._to_read, 1 << 20)
            if not chunk:
                raise PageError("Chromium has ended")
            self._buffer += chunk
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        return message


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol for this tab."""
        return self._browser.call(method, self._session, **parameters)

    def go(self, url: str) -> None:
        """Load ``url``; ``wait_for`` what it shows."""
        error = self.call("Page.navigate", url=url).get("errorText")
        if error:
            raise PageError(f"{url}: {error}")

    def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is. Raises PageError."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise PageError(f"{script}: {found['exceptionDetails']['exception'].get('description')}")
        return found["result"].get("value")

    def wait_for(self, script: str, seconds: float = 20.0) -> Any:
        """The value of an expression, as soon as it is true. Raises PageError."""
        deadline = time.monotonic() + seconds
        while not (found := self._tried(script)):
            if time.monotonic() > deadline:
                raise PageError(f"not true within {seconds:g} s: {script}; {self.errors}")
            time.sleep(0.05)
        return found

    def _tried(self, script: str) -> Any:
        try:
            return self.run(script)
        except PageError:  # it is loading
            return None

    def look(self, size: tuple[int, int], *, dark: bool = False, scale: float = 1.0) -> None:
        """Make the tab so large, in CSS pixels, in light colours or dark ones; narrow ones are a phone's."""
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                  mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Save what the tab shows as a PNG; whole: also what is to be scrolled to."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first element that ``selector`` finds."""
        x, y = self._middle(selector)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drop(self, selector: str, files: Sequence[Path]) -> None:
        """Drag files from outside onto an element, and let go."""
        x, y = self._middle(selector)
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def choose_files(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in an <input type="file">."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, *keys: str) -> None:
        """Press keys one after another: names of ``KEYS``."""
        for key in keys:
            known = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
            text = {"text": {"Enter": "\r", " ": " "}[key]} if key in ("Enter", " ") else {}
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **known, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    @property
    def errors(self) -> list[str]:
        """What the page's scripts raised, and what the browser complained of (a policy violated, a 404), so far."""
        found = []
        for event in self._browser.events:
            details = event.get("params", {})
            if event.get("sessionId") == self._session and event["method"] == "Runtime.exceptionThrown":
                exception = details["exceptionDetails"]
                found.append(str(exception.get("exception", exception).get("description", exception)))
            if event.get("sessionId") == self._session and event["method"] == "Log.entryAdded":
                found += [details["entry"]["text"]] if details["entry"]["level"] == "error" else []
        return found

    def _middle(self, selector: str) -> tuple[float, float]:
        quoted = json.dumps(selector)
        script = (
            f"(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        x, y = self.run(script)
        return x, y


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of 0 to 9, so that dup2 onto 3 and 4 takes nothing away."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]
