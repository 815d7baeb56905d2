"""What this machine and those who ask are called."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def is_ours(host: str, port: int) -> bool:
    """Whether a request's Host is a name of this machine or a bare address, with this port."""
    try:
        parts = urlsplit(f"//{host.lower()}")
        name, named = parts.hostname or "", parts.port or 80
    except ValueError:
        return False
    if named != port or parts.netloc != host.lower() or "@" in host:
        return False
    own = socket.gethostname().lower()
    return name in {"localhost", own, f"{own}.local"} or _is_address(name)


def plain(host: str) -> str:
    """An IPv4 address also where it came to a socket of IPv6."""
    address = ipaddress.ip_address(host)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
