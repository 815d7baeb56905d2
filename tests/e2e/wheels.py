"""Collect the wheels that the guest, which has no network, installs bgcamd from, and those that hold the weights.

They are collected again when pyproject.toml or a manifest has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

from bgcamd.assets import demo_asset
from bgcamd.matting.manifest import find_manifest

CHECKOUT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--only-binary=:all:"]


def main() -> None:
    """Fill the folder, or leave it as it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python-version", required=True)
    asked = parser.parse_args()
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"] + ["pip"]
    assets = [demo_asset().asset, find_manifest("selfie").asset]
    made_from = hashlib.sha256(repr((asked.python_version, wanted, assets)).encode()).hexdigest()
    mark = asked.folder / "made-from"
    if mark.exists() and mark.read_text() == made_from:
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    for old in asked.folder.iterdir():
        old.unlink()
    target = [f"--dest={asked.folder}"]
    subprocess.run([*PIP, *target, f"--python-version={asked.python_version}", *wanted], check=True)
    for asset in assets:
        pinned = f"{asset.package}=={asset.version}"
        subprocess.run([*PIP, *target, "--no-deps", *asset.selectors, pinned], check=True)
    mark.write_text(made_from)


if __name__ == "__main__":
    main()
