"""Where things lie on disk: what ships with the package, and the folders of the user or of the service.

Every folder follows the XDG base directory specification; systemd's ``StateDirectory=``, ``CacheDirectory=``
and ``RuntimeDirectory=`` (given to the service as environment variables) win over it. Nothing is created here.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """A folder that ships with bgcamd ("models", "config"), in an installed package or in a checkout."""
    installed = _PACKAGE / "_data" / folder
    return installed if installed.is_dir() else _PACKAGE.parent / folder


def models_folder() -> Path:
    """Fetched weights: $BGCAMD_MODELS, the service's state folder, or ~/.cache/bgcamd/models."""
    if chosen := os.environ.get("BGCAMD_MODELS"):
        return Path(chosen)
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0]) / "models"
    return _xdg("XDG_CACHE_HOME", ".cache") / "bgcamd" / "models"


def state_folder() -> Path:
    """What outlives a restart (the scene): the service's state folder, or ~/.local/state/bgcamd."""
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0])
    return _xdg("XDG_STATE_HOME", ".local/state") / "bgcamd"


def service_socket() -> Path:
    """Where the system service listens."""
    return Path("/run/bgcamd/bgcamd.sock")


def user_socket() -> Path:
    """Where a daemon started by this user listens: $RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR, else /tmp/bgcamd-UID."""
    if runtime := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(runtime.split(":")[0]) / "bgcamd.sock"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "bgcamd.sock"
    return Path(f"/tmp/bgcamd-{os.getuid()}/bgcamd.sock")  # noqa: S108 - owner and mode are checked by who binds it


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback
