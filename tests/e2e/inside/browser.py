"""Open page.html in a headless Chromium, and print what it answers, as JSON.

browser.py LABEL COUNT FILE    shows the camera of this label for so many frames; its last picture goes into FILE
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
ALLOW = "--use-fake-ui-for-media-stream"  # answers the question whether the page may use the camera


def main(label: str, count: str, file: str) -> None:
    """Serve the page on this machine, open it, wait for the answer."""
    answers: list[dict[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), partial(Page, answers))
    address = f"http://127.0.0.1:{server.server_port}/?{urlencode({'label': label, 'count': count})}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # the browser may still write there
        command = [*CHROMIUM, ALLOW, f"--user-data-dir={profile}", address]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not answers:
            server.handle_request()
        browser.terminate()
        browser.wait()
    answer = answers[0]
    if "picture" in answer:
        Path(file).write_bytes(base64.b64decode(answer.pop("picture").partition(",")[2]))
    json.dump(answer, sys.stdout)


class Page(BaseHTTPRequestHandler):
    """GET gives the page; it POSTs its answer."""

    def __init__(self, answers: list[dict[str, Any]], *args: Any) -> None:
        self._answers = answers
        super().__init__(*args)

    def do_GET(self) -> None:
        self._answer(Path(__file__).with_name("page.html").read_bytes())

    def do_POST(self) -> None:
        self._answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(b"")

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    main(*sys.argv[1:])
