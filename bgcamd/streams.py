"""From the addresses of streams to what opens them; each class is imported when it is used: some need an extra."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import find_spec

from bgcamd.errors import UsageError
from bgcamd.frame import Size
from bgcamd.paths import state_folder
from bgcamd.protocols import Sink, Source
from bgcamd.video.stream_address import Csi, Display, Rtp, Rtsp, Served
from bgcamd.web.secret import kept_secret

CameraStream = Rtsp | Rtp | Served | Csi
OutputStream = Rtp | Served | Display


def check_stream(address: CameraStream | OutputStream) -> None:
    """Raise UsageError where a package is missing that this stream needs."""
    package, extra = "", ""
    if isinstance(address, Served) and address.scheme == "webrtc":
        package, extra = "aiortc", "stream"
    elif isinstance(address, Display):
        package, extra = "pygame", "display"
    if package and find_spec(package) is None:
        raise UsageError(f"{address} needs the package {package}", f"pip install 'bgcamd[{extra}]'")


def open_camera(address: CameraStream, size: Size | None, fps: Fraction | None) -> Source:
    """Open a stream that comes in. Raises SourceError."""
    match address:
        case Rtsp():
            from bgcamd.video.stream.source import RtspSource

            return RtspSource(address)
        case Rtp():
            from bgcamd.video.stream.source import RtpSource

            return RtpSource(address)
        case Served():
            from bgcamd.video.webrtc.source import WebRtcSource

            return WebRtcSource(address, secret=kept_secret(state_folder()))
        case Csi():
            from bgcamd.video.csi import CsiSource

            return CsiSource(address, size=size, fps=fps)


def open_output(address: OutputStream, size: Size, rate: Fraction) -> Sink:
    """Open a stream that goes out, for frames of ``size``. Raises SinkError."""
    match address:
        case Rtp():
            from bgcamd.video.stream.rtp_sink import RtpSink

            return RtpSink(address, size=size, rate=rate)
        case Served("rtsp"):
            from bgcamd.video.stream.rtsp_sink import RtspSink

            return RtspSink(address, size=size, rate=rate, secret=kept_secret(state_folder()))
        case Served():
            from bgcamd.video.webrtc.sink import WebRtcSink

            return WebRtcSink(address, size=size, rate=rate, secret=kept_secret(state_folder()))
        case Display():
            from bgcamd.video.display.window import DisplaySink

            return DisplaySink(address, size=size, rate=rate)
