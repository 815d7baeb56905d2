"""The pictures of these tests: a person before a webcam, and a reef to put behind. Nothing is downloaded for them."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bgcamd.assets import demo_path
from bgcamd.video.demo import DemoReader
from bgcamd.video.files.images import read_image

Picture = NDArray[np.uint8]

SECONDS = 5
WALLS = {"left": (slice(60, 560), slice(20, 240)), "right": (slice(60, 560), slice(1000, 1260))}
"""Where in the clip's frames no person ever is."""
FACE = slice(150, 420), slice(460, 680)
"""Where the face always is."""


def write_person(path: Path) -> None:
    """The demo as an MJPG webcam would send it: 1280x720, 30 frames a second, a loop without a seam."""
    demo = DemoReader(read_image(demo_path()), seconds=SECONDS)
    with av.open(path, "w") as clip:
        stream = clip.add_stream("mjpeg", rate=demo.rate)
        stream.width, stream.height, stream.pix_fmt = *demo.size, "yuvj420p"
        stream.codec_context.qmin = stream.codec_context.qmax = 4
        for frame in demo:
            packed = np.concatenate([plane.ravel() for plane in frame.planes]).reshape(-1, demo.size.width)
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(packed, format="yuv420p")))
        clip.mux(stream.encode())


def write_reef(path: Path) -> None:
    """A reef of sorts, the same every time: blue water, and corals in colours that no skin has."""
    random = np.random.default_rng(3)
    reef = np.full((900, 1600, 3), (150, 90, 20), np.uint8)
    reef += np.linspace(60, 0, 900).astype(np.uint8)[:, None, None]
    for _ in range(150):
        centre, radius = random.integers((1600, 900)), int(random.integers(20, 70))
        cv2.circle(
            reef, [int(c) for c in centre], radius, [int(c) for c in random.integers((60, 60, 0), (256, 256, 90))], -1
        )
    cv2.imwrite(str(path), cv2.GaussianBlur(reef, (0, 0), 5))


def difference(one: Picture, other: Picture) -> float:
    """The mean difference of two pictures, 0..255."""
    return float(np.abs(one.astype(np.int16) - other).mean())
