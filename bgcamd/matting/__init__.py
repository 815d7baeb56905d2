"""Who is in front: model manifests, fetching weights, engines."""

from __future__ import annotations

import os

# Some builds of ONNX Runtime number the machine, in ~/.cache/Microsoft, and tell their maker what it runs. This ends
# it if it is set before onnxruntime is imported, which only this room does; disable_telemetry_events() comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
