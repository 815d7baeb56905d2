"""A machine that is made up: a folder stands for its files, a fake kernel for its devices, a table for its commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bgcamd.doctor.machine import Answer, Machine, Person
from bgcamd.video.v4l2.fake_kernel import FakeKernel
from bgcamd.video.v4l2.kernel import Kernel

USER = Person("ada", 1000, frozenset({"ada", "video"}), frozenset({"ada", "video"}))
_RELEASE = "6.1.0-18-amd64"


class FakeMachine(Machine):
    """A Debian 12 on which all is well, unless told otherwise; attributes may be changed at any time.

    answers: what commands say, by their whole line; one that is not there does not exist.
    people: who there is; the first runs the doctor.
    owners: user, group and mode of files, where they count. forbidden: what may not be read and written.
    free: bytes of room on the disk.
    """

    def __init__(
        self,
        root: Path,
        kernel: Kernel | None = None,
        *,
        answers: Mapping[str, str | Answer] | None = None,
        socket: Path | None = None,
        config: Path | None = None,
    ) -> None:
        super().__init__(
            root=root,
            kernel=kernel or FakeKernel(),
            socket=socket or root / "run/bgcamd/bgcamd.sock",
            config=config or self._empty(root / "etc/bgcamd/bgcamd.toml"),
            patience_s=0.3,
        )
        self.answers = dict(answers or {})
        self.people = [USER]
        self.owners: dict[str, tuple[str, str, int]] = {}
        self.forbidden: set[str] = set()
        self.free = 10 << 30
        self.write("/etc/os-release", 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
        self.write("/proc/sys/kernel/osrelease", f"{_RELEASE}\n")
        self.write("/proc/modules", "v4l2loopback 49152 0 - Live 0x0000000000000000 (OE)\n")
        self.write("/sys/module/v4l2loopback/version", "0.15.0\n")
        self.write("/sys/module/v4l2loopback/parameters/exclusive_caps", "Y,N,N,N,N,N,N,N\n")
        self.write(f"/lib/modules/{_RELEASE}/modules.dep", "updates/dkms/v4l2loopback.ko: kernel/media/videodev.ko\n")
        self.write(f"/lib/modules/{_RELEASE}/build/Makefile", "")
        self.write("/run/udev/data/c81:10", "E:ID_V4L_CAPABILITIES=:capture:\n")
        self.write("/sys/class/video4linux/video10/dev", "81:10\n")

    @staticmethod
    def _empty(file: Path) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    def write(self, path: str, content: str | bytes) -> None:
        """Make a file, and the folders above it."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        target = self.path(path)
        if target.is_dir():
            for each in target.iterdir():
                self.remove(f"{path}/{each.name}")
            target.rmdir()
        else:
            target.unlink(missing_ok=True)

    def unload(self) -> None:
        """Take the module out of the kernel; it stays on disk."""
        self.remove("/sys/module/v4l2loopback")
        self.write("/proc/modules", "")

    def start(self, pid: int, program: str, *opened: str) -> None:
        """Run a program that has files open."""
        self.write(f"/proc/{pid}/comm", program + "\n")
        self.write(f"/proc/{pid}/cmdline", f"/usr/bin/{program}\0")
        folder = self.path(f"/proc/{pid}/fd")
        folder.mkdir(exist_ok=True)
        for number, path in enumerate(opened):
            (folder / str(number)).symlink_to(path)

    def may(self, path: str | Path) -> bool:
        return str(path) not in self.forbidden and self.exists(path)

    def owner(self, path: str | Path) -> tuple[str, str, int]:
        return self.owners.get(str(path), ("root", "video", 0o660))

    def free_bytes(self, path: Path) -> int:
        return self.free

    def run(self, *command: str) -> Answer | None:
        said = self.answers.get(" ".join(command))
        return Answer(0, said) if isinstance(said, str) else said

    def person(self, name: str | None = None) -> Person | None:
        return next((each for each in self.people if name in (None, each.name)), None)

    @property
    def state(self) -> Path:
        return self.path("/var/lib/state")
