"""What a system call's errno means to the person before the camera."""

from __future__ import annotations

import errno
import os

from bgcamd.errors import SinkError, SourceError

LABEL = "Virtual BG Camera"
"""The card label of our loopback device: by it we find it, and under it every app lists it."""

INSTALL_MODULE = "sudo apt install v4l2loopback-dkms"
GONE = (errno.ENODEV, errno.ENXIO, errno.EIO)
"""A device that was pulled out, or whose driver gave up, answers with one of these."""

_MISSING = (errno.ENOENT, *GONE)
_DENIED = (errno.EACCES, errno.EPERM)
_NOT_VIDEO = (errno.ENOTTY, errno.EINVAL)
_JOIN_GROUP = 'add yourself to the group that may use it: "sudo usermod -aG video $USER", then log in again'


def load_module(label: str = LABEL) -> str:
    """The command that makes the virtual camera."""
    return f'sudo modprobe v4l2loopback exclusive_caps=1 card_label="{label}" max_buffers=4'


def get_module(label: str = LABEL) -> str:
    """Both commands, for a machine that may lack the module."""
    return f"{INSTALL_MODULE}; {load_module(label)}"


def camera_error(error: OSError, node: str, doing: str) -> SourceError:
    """What ``raise ... from error`` should say when a camera refuses. doing: as in "start streaming"."""
    return SourceError(_message(error, node, doing), _camera_hint(error.errno, node))


def loopback_error(error: OSError, node: str, doing: str) -> SinkError:
    """The same for the virtual camera."""
    return SinkError(_message(error, node, doing), _loopback_hint(error.errno, node))


def _message(error: OSError, node: str, doing: str) -> str:
    number = error.errno or 0
    return f"{node}: can't {doing}: {os.strerror(number)} ({errno.errorcode.get(number, number)})"


def _camera_hint(number: int | None, node: str) -> str:
    if number in _DENIED:
        return _JOIN_GROUP
    if number == errno.EBUSY:
        return f'another program holds the camera; close it ("fuser -v {node}" names it)'
    if number in _MISSING:
        return "the camera is not there, or no longer: plug it in again, or choose another with --camera"
    if number == errno.ENOSPC:
        return "the USB bus has no room for this: another camera is on it; use another port or a smaller --size"
    if number in _NOT_VIDEO:
        return "it may not be a camera: choose another with --camera"
    return ""


def _loopback_hint(number: int | None, node: str) -> str:
    if number in _DENIED:
        return _JOIN_GROUP
    if number in (errno.EBUSY, errno.EINVAL):  # >= 0.14 with exclusive_caps is no output while somebody writes
        return f'another program writes to it; close it ("fuser -v {node}" names it)'
    if number in _MISSING:
        return get_module()
    if number == errno.ENOTTY:
        return "it is no virtual camera: leave --output out, to have ours found by its name"
    return ""
