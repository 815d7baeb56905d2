"""From the addresses of streams to what opens them. Each class is imported when it is used: some need an extra."""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from socket import gethostname
from typing import Any

from bgcamd.errors import UsageError
from bgcamd.frame import Size
from bgcamd.paths import state_folder
from bgcamd.protocols import Sink, Source
from bgcamd.video.stream_address import Csi, Display, Rtp, Rtsp, Served, bracketed
from bgcamd.web.secret import kept_secret

CameraStream = Rtsp | Rtp | Served | Csi
OutputStream = Rtp | Served | Display


def check_stream(address: object) -> None:
    """Raise UsageError where a package is missing that this address needs."""
    match address:
        case Served("webrtc"):
            package, extra = "aiortc", "stream"
        case Display():
            package, extra = "pygame", "display"
        case _:
            return
    if find_spec(package) is None:
        raise UsageError(f"{address} needs the package {package}", f"pip install 'bgcamd[{extra}]'")


def given_at(address: object) -> str:
    """Where a person gives this camera its picture, in a line; "" where nobody has to."""
    match address:
        case Served("webrtc", host, port, name):
            named = gethostname() if host in ("0.0.0.0", "::") else bracketed(host)  # noqa: S104 - nothing is bound
            return f"open http://{named}:{port}/{_secret()}/{name} in a browser"
        case _:
            return ""


def is_patient(address: object) -> bool:
    """Whether it is no fault of this camera's that it gives no picture at first: somebody has to send one."""
    return isinstance(address, Rtp) or (isinstance(address, Served) and address.scheme == "webrtc")


def open_camera(address: CameraStream, size: Size | None, fps: Fraction | None) -> Source:
    """Open a stream that comes in. Raises SourceError."""
    source: Source
    match address:
        case Rtsp():
            source = _named("bgcamd.video.stream.source:RtspSource")(address)
        case Rtp():
            source = _named("bgcamd.video.stream.source:RtpSource")(address)
        case Served():
            source = _named("bgcamd.video.webrtc.source:WebRtcSource")(address, secret=_secret())
        case Csi():
            source = _named("bgcamd.video.csi:CsiSource")(address, size=size, fps=fps)
    return source


def open_output(address: OutputStream, size: Size, rate: Fraction) -> Sink:
    """Open a stream that goes out, for frames of ``size``. Raises SinkError."""
    sink: Sink
    match address:
        case Rtp():
            sink = _named("bgcamd.video.stream.rtp_sink:RtpSink")(address, size=size, rate=rate)
        case Served("rtsp"):
            sink = _named("bgcamd.video.stream.rtsp_sink:RtspSink")(address, size=size, rate=rate, secret=_secret())
        case Served():
            sink = _named("bgcamd.video.webrtc.sink:WebRtcSink")(address, size=size, rate=rate, secret=_secret())
        case Display():
            sink = _named("bgcamd.video.display.window:DisplaySink")(address, size=size, rate=rate)
    return sink


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _secret() -> str:
    return kept_secret(state_folder())
