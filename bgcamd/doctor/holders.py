"""Which programs have a video device open, as far as /proc lets us see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Holder(NamedTuple):
    """A process. program: its name as people know it."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})"


@dataclass(frozen=True)
class Holders:
    """by_node: who has it open, ours left out. complete: whether every process could be looked at."""

    by_node: dict[str, tuple[Holder, ...]]
    complete: bool

    def of(self, node: str) -> tuple[Holder, ...]:
        """Those of a node, in the order of their pids."""
        return self.by_node.get(node, ())


def find_holders(processes: Path, nodes: Collection[str]) -> Holders:
    """Look through the open files of all processes in ``processes`` (/proc) for ``nodes``. Raises nothing."""
    found: dict[str, list[Holder]] = {}
    complete, own = True, _own(processes)
    for pid in sorted(int(folder.name) for folder in processes.glob("[0-9]*") if folder.name.isdecimal()):
        if pid == own or not nodes:
            continue
        try:
            opened = _opened(processes / str(pid) / "fd", nodes)
        except PermissionError:
            complete = False
            continue
        for node in opened:
            found.setdefault(node, []).append(Holder(pid, _program(processes / str(pid))))
    return Holders({node: tuple(those) for node, those in found.items()}, complete)


def in_words(those: Sequence[Holder]) -> str:
    """ "obs (pid 12) and zoom (pid 9)"; "" for nobody."""
    return " and ".join(filter(None, (", ".join(map(str, those[:-1])), *map(str, those[-1:]))))


def program_name(comm: str, command: Sequence[str]) -> str:
    """What a process is called: the kernel's word for it, or what its interpreter runs.

    comm: of /proc/PID/comm. command: its command line.
    """
    interpreter = PurePosixPath(command[0]).name if command else ""
    if not interpreter.startswith("python") or not comm.startswith("python"):
        return comm or interpreter or "a program"
    words = list(command[1:])
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c"):
        words.pop(0)
    if words[:1] == ["-m"] and len(words) > 1:
        return words[1]
    return PurePosixPath(words[0]).name if words and words[0] != "-c" else comm


def _own(processes: Path) -> int:
    """This process, which looks and does not hold."""
    try:
        return int((processes / "self").readlink().name)
    except (OSError, ValueError):
        return 0


def _opened(folder: Path, nodes: Collection[str]) -> set[str]:
    """Which of ``nodes`` a process has open. Raises PermissionError; of one that has ended, none."""
    opened = set()
    try:
        for link in folder.iterdir():
            with suppress(FileNotFoundError):
                opened.add(str(link.readlink()))
    except PermissionError:
        raise
    except OSError:  # it has ended meanwhile
        return set()
    return opened & set(nodes)


def _program(process: Path) -> str:
    comm, command = "", b""
    with suppress(OSError):
        comm = (process / "comm").read_text(errors="replace").strip()
        command = (process / "cmdline").read_bytes()
    return program_name(comm, [word.decode(errors="replace") for word in command.split(b"\0") if word])
