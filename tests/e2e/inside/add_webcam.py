"""Make one more loopback device, through v4l2loopback's control node: add_webcam.py NUMBER LABEL."""

from __future__ import annotations

import fcntl
import struct
import sys
from pathlib import Path

CTL_ADD = 0x4C80
CONFIG = "<ii32sIIIIiiii"  # v4l2_loopback_config: number, number again, label, sizes, buffers, openers, debug, all_caps

with Path("/dev/v4l2loopback").open("rb") as control:
    number, label = int(sys.argv[1]), sys.argv[2].encode()
    fcntl.ioctl(control, CTL_ADD, struct.pack(CONFIG, number, number, label, *[0] * 8))
