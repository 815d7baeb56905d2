"""A list of the system calls that a process may still make, kept by the kernel: without files, network and programs.

As in linux/seccomp.h and linux/filter.h; Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUALS, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they are in struct seccomp_data
_CLONE_THREAD, _PROT_EXEC, _FIOCLEX = 0x10000, 4, 0x5451


# What Python, glibc's memory and threads, and the decoders use once all is loaded, on what is open already: the numbers
# on x86_64 and aarch64, -1 where there is no such call.
_FREE = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79),
    "lseek": (8, 62), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "pread64": (17, 67), "readv": (19, 65), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172),
    "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212), "exit": (60, 93),
    "fcntl": (72, 25), "getrusage": (98, 165), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "set_robust_list": (273, 99), "ppoll": (271, 73), "poll": (7, -1),
    "getrandom": (318, 278), "rseq": (334, 293), "restart_syscall": (219, 128), "stat": (4, -1), "lstat": (6, -1),
    "sysinfo": (99, 179), "uname": (63, 160), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "membarrier": (324, 283), "getcpu": (309, 168),
}  # fmt: skip
_CHECKED = {
    "mmap": (9, 222), "mprotect": (10, 226), "clone": (56, 220), "clone3": (435, 435), "tgkill": (234, 131),
    "prlimit64": (302, 261), "ioctl": (16, 29),
}  # fmt: skip
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # as linux/audit.h has them


def confine() -> bool:
    """Let this process make no other calls than those any more, nor its threads; False where that can't be had.

    What is not on the list fails with EPERM. It can be taken back by nobody.
    """
    machine = os.uname().machine
    if machine not in _MACHINES or struct.calcsize("P") != 8:
        return False
    program = _program(machine)
    steps = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    return not libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not libc.prctl(_PR_SET_SECCOMP, _FILTER, head, 0, 0)


def _program(machine: str) -> bytes:
    """The list as a program of the kernel's packet filter."""
    column = list(_MACHINES).index(machine)
    numbers = {name: each[column] for name, each in (_FREE | _CHECKED).items()}
    steps = [_step(_LOAD, _ARCHITECTURE), _step(_EQUALS, _MACHINES[machine], 1, 0), _step(_RETURN, _KILL)]
    steps.append(_step(_LOAD, _NUMBER))
    for name in _FREE:
        if numbers[name] >= 0:
            steps += [_step(_EQUALS, numbers[name], 0, 1), _step(_RETURN, _ALLOW)]
    for name in ("mmap", "mprotect"):  # code that came with a file never runs
        steps += _if(numbers[name], 2, _step(_ANY_BIT, _PROT_EXEC, 0, 1), _refused(), _allowed())
    steps += _if(numbers["clone"], 0, _step(_ANY_BIT, _CLONE_THREAD, 1, 0), _refused(), _allowed())
    steps += _if(numbers["tgkill"], 0, _step(_EQUALS, os.getpid(), 1, 0), _refused(), _allowed())
    steps += _if(numbers["prlimit64"], 0, _step(_EQUALS, 0, 1, 0), _refused(), _allowed())
    steps += _if(numbers["ioctl"], 1, _step(_EQUALS, _FIOCLEX, 1, 0), _refused(), _allowed())
    # glibc then takes clone, whose flags can be seen
    steps += [_step(_EQUALS, numbers["clone3"], 0, 1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    return b"".join([*steps, _refused()])


def _if(number: int, argument: int, *then: bytes) -> list[bytes]:
    """Where the call is that one: its argument loaded (the lower half), and ``then``, which must end."""
    return [_step(_EQUALS, number, 0, 1 + len(then)), _step(_LOAD, _ARGUMENTS + 8 * argument), *then]


def _allowed() -> bytes:
    return _step(_RETURN, _ALLOW)


def _refused() -> bytes:
    return _step(_RETURN, _ERRNO | errno.EPERM)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
