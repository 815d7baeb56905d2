"""The pages of both directions: a document, and the style and scripts that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from string import Template

from bgcamd.video.webrtc.loop import LoopThread
from bgcamd.video.webrtc.offer import LONGEST_OFFER, offer_of
from bgcamd.video.webrtc.peers import FullError, Peers
from bgcamd.web.answers import Answer, Request, Route, as_json

_FOLDER = Path(__file__).with_name("page")
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ANSWER_S = 8.0


def page_routes(name: str, document: str, scripts: tuple[str, ...], **words: object) -> dict[str, Route]:
    """What is answered to GET: the document at ``name``, its parts below ``page/``, where no name can be.

    words: what stands for ``$word`` in the document.
    """
    page = Template((_FOLDER / document).read_text(encoding="utf-8")).substitute(words, name=name)
    parts = {f"page/{part}": (_FOLDER / part).read_bytes() for part in ("icon.svg", "style.css", "link.js", *scripts)}
    files = {name: (document, page.encode()), **{path: (path, body) for path, body in parts.items()}}
    return {path: Route(_whole(_KINDS[Path(file).suffix], body)) for path, (file, body) in files.items()}


def offer_routes(name: str, loop: LoopThread, peers: Peers) -> Mapping[str, Route]:
    """What is answered to POST: a browser's offer. The one too many is told so, and may ask again."""

    def answer(request: Request) -> Answer:
        work = peers.answer(offer_of(request), host=request.host, client=request.client)
        try:
            return as_json(loop.run(work, _ANSWER_S))
        except FullError as error:
            return as_json({"error": error.message, "hint": error.hint}, HTTPStatus.SERVICE_UNAVAILABLE)

    return {f"{name}/offer": Route(answer, LONGEST_OFFER)}


def _whole(kind: str, body: bytes) -> Callable[[Request], Answer]:
    return lambda _: Answer(kind, body)
