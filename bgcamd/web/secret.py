"""The secret in the address of a page or a stream: who has it may look."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from bgcamd.atomic import reason
from bgcamd.errors import OutputError

_SECRET = re.compile(r"[A-Za-z0-9_-]{22,64}")


def new_secret() -> str:
    """A secret of 128 bits, in letters that need no quoting in a URL."""
    return secrets.token_urlsafe(16)


def kept_secret(folder: Path) -> str:
    """The secret that is kept in ``folder``, so that an address outlives a restart; made when there is none.

    Only we can read the file; whoever wants another address removes it. Raises OutputError.
    """
    file = folder / "secret"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _read(file) or _make(file) or kept_secret(folder)
    except OSError as error:
        raise OutputError(f"can't keep the secret of the addresses in {file}: {reason(error)}") from error


def _read(file: Path) -> str:
    """The secret in a file; "" where there is none, and a damaged one removed."""
    with suppress(FileNotFoundError):
        if _SECRET.fullmatch(found := file.read_text("ascii", "replace").strip()):
            return found
        file.unlink()
    return ""


def _make(file: Path) -> str:
    """A new one; "" where another process of ours was faster."""
    made = new_secret()
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".secret.") as part:  # which only we can read
        part.write(made + "\n")
        part.flush()
        try:
            os.link(part.name, file)
        except FileExistsError:
            return ""
    return made
