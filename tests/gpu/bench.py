"""What a frame costs on this GPU: from a camera's bytes in registered memory to the bytes of the virtual camera.

PYTHONPATH=. python tests/gpu/bench.py [OPTION ...]; tests/gpu/run bench finds by itself what it needs.

Times of stages are the GPU's own, each the median of frames that were queued while the stream was held busy, so that
no gap of the host's is in them. Latencies are wall clock around a whole frame, one after the other. The ceilings are
measured in the same run. Where no TensorRT runs, a stand-in takes the network's place on the same memory: then there
are figures of the parts, and none of the whole.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from carried import clip as found_clip
from carried import store
from device import opened
from rig import Rig
from tables import page

from bgcamd.cli.options import SizeOption
from bgcamd.errors import BgcamError
from bgcamd.frame import Size
from bgcamd.matting.manifest import find_manifest

SIZES = (Size(1280, 720), Size(1920, 1080), Size(3840, 2160))
CPU_AT = Size(1920, 1080)
_FAKE: dict[str, Any] = {"distinct": 2, "warm_up": 1, "large": 1 << 16, "fake": True}


@click.command()
@click.option("--size", "sizes", type=SizeOption(), multiple=True, help="Of the frames; 720p, 1080p and 4K if none.")
@click.option("--frames", type=click.IntRange(2), default=300, show_default=True, help="In each measurement.")
@click.option("--model", default="rvm", show_default=True, help="The network.")
@click.option("--clip", type=click.Path(path_type=Path, exists=True), help="What the frames show.")
@click.option("--cpu-at", type=SizeOption(), default=str(CPU_AT), show_default=True, help="Size for the CPU's use.")
@click.option("--seconds", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Of the CPU's use.")
@click.option("--json", "as_json", type=click.Path(path_type=Path), help="Also write all figures into this file.")
@click.option("--fake", is_flag=True, help="On a GPU that is none, to try this script: the times mean nothing.")
def main(
    *,
    sizes: tuple[Size, ...],
    frames: int,
    model: str,
    clip: Path | None,
    cpu_at: Size,
    seconds: float,
    as_json: Path | None,
    fake: bool,
) -> None:
    """Measure, and print the tables."""
    try:
        with ExitStack() as stack:
            kernels = Path(stack.enter_context(tempfile.TemporaryDirectory())) if fake else None
            gpu = stack.enter_context(opened(kernels))
            rig = Rig(gpu, find_manifest(model), clip or found_clip(store()), frames, **(_FAKE if fake else {}))
            ceilings = rig.ceilings()
            result = {
                **_head(rig),
                "ceilings_gb_s": ceilings._asdict(),
                "sizes": [rig.of_size(size, ceilings) for size in sizes or SIZES],
                "cpu": rig.of_cpu(cpu_at, seconds),
            }
    except BgcamError as error:
        raise SystemExit(error.message) from error
    if as_json is not None:
        as_json.write_text(json.dumps(result, indent=1) + "\n")
    click.echo(page(result))


def _head(rig: Rig) -> dict[str, Any]:
    """What the figures are of."""
    card = rig.gpu.card
    return {
        "card": card.name,
        "capability": f"{card.capability[0]}.{card.capability[1]}",
        "driver": rig.gpu.version,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": sys.version.split()[0],
        "frames_of": rig.clip.name if rig.clip is not None else "a picture made here",
        "fake": rig.fake,
    }


if __name__ == "__main__":
    main()
