"""Frames in memory that a GPU can read by itself, from a real kernel's drivers; io_uring takes the GPU's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import PLUG, Say
from guest import Guest

OURS = "our pages, registered (USERPTR)"
DRIVERS = "the driver's pages, registered (MMAP)"
PLAIN = "the driver's pages (MMAP)"
SCATTERED, CONTIGUOUS = 0, 1  # vivid's allocators: pages from anywhere, as uvcvideo's; or one piece, as on many a board


@pytest.fixture
def vivid(guest: Guest, loopback: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The kernel's test camera, with one of its allocators."""
    guest.run(PLUG.format(f"0 allocators={request.param}"))
    yield "/dev/video0"
    guest.wait_for("modprobe -r vivid")


@pytest.mark.parametrize(
    ("vivid", "refused", "memory"),
    [(SCATTERED, 0, OURS), (SCATTERED, 1, DRIVERS), (SCATTERED, 8, PLAIN), (CONTIGUOUS, 0, PLAIN)],
    ids=["ours", "the-drivers", "not-registered", "not-registrable"],
    indirect=["vivid"],
)
def test_each_kind_of_memory_shows_what_the_driver_wrote(
    guest: Guest, vivid: str, say: Say, refused: int, memory: str
) -> None:
    said = guest.run(f"/opt/bgcamd/bin/python /share/inside/zero_copy.py {vivid} {refused}").strip()
    say(said)
    registered = 0 if memory == PLAIN else 100
    assert said.startswith(f"{memory}; 100 frames")
    assert said.endswith(f"by their pages {registered}, after the close True, as others see it True")


def test_a_driver_without_userptr_has_its_own_pages_registered(guest: Guest, empty_webcam: str, say: Say) -> None:
    still = f"ffmpeg -loglevel error -re -f lavfi -i smptebars=s=1280x720:r=30 -pix_fmt yuyv422 -f v4l2 {empty_webcam}"
    with guest.background("webcam", still):
        guest.wait_for(f"v4l2-ctl -d {empty_webcam} --list-formats | grep YUYV")
        said = guest.run(f"/opt/bgcamd/bin/python /share/inside/zero_copy.py {empty_webcam} 0").strip()
    say(said)
    assert said.startswith(f"{DRIVERS}; 100 frames")
    assert "by their pages 100" in said
