"""What a decoder may do once it has seen a file: next to nothing."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from pathlib import Path

import pytest

from bgcamd.decoding import helper, limits, seccomp

_PROGRAM = """
import ctypes, json, mmap, os, resource, signal, socket, sys, threading, time
from bgcamd.decoding import limits
sock, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
limits.confine(parent)
def system(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
TRIED = {
    "open": lambda: open("/etc/passwd"),
    "write": lambda: open("/tmp/x", "w"),
    "list": lambda: os.listdir("/"),
    "remove": lambda: os.unlink("/tmp/x"),
    "network": lambda: socket.socket(socket.AF_INET),
    "connect": lambda: sock.connect("\\0x"),
    "fork": os.fork,
    "program": lambda: os.execv("/bin/true", ["true"]),
    "signal": lambda: os.kill(parent, 0),
    "thread's signal": lambda: system({"x86_64": 234, "aarch64": 131}[os.uname().machine], parent, parent, 0),
    "trace": lambda: system({"x86_64": 101, "aarch64": 117}[os.uname().machine], 16, parent, 0, 0),
    "its memory": lambda: system({"x86_64": 310, "aarch64": 270}[os.uname().machine], parent, 0, 0, 0, 0, 0),
    "its limits": lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
    "code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
    "seccomp": lambda: system({"x86_64": 317, "aarch64": 277}[os.uname().machine], 0, 0, 0),
}
told = {}
for name, tried in TRIED.items():
    try:
        tried()
        told[name] = 0
    except OSError as error:
        told[name] = error.errno
try:
    bytearray(limits.MEMORY)
    told["memory"] = 0
except MemoryError:
    told["memory"] = 1
thread = threading.Thread(target=lambda: told.update(thread=1))
thread.start()
thread.join()
sock.send(json.dumps(told).encode())
sock.recv(1)
"""


@pytest.mark.skipif(platform.machine() not in seccomp._MACHINES, reason="no list for this machine's calls")
def test_it_has_no_files_no_network_no_programs_and_no_power_over_others(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(_PROGRAM)
    with helper.start((sys.executable, str(tmp_path / "program.py"))) as confined:
        raw = confined.hear(20)
        assert raw is not None
        told = json.loads(raw)
        status = Path(f"/proc/{confined._process.pid}/status").read_text()
        first_to_go = Path(f"/proc/{confined._process.pid}/oom_score_adj").read_text()
    assert told.pop("thread") == 1
    assert told.pop("memory") == 1
    assert set(told.values()) == {1}, told  # EPERM
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert int(first_to_go) >= 500


def test_it_does_not_start_where_the_daemon_has_ended_meanwhile() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        pid = os.fork()
        if not pid:
            try:
                limits.confine(1 if os.getppid() != 1 else 2)
            except SystemExit:
                os._exit(9)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_it_is_given_nothing_of_the_daemons_environment_but_what_python_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BGCAMD_CAMERA", "rtsp://me:secret@camera/")
    assert "secret" not in str(helper._environment())


def test_the_list_of_calls_is_the_same_on_every_machine() -> None:
    names = {name for name, numbers in {**seccomp._FREE, **seccomp._CHECKED}.items() if -1 in numbers}
    assert names == {"poll", "stat", "lstat"}  # older calls, which aarch64 never had
    for column in range(2):
        numbers = [each[column] for each in {**seccomp._FREE, **seccomp._CHECKED}.values() if each[column] >= 0]
        assert len(numbers) == len(set(numbers))
