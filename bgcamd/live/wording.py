"""What the cards say."""

from __future__ import annotations

from bgcamd.live.capture import CaptureState

Words = tuple[str, tuple[str, ...]]
"""A title, and lines of what to do."""

STARTING = "Starting…"
"""The title until the camera's first picture."""


def words(camera: CaptureState, *, paused: bool, idle: bool, hidden: bool) -> Words:
    """Why there is no picture, for those who wait for one.

    paused: somebody wanted that. idle: nobody watches. hidden: there is no matte.
    """
    if paused:
        return "Camera paused", ("bgcam resume shows the picture again.",)
    if idle:
        return "Camera off", ("It comes on when an app shows this picture.",)
    if hidden:
        return "Picture hidden", ("The background can't be removed right now.", "bgcam status says why.")
    if camera.why:
        return "No camera", (camera.why, camera.hint)
    return STARTING, ()
