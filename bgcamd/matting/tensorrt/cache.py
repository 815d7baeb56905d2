"""Plans on disk: found by all that they depend on, noticed when damaged, built by one process at a time.

A plan is a file named for its model, size, precision, runtime and GPU, and for a digest of its whole ``PlanKey``; its
last 32 bytes are the SHA-256 of what is before. The folder can be deleted at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from bgcamd.atomic import replacing
from bgcamd.errors import OutputError
from bgcamd.frame import Size
from bgcamd.paths import kernels_folder

_SCHEMA = 1  # of what is made of a network before it is built: plans of another are not found
_AGAIN_S = 0.1  # how often a process looks whether another has built


@dataclass(frozen=True)
class PlanKey:
    """All that a plan depends on.

    model, model_sha256: its name, and its ONNX file.
    network: what its manifest makes of that file: names of inputs and outputs, and constants.
    size, half: of the network's input.
    runtime, version: of TensorRT.
    gpu, capability, driver: the card's name, its compute capability, and its driver's CUDA version.
    """

    model: str
    model_sha256: str
    network: str
    size: Size
    half: bool
    runtime: str
    version: str
    gpu: str
    capability: tuple[int, int]
    driver: int

    @property
    def place(self) -> str:
        """What plans that replace each other share."""
        parts = (self.model, str(self.size), "fp16" if self.half else "fp32", self.runtime, self.gpu)
        return re.sub(r"[^a-z0-9._]+", "-", "-".join(parts).lower())

    @property
    def name(self) -> str:
        """The file's, without its suffix."""
        return f"{self.place}-{hashlib.sha256(repr((_SCHEMA, astuple(self))).encode()).hexdigest()[:16]}"


class PlanCache:
    """The folder of plans. That it can't be written is no error: then everything is built again each time.

    Parameters
    ----------
    folder: where; the user's or the service's own if none is named.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or kernels_folder()

    def find(self, key: PlanKey) -> bytes | None:
        """The plan, if it is there and whole."""
        return self.read(f"{key.name}.plan")

    def make(self, key: PlanKey, build: Callable[[], bytes], waiting: Callable[[], None]) -> bytes:
        """Build a plan and keep it, instead of those it replaces; or wait for a process that does, and take its own.

        waiting: is called again and again while another builds; what it raises ends the wait.
        """
        with self._alone(key, waiting):
            if (plan := self.find(key)) is not None:
                return plan
            plan = build()
            if self.write(f"{key.name}.plan", plan):
                self._remove_others(key)
        return plan

    def drop(self, key: PlanKey) -> None:
        """Forget a plan that does not fit after all, and what was compiled of it."""
        for suffix in ("plan", "jit"):
            with suppress(OSError):
                (self._folder / f"{key.name}.{suffix}").unlink()

    def read(self, name: str) -> bytes | None:
        """What was written, if it is there and whole."""
        try:
            kept = (self._folder / name).read_bytes()
        except OSError:
            return None
        content, digest = kept[:-32], kept[-32:]
        return content if hashlib.sha256(content).digest() == digest else None

    def write(self, name: str, content: bytes) -> bool:
        """Keep something with its digest, whole or not at all, and tell whether that was possible."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._folder / name, overwrite=True) as part, part.open("wb") as file:
                file.write(content)
                file.write(hashlib.sha256(content).digest())
        except (OSError, OutputError):
            return False
        return True

    def _remove_others(self, key: PlanKey) -> None:
        replaced = re.compile(re.escape(key.place) + r"-[0-9a-f]{16}\.(plan|jit)")
        for path in self._folder.iterdir():
            if replaced.fullmatch(path.name) and path.stem != key.name:
                with suppress(OSError):
                    path.unlink()

    @contextmanager
    def _alone(self, key: PlanKey, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold a lock that the kernel takes back if we die; without one where none can be had."""
        lock = self._lock_file(key)
        try:
            while lock is not None and not _locked(lock):
                waiting()
                time.sleep(_AGAIN_S)
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def _lock_file(self, key: PlanKey) -> int | None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._folder / f"{key.place}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return None


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: two may then build at once, which is only slower
        return True
    return True
