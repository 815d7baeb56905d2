"""What a viewer gets that is slower than the pictures come."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

from stream_pictures import SIZE

from bgcamd.video.stream.encoder import Coded
from bgcamd.video.stream.packets import Packetizer, is_rtcp
from bgcamd.video.stream.viewer import Viewer


class Slow:
    """A carrier that waits before each picture until it may go on. sent: the packets' sequence numbers."""

    header, report = "", None

    def __init__(self) -> None:
        self.go, self.busy = threading.Semaphore(0), threading.Semaphore(0)
        self.sent: list[tuple[int, int]] = []
        self.closed, self.broken = False, False

    def send(self, packets: Sequence[bytes]) -> None:
        self.busy.release()
        assert self.go.acquire(timeout=10)
        if self.broken:
            raise ConnectionResetError
        self.sent += [(int.from_bytes(p[2:4], "big"), p[-1]) for p in packets if not is_rtcp(p)]

    def close(self) -> None:
        self.closed = True


def coded(number: int, *, key: bool = False) -> Coded:
    return Coded(bytes((0, 0, 0, 1, 0x65 if key else 0x41, 0x80, number)), key, 1000 * (number + 1))


def shown(slow: Slow) -> list[int]:
    return [last for _, last in slow.sent]


def test_it_starts_with_a_key_frame() -> None:
    slow = Slow()
    slow.go.release(100)
    viewer = Viewer(slow, Packetizer(SIZE), lambda: None)
    viewer.put(coded(1, key=True))  # before it plays
    viewer.play()
    for number in (2, 3, 4, 5):
        viewer.put(coded(number, key=number == 4))
    while len(slow.sent) < 2:
        threading.Event().wait(0.001)
    viewer.close()
    assert shown(slow) == [4, 5]
    assert slow.closed


def test_when_it_is_too_slow_it_misses_whole_groups_and_its_numbers_have_no_gap() -> None:
    slow = Slow()
    viewer = Viewer(slow, Packetizer(SIZE), lambda: None)
    viewer.play()
    viewer.put(coded(1, key=True))
    assert slow.busy.acquire(timeout=10)
    for number in range(2, 22):
        viewer.put(coded(number, key=number == 20))
    slow.go.release(100)
    while len(slow.sent) < 3:
        threading.Event().wait(0.001)
    viewer.close()
    assert shown(slow) == [1, 20, 21]
    first = slow.sent[0][0]
    assert [number for number, _ in slow.sent] == [first, first + 1, first + 2]


def test_who_can_not_be_reached_is_given_up_once() -> None:
    slow, lost = Slow(), []
    slow.broken = True
    slow.go.release(100)
    viewer = Viewer(slow, Packetizer(SIZE), lambda: lost.append(1))
    viewer.play()
    for number in range(5):
        viewer.put(coded(number, key=True))
    while not lost:
        threading.Event().wait(0.001)
    assert not viewer.playing
    viewer.close()
    assert lost == [1]


def test_one_that_never_played_is_closed_too() -> None:
    slow = Slow()
    Viewer(slow, Packetizer(SIZE), socket.socket).close()
    assert slow.closed
