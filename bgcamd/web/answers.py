"""What a page's routes are asked and what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from bgcamd.errors import UsageError


@dataclass(frozen=True)
class Request:
    """One request that holds the secret.

    query: the last value of each name. body: all of it, at most as long as the route takes. client: who asks, for logs.
    host: the address of this machine that was asked.
    """

    query: Mapping[str, str]
    body: bytes = b""
    client: str = ""
    host: str = ""

    def json(self) -> dict[str, object]:
        """The body as a JSON object. Raises UsageError."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise UsageError("the request holds no JSON object")
        return found


@dataclass(frozen=True)
class Answer:
    """A whole document."""

    kind: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


@dataclass(frozen=True)
class Stream:
    """A document that goes on: each chunk is sent as it comes; ``chunks`` is closed when the client leaves.

    Between chunks we look whether the client is still there: while there is nothing to send, give b"" now and then.
    """

    kind: str
    chunks: Generator[bytes, None, None]


@dataclass(frozen=True)
class Route:
    """What answers one path. longest_body: bytes; 0 where the request has none.

    ``answer`` is called by the connection's own thread and may raise a BgcamError, which is told to the client.
    """

    answer: Callable[[Request], Answer | Stream]
    longest_body: int = 0


def as_json(found: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """``found`` as a JSON document."""
    return Answer("application/json", json.dumps(found).encode(), status)
