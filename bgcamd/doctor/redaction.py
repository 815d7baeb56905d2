"""Taking out of text what is nobody's business: names of people, machines and pictures, homes, addresses, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://([^\s\"<>\\]*)")
_LOCAL_SCHEMES = {"v4l2", "csi", "display"}  # of which nothing leaves the machine
_HERE = re.compile(r"(127(\.\d+){3}|localhost|\[::1?\]|0\.0\.0\.0|)(:\d+)?")
_HOME = re.compile(r"/(?:home|Users|var/home)/[^/\s\"':,;)\]}]+")
_MEDIA = r"\.(?:jpe?g|png|gif|webp|bmp|tiff?|heic|avif|mp4|m4v|mkv|webm|mov|avi)\b"
_FILE = re.compile(
    rf"""(?ix) (["'])[^"'\n]*?({_MEDIA})\1            # in quotes
    | (?<![\w.])(?:~|\.{{1,2}})?/[^"'\n:]*?({_MEDIA})     # a path, which may have blanks in it
    | [^\s"'/()=:]*?({_MEDIA})"""
)
_SERIAL = re.compile(r"(/dev/v4l/by-id/)[^\s\"',;)]+")
_KEPT = {"root", "bgcamd", "video", "render", "user", "localhost", "linux", "debian", "ubuntu", "fedora", "camera"}
"""Names that say nothing of anybody, and are words of what is told besides."""


@dataclass(frozen=True)
class Redaction:
    """What to take out. users, hosts: names; homes: folders, which become ~; secrets: texts that must not get out."""

    users: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    homes: frozenset[str] = frozenset()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def __call__(self, text: str) -> str:
        """The text without them. What it was applied to once, it leaves as it is."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "SECRET")
        text = _URL.sub(_without_place, text)
        for home in sorted(self.homes, key=len, reverse=True):
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
        text = _SERIAL.sub(r"\1…", _FILE.sub(_without_name, _HOME.sub("~", text)))
        text = _names(text, self.users, "USER")
        return _names(text, self.hosts, "HOST")

    def within(self, value: object) -> object:
        """The same for every text in what JSON can say; keys stay."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {key: self.within(each) for key, each in value.items()}
        return [self.within(each) for each in value] if isinstance(value, list | tuple) else value


def _without_place(match: re.Match[str]) -> str:
    """A URL without user, password, host, path and query; a host of this machine, and any port, stay."""
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return "file:///…"
    if scheme in _LOCAL_SCHEMES:
        return match[0]
    place, slash, path = rest.partition("?")[0].partition("/")
    user, at, host = place.rpartition("@")
    port = re.search(r":\d+$", host)
    shown = f"{at}{host}" if not user and _HERE.fullmatch(host) else f"HOST{port[0] if port else ''}"
    codec = re.search(r"\?codec=[a-z0-9]+$", rest)
    return f"{match[1]}://{shown}{'/…' if path else slash}{codec[0] if codec else ''}"


def _without_name(match: re.Match[str]) -> str:
    """A picture's or a clip's name without all but its ending."""
    quote = match[1] or ""
    return f"{quote}…{match[2] or match[3] or match[4]}{quote}"


def _names(text: str, names: Iterable[str], instead: str) -> str:
    for name in sorted(names, key=len, reverse=True):
        if len(name) >= 2 and name.lower() not in _KEPT:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", instead, text)
    return text
