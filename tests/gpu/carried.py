"""What a GPU machine without a network lacks: carried there in gpu-wheels/, which ``pack`` fills, and unpacked here.

gpu-wheels/1, gpu-wheels/2, … each travel alone: wheels, large ones in pieces; models/; a clip. Standard library only.
"""

from __future__ import annotations

import importlib.metadata
import lzma
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
WHEELS = Path(os.environ.get("BGCAMD_GPU_WHEELS", CHECKOUT / "gpu-wheels"))
PIECE = re.compile(r"(?P<wheel>.+)\.xz\.(?P<number>\d\d)-of-(?P<count>\d\d)")


def store() -> Path:
    """Where what came with earlier calls is kept, as long as the machine is."""
    return Path(tempfile.gettempdir()) / f"bgcamd-gpu-{os.getuid()}"


def keep(carried: Path, kept: Path) -> None:
    """Copy what lies in the folders of ``carried`` into one folder."""
    for load in sorted(carried.glob("*/")):
        shutil.copytree(load, kept, dirs_exist_ok=True)


def unpack(kept: Path) -> list[str]:
    """Unpack what is not installed here into ``kept``/site; return what is still incomplete."""
    site = kept / "site"
    site.mkdir(parents=True, exist_ok=True)
    for wheel in sorted(kept.glob("*.whl")):
        if not _installed(wheel.name):
            zipfile.ZipFile(wheel).extractall(site)
        wheel.unlink()
    missing = []
    for name, pieces, count in _pieces(kept):
        if len(pieces) < count:
            missing.append(f"{name}: {len(pieces)} of {count} pieces")
        elif not _installed(name):
            _unpack_pieces(pieces, site)
    return missing


def environment(kept: Path) -> dict[str, str]:
    """What programs need to be told to find all of it."""
    places = [str(CHECKOUT), str(kept / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    told = {"PYTHONPATH": os.pathsep.join(places)}
    if (kept / "models").is_dir() and "BGCAMD_MODELS" not in os.environ:
        told["BGCAMD_MODELS"] = str(kept / "models")
    return told


def clip(kept: Path) -> Path | None:
    """A clip of somebody before a camera: the one that was carried, or one of those beside the checkout."""
    beside = CHECKOUT.parent / "shared" / "data" / "clips"
    return next((path for folder in (kept, beside) for path in sorted(folder.glob("lp_s18*.mp4"))), None)


def distribution(wheel: str) -> str:
    """The package's name, of a wheel's file name."""
    return wheel.partition("-")[0]


def _installed(wheel: str) -> bool:
    """Whether this Python has the package, of any version, other than by us."""
    try:
        importlib.metadata.version(distribution(wheel))
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _unpack_pieces(pieces: list[Path], site: Path) -> None:
    """Join them, unpack the archive, and drop them."""
    with tempfile.TemporaryFile() as whole:
        for piece in pieces:
            whole.write(piece.read_bytes())
        whole.seek(0)
        with lzma.open(whole) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            tar.extractall(site, filter="data")
    for piece in pieces:
        piece.unlink()


def _pieces(kept: Path) -> Iterator[tuple[str, list[Path], int]]:
    found: dict[tuple[str, int], list[Path]] = {}
    for path in sorted(kept.glob("*.xz.*")):
        if match := PIECE.fullmatch(path.name):
            found.setdefault((match["wheel"], int(match["count"])), []).append(path)
    for (wheel, count), pieces in found.items():
        yield wheel, pieces, count
