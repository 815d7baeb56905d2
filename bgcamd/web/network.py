"""Why a stream can't be had: the service's sandbox has no network until its administrator says otherwise."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

_ALLOWED = "/etc/systemd/system/bgcamd.service.d/network.conf"


def network_hint(number: int | None, usual: str) -> str:
    """What to do about an error of a socket: ``usual``, unless there is no network for this process at all.

    number: the error's errno.
    """
    allowing = Path(sys.prefix) / "share" / "network.conf"
    if number != errno.EAFNOSUPPORT or not allowing.is_file():
        return usual
    install = f"sudo install -D -m 644 {allowing} {_ALLOWED}"
    return f"the service has no network: {install} && sudo systemctl daemon-reload && sudo systemctl restart bgcamd"
