from __future__ import annotations

import threading
from collections import Counter

from bgcamd.video.mailbox import Latest


class Parcel:
    """Something that counts how often it was released."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.released = 0

    def release(self) -> None:
        self.released += 1


def test_what_is_put_is_got_once_and_not_released() -> None:
    box: Latest[Parcel] = Latest()
    parcel = Parcel()
    box.put(parcel)
    assert box.get(0) is parcel
    assert box.get(0) is None
    assert parcel.released == 0


def test_a_newer_one_displaces_and_releases_the_older() -> None:
    box: Latest[Parcel] = Latest()
    older, newer = Parcel(), Parcel()
    box.put(older)
    box.put(newer)
    assert (older.released, newer.released, box.displaced) == (1, 0, 1)
    assert box.get(0) is newer


def test_a_waiting_reader_is_woken_by_a_put() -> None:
    box: Latest[Parcel] = Latest()
    got: list[Parcel | None] = []
    reader = threading.Thread(target=lambda: got.append(box.get(60)))
    reader.start()
    parcel = Parcel()
    box.put(parcel)
    reader.join()
    assert got == [parcel]


def test_closing_releases_what_is_left_and_wakes_everyone() -> None:
    box: Latest[Parcel] = Latest()
    got: list[Parcel | None] = []
    readers = [threading.Thread(target=lambda: got.append(box.get(60))) for _ in range(3)]
    for reader in readers:
        reader.start()
    box.close()
    for reader in readers:
        reader.join()
    assert got == [None, None, None]

    other: Latest[Parcel] = Latest()
    parcel = Parcel()
    with other:
        other.put(parcel)
    assert parcel.released == 1


def test_a_closed_box_releases_what_still_comes() -> None:
    box: Latest[Parcel] = Latest()
    box.close()
    box.close()
    parcel = Parcel()
    box.put(parcel)
    assert (parcel.released, box.displaced, box.get(60)) == (1, 0, None)


def test_between_threads_every_parcel_is_got_or_released_exactly_once() -> None:
    box: Latest[Parcel] = Latest()
    parcels = [Parcel(number) for number in range(20_000)]
    got: list[int] = []

    def read() -> None:
        while (parcel := box.get(60)) is not None:
            got.append(parcel.number)

    def write(share: list[Parcel]) -> None:
        for parcel in share:
            box.put(parcel)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(parcels[start::2],)) for start in range(2)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    box.close()
    for thread in readers:
        thread.join()

    times_got = Counter(got)
    assert all(times_got[parcel.number] + parcel.released == 1 for parcel in parcels)
    assert sum(parcel.released for parcel in parcels) - box.displaced in (0, 1)  # the one left at the close
