"""The folder of fetched weights: bringing them, and telling whether what lies there is right.

A file is verified in full when it is fetched, and when it is asked for again. Opening a model only looks at
its length, or its seal: a truncated file is found at once, a flipped bit by ``bgcam models fetch NAME``.

A converted file has no sum that could be pinned, since it differs with the version of onnx. So its own is
appended to it, as one more metadata entry: protocol buffers may be joined end to end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from bgcamd import assets
from bgcamd.errors import ModelError
from bgcamd.matting.manifest import Manifest

# In ModelProto, metadata_props is field 14: {key = 1, value = 2}; all lengths are below 128, one byte each.
_KEY = b"\x0a\x06sha256"
_SEAL = bytes([14 << 3 | 2, len(_KEY) + 2 + 64]) + _KEY + b"\x12\x40"


def fetch_model(
    manifest: Manifest,
    *,
    find_links: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Make sure that the weights are there and right, and tell whether they had to be fetched.

    Parameters are those of ``assets.fetch``; errors, too.
    """
    if manifest.asset is None or is_intact(manifest):
        check_model(manifest)
        return False
    convert = _converted if manifest.convert else None
    assets.fetch(manifest.asset, manifest.path(), convert=convert, find_links=find_links, progress=progress)
    return True


def check_model(manifest: Manifest) -> Path:
    """Return the path of the model's file, after a cheap look at it.

    Raises
    ------
    ModelError: it was not fetched, or it is damaged.
    """
    path, again = manifest.path(), f"{_who()}bgcam models fetch {manifest.name}"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - len(_SEAL) - 64, 0))
            tail = file.read()
    except FileNotFoundError:
        if manifest.asset is None:
            raise ModelError(f"model {manifest.name}: there is no {path}", "its manifest names this file") from None
        raise ModelError(f"model {manifest.name} is not fetched", again) from None
    except OSError as error:
        raise ModelError(f"model {manifest.name}: can't read {path}: {error.strerror}") from error
    if manifest.asset is None:
        return path
    whole = tail.startswith(_SEAL) if manifest.convert else size == manifest.asset.size
    if not whole:
        raise ModelError(f"model {manifest.name}: {path} is damaged", again)
    return path


def _who() -> str:
    """The service's models are root's to fetch."""
    return "sudo " if os.environ.get("STATE_DIRECTORY") and os.geteuid() != 0 else ""


def is_intact(manifest: Manifest) -> bool:
    """Tell whether a fetched file is there and every bit of it is right; costs about 1 ms a megabyte."""
    try:
        path = check_model(manifest)
    except ModelError:
        return False
    if manifest.asset is None:
        return True
    return is_sealed(path.read_bytes()) if manifest.convert else assets.matches(path, manifest.asset.sha256)


def sealed(model: bytes) -> bytes:
    """Return an ONNX file with its sum appended, still an ONNX file."""
    return model + _SEAL + hashlib.sha256(model).hexdigest().encode()


def is_sealed(model: bytes) -> bool:
    """Tell whether the file is what ``sealed`` returned, unchanged."""
    return len(model) > len(_SEAL) + 64 and model == sealed(model[: -len(_SEAL) - 64])


def _converted(file: Path) -> bytes:
    from bgcamd.matting.tflite import to_onnx  # noqa: PLC0415 - onnx takes 0.2 s, and only this needs it

    return sealed(to_onnx(file.read_bytes()))
