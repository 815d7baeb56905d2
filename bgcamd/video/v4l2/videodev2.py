"""The structures and numbers of <linux/videodev2.h> that bgcamd uses; names are the header's without ``V4L2_``.

A structure is laid out by the C compiler's rules for the machine, so that a request's number, which holds the
structure's size, comes out right.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_int32, c_int64, c_long, c_uint8, c_uint32, c_ulong, c_void_p
from fractions import Fraction

CAPTURE, OUTPUT = 1, 2  # enum v4l2_buf_type
MEMORY_MMAP, MEMORY_USERPTR = 1, 2  # enum v4l2_memory: the driver's pages, mapped; or pages of ours
FIELD_NONE = 1
PIX_FMT_PRIV_MAGIC = 0xFEEDCAFE  # without it in ``priv`` the kernel clears ycbcr_enc and quantization

CAP_VIDEO_CAPTURE, CAP_VIDEO_OUTPUT = 0x1, 0x2
CAP_READWRITE, CAP_STREAMING, CAP_DEVICE_CAPS = 0x0100_0000, 0x0400_0000, 0x8000_0000
CAP_TIMEPERFRAME = 0x1000  # in v4l2_captureparm.capability
BUF_CAP_SUPPORTS_MMAP, BUF_CAP_SUPPORTS_USERPTR = 0x1, 0x2  # in v4l2_requestbuffers.capabilities, since 4.20

EVENT_SUB_FL_SEND_INITIAL = 0x1
EVENT_PRIVATE_START = 0x0800_0000
EVENT_CLIENT_USAGE = EVENT_PRIVATE_START + 0x08E0_0001
"""v4l2loopback's V4L2_EVENT_PRI_CLIENT_USAGE, since 0.13: u.data begins with a u32, the number of streaming readers."""

BUF_FLAG_QUEUED, BUF_FLAG_DONE, BUF_FLAG_ERROR = 0x2, 0x4, 0x40
BUF_FLAG_TIMESTAMP_MASK, BUF_FLAG_TIMESTAMP_MONOTONIC = 0xE000, 0x2000

FRMSIZE_DISCRETE, FRMSIZE_CONTINUOUS, FRMSIZE_STEPWISE = 1, 2, 3
FRMIVAL_DISCRETE, FRMIVAL_CONTINUOUS, FRMIVAL_STEPWISE = 1, 2, 3

COLORSPACE_REC709, COLORSPACE_JPEG, COLORSPACE_SRGB, COLORSPACE_DCI_P3 = 3, 7, 8, 12
YCBCR_ENC_DEFAULT, YCBCR_ENC_601, YCBCR_ENC_709, YCBCR_ENC_XV709 = 0, 1, 2, 4
QUANTIZATION_DEFAULT, QUANTIZATION_FULL_RANGE, QUANTIZATION_LIM_RANGE = 0, 1, 2


class Capability(ctypes.Structure):
    """struct v4l2_capability."""

    _fields_ = (
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )

    @property
    def own(self) -> int:
        """What this node can do, as against the whole device (a webcam's second node holds metadata only)."""
        return int(self.device_caps if self.capabilities & CAP_DEVICE_CAPS else self.capabilities)


class FmtDesc(ctypes.Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class Fract(ctypes.Structure):
    """struct v4l2_fract, here always seconds a frame."""

    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))

    @property
    def rate(self) -> Fraction:
        """Frames per second; 0 where the driver says nothing sensible."""
        return Fraction(self.denominator, self.numerator) if self.numerator else Fraction(0)


class FrmSizeEnum(ctypes.Structure):
    """struct v4l2_frmsizeenum; ``discrete`` is the first two numbers of the stepwise layout."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("min_width", c_uint32),
        ("max_width", c_uint32),
        ("step_width", c_uint32),
        ("min_height", c_uint32),
        ("max_height", c_uint32),
        ("step_height", c_uint32),
        ("reserved", c_uint32 * 2),
    )

    @property
    def discrete(self) -> tuple[int, int]:
        """Width and height of a discrete size."""
        return self.min_width, self.max_width


class FrmIvalEnum(ctypes.Structure):
    """struct v4l2_frmivalenum; ``min`` is the one interval of a discrete answer."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("min", Fract),
        ("max", Fract),
        ("step", Fract),
        ("reserved", c_uint32 * 2),
    )


class PixFormat(ctypes.Structure):
    """struct v4l2_pix_format."""

    _fields_ = tuple(
        (name, c_uint32)
        for name in (
            *("width", "height", "pixelformat", "field", "bytesperline", "sizeimage"),
            *("colorspace", "priv", "flags", "ycbcr_enc", "quantization", "xfer_func"),
        )
    )


class _FormatUnion(ctypes.Union):
    _fields_ = (("pix", PixFormat), ("raw", c_uint8 * 200), ("_pointer", c_void_p))


class Format(ctypes.Structure):
    """struct v4l2_format; ``fmt.pix`` is the picture's part."""

    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class Parm(ctypes.Structure):
    """struct v4l2_captureparm, and v4l2_outputparm, which differs in names only."""

    _fields_ = (("capability", c_uint32), ("mode", c_uint32), ("timeperframe", Fract), ("rest", c_uint32 * 6))


class _ParmUnion(ctypes.Union):
    _fields_ = (("capture", Parm), ("raw", c_uint8 * 200))


class StreamParm(ctypes.Structure):
    """struct v4l2_streamparm."""

    _fields_ = (("type", c_uint32), ("parm", _ParmUnion))


class RequestBuffers(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint32),
    )


class Timeval(ctypes.Structure):
    """struct timeval."""

    _fields_ = (("tv_sec", c_long), ("tv_usec", c_long))


class _BufferUnion(ctypes.Union):
    _fields_ = (("offset", c_uint32), ("userptr", c_ulong), ("fd", c_int32))


class Buffer(ctypes.Structure):
    """struct v4l2_buffer."""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("timestamp", Timeval),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _BufferUnion),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


class EventSubscription(ctypes.Structure):
    """struct v4l2_event_subscription."""

    _fields_ = (("type", c_uint32), ("id", c_uint32), ("flags", c_uint32), ("reserved", c_uint32 * 5))


class _EventUnion(ctypes.Union):
    _fields_ = (("count", c_uint32), ("data", c_uint8 * 64), ("value64", c_int64))  # value64 gives the alignment


class Timespec(ctypes.Structure):
    """struct timespec."""

    _fields_ = (("tv_sec", c_long), ("tv_nsec", c_long))


class Event(ctypes.Structure):
    """struct v4l2_event; ``u.count`` is what v4l2loopback puts into ``u.data``."""

    _fields_ = (
        ("type", c_uint32),
        ("u", _EventUnion),
        ("pending", c_uint32),
        ("sequence", c_uint32),
        ("timestamp", Timespec),
        ("id", c_uint32),
        ("reserved", c_uint32 * 8),
    )


def _request(direction: int, number: int, argument: type[ctypes.Structure | ctypes._SimpleCData[int]]) -> int:
    """The macro _IOC of <asm-generic/ioctl.h>; V4L2's letter is V."""
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


_WRITE, _READ, _BOTH = 1, 2, 3
VIDIOC_QUERYCAP = _request(_READ, 0, Capability)
VIDIOC_ENUM_FMT = _request(_BOTH, 2, FmtDesc)
VIDIOC_G_FMT = _request(_BOTH, 4, Format)
VIDIOC_S_FMT = _request(_BOTH, 5, Format)
VIDIOC_REQBUFS = _request(_BOTH, 8, RequestBuffers)
VIDIOC_QUERYBUF = _request(_BOTH, 9, Buffer)
VIDIOC_QBUF = _request(_BOTH, 15, Buffer)
VIDIOC_DQBUF = _request(_BOTH, 17, Buffer)
VIDIOC_STREAMON = _request(_WRITE, 18, c_int32)
VIDIOC_STREAMOFF = _request(_WRITE, 19, c_int32)
VIDIOC_G_PARM = _request(_BOTH, 21, StreamParm)
VIDIOC_S_PARM = _request(_BOTH, 22, StreamParm)
VIDIOC_TRY_FMT = _request(_BOTH, 64, Format)
VIDIOC_DQEVENT = _request(_READ, 89, Event)
VIDIOC_SUBSCRIBE_EVENT = _request(_WRITE, 90, EventSubscription)
VIDIOC_ENUM_FRAMESIZES = _request(_BOTH, 74, FrmSizeEnum)
VIDIOC_ENUM_FRAMEINTERVALS = _request(_BOTH, 75, FrmIvalEnum)
