"""The soak in short: everything that can happen to a daemon, and nothing left of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).resolve().parent.parent / "bench" / "soak.py"


def test_a_short_and_eventful_life_leaves_no_descriptor_thread_or_object_behind() -> None:
    command = [sys.executable, SOAK, "--frames", "4000", "--rest", "0.01", "--slack", "40"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
