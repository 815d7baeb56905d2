"""Who reads /dev/video10, as it is told with a module that has no events: by its reference count."""

from __future__ import annotations

import subprocess
import sys
import time

from bgcamd.video.v4l2.devices import list_devices
from bgcamd.video.v4l2.readers import OpenFiles

NODE = "/dev/video10"

others = [device.node for device in list_devices() if device.loopback and device.node != NODE]
writer = open(NODE, "wb", buffering=0)  # noqa: SIM115, PTH123 - as the daemon has it
files = OpenFiles(NODE, others)


def after(seconds: float) -> bool:
    """What it says, asked ten times a second as the loop does."""
    for _ in range(int(seconds * 10)):
        files.present()
        time.sleep(0.1)
    return files.present()


nobody = after(1.5)
for _ in range(10):
    with open(NODE, "rb"):  # noqa: PTH123
        files.present()
probes = after(0.3)
reader = subprocess.Popen(["sleep", "30"], stdin=open(NODE, "rb"))  # noqa: SIM115, PTH123
somebody = after(1.5)
reader.kill()
reader.wait()
gone = after(0.5)
print(f"nobody {nobody}, probes {probes}, somebody {somebody}, gone {gone}")  # noqa: T201
sys.exit((nobody, probes, somebody, gone) != (False, False, True, False))
