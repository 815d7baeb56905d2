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


SERVICE_STATE = Path("/var/lib/bgcamd")
"""The system service's state folder, where that is installed."""


def models_folder() -> Path:
    """Fetched weights: $BGCAMD_MODELS, the service's state folder (for root, too), or ~/.cache/bgcamd/models."""
    if chosen := os.environ.get("BGCAMD_MODELS"):
        return Path(chosen)
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0]) / "models"
    if os.geteuid() == 0 and SERVICE_STATE.is_dir():  # `sudo bgcam models fetch` is for the service
        return SERVICE_STATE / "models"
    return _xdg("XDG_CACHE_HOME", ".cache") / "bgcamd" / "models"


def kernels_folder() -> Path:
    """What was compiled for this machine's GPU, kernels and TensorRT plans: it can be made again at any time."""
    return models_folder().parent / "gpu"


def state_folder() -> Path:
    """What outlives a restart (the scene): the service's state folder, or ~/.local/state/bgcamd."""
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0])
    return _xdg("XDG_STATE_HOME", ".local/state") / "bgcamd"


DEFAULT_INSTANCE = "bgcamd"
"""The daemon that is meant when none is named. Another has its own settings file, socket and state, all of its name."""


def service_socket(instance: str = DEFAULT_INSTANCE) -> Path:
    """Where the system service listens."""
    return Path("/run/bgcamd") / f"{instance}.sock"


def user_socket(instance: str = DEFAULT_INSTANCE) -> Path:
    """Where a daemon of this user listens: in $RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR, else /tmp/bgcamd-UID."""
    if runtime := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(runtime.split(":")[0]) / f"{instance}.sock"
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / f"{instance}.sock"
    folder = Path(f"/tmp/bgcamd-{os.getuid()}")  # noqa: S108 - owner and mode are checked by who binds it
    return folder / f"{instance}.sock"


def named_socket() -> Path | None:
    """The socket that $BGCAMD_SOCKET names, for daemon and clients alike."""
    chosen = os.environ.get("BGCAMD_SOCKET")
    return Path(chosen) if chosen else None


def config_files(instance: str = DEFAULT_INSTANCE) -> list[Path]:
    """Where an instance's settings file may be, the first that counts first: the user's, the system's."""
    return [folder / "bgcamd" / f"{instance}.toml" for folder in (_xdg("XDG_CONFIG_HOME", ".config"), Path("/etc"))]


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback
