"""The page's routes: what a browser may ask, and how much of it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from bgcamd.errors import UsageError
from bgcamd.preview.calls import Calls
from bgcamd.web.answers import Answer, Request, Route, Stream, as_json

MAX_UPLOAD = 64 << 20
"""Bytes of a picture that is dropped on the page; `bgcam set --replace` takes larger ones."""

_UPLOADS, _UPLOADS_S = 20, 60.0  # so many pictures in so many seconds
_CHANGE_BYTES = 4096
_FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "link.js": ("link.js", "text/javascript; charset=utf-8"),
    "picture.js": ("picture.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page:
    """The routes of ``web.server.WebServer`` for the daemon that listens on ``socket``.

    Attributes
    ----------
    gets, posts: the routes.
    """

    def __init__(self, socket: Path) -> None:
        self._calls = Calls(socket)
        self._uploading, self._uploads = threading.Lock(), list[float]()
        self.gets = {path: _file(name, kind) for path, (name, kind) in _FILES.items()} | {
            "pictures": Route(self._pictures),
            "status": Route(lambda _: as_json(self._calls.ask("GetStatus"))),
            "backgrounds": Route(lambda _: as_json(self._calls.ask("Backgrounds"))),
            "thumbnail": Route(lambda request: Answer("image/jpeg", self._calls.thumbnail(_choice(request)))),
        }
        self.posts = {
            "set": Route(lambda request: as_json(self._calls.set(request.json())), _CHANGE_BYTES),
            "replace": Route(self._replace, MAX_UPLOAD),
            "forget": Route(lambda request: as_json(self._calls.ask("Forget", {"choice": _choice(request)}))),
            "pause": Route(lambda _: as_json(self._calls.ask("Pause"))),
            "resume": Route(lambda _: as_json(self._calls.ask("Resume"))),
        }

    def _pictures(self, request: Request) -> Stream:
        moments = self._calls.moments(before=request.query.get("before") == "1")
        next(moments)  # raises what is wrong, while that can still be the answer
        return Stream("application/octet-stream", moments)

    def _replace(self, request: Request) -> Answer:
        if not self._uploading.acquire(blocking=False):
            raise UsageError("another picture is being made ready", "try again in a moment")
        try:
            self._count()
            return as_json(self._calls.show(request.body, request.query.get("name", "")))
        finally:
            self._uploading.release()

    def _count(self) -> None:
        """Raise UsageError after too many pictures in a short time."""
        now = time.monotonic()
        self._uploads = [then for then in self._uploads if now - then < _UPLOADS_S]
        if len(self._uploads) >= _UPLOADS:
            raise UsageError(f"more than {_UPLOADS} pictures in a minute", "wait a little")
        self._uploads.append(now)


def _file(name: str, kind: str) -> Route:
    answer = Answer(kind, Path(__file__).with_name(name).read_bytes())
    return Route(lambda _: answer)


def _choice(request: Request) -> str:
    return request.query.get("choice", "")
