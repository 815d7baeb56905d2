"""A network's stream as a camera: demuxed and decoded in a thread of its own, the newest frame wins."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Self, cast

import av
import av.error
from av.codec.context import Flags, ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from bgcamd.atomic import reason
from bgcamd.errors import SourceError
from bgcamd.frame import Color, Frame, PixelFormat, Size
from bgcamd.video.files.container import MAX_PIXELS, brief, color_of
from bgcamd.video.files.swscale import convert, samples
from bgcamd.video.mailbox import Latest
from bgcamd.video.stream.sdp import expectation
from bgcamd.video.stream_address import Rtp, Rtsp
from bgcamd.web.network import network_hint

_OPEN_S, _SILENT_S = 5.0, 2.0
_FIRST_S = _OPEN_S - _SILENT_S  # of RTP there is nothing to open: libav waits so long for a packet, and then once more
_PICTURE_S = 12.0  # a stream that flows may keep us waiting for its next key frame: ffmpeg's come every 10 s
_USUAL_RATE = Fraction(30)
_OPTIONS = {
    # What comes first is decoded at once; to guess more about it from many packets would only cost time.
    "probesize": "32",
    "analyzeduration": "0",
    "fpsprobesize": "0",
    "max_delay": "50000",  # µs: how long a packet of UDP that is late is waited for
    "buffer_size": "1048576",
}


class StreamSource:
    """Receives from the moment it is made until it is closed. See ``protocols.Source``.

    Frames are I420 of even size in the stream's own matrix, limited range; their planes are libav's memory and
    stay valid as long as they are held. Where the stream changes its size, they do. ``captured_ns`` is when the
    packet arrived; libav knows a picture's end by the next one's start, so that it comes a frame's time later.

    Parameters
    ----------
    name: for people.
    open_container: opens it, in the thread that reads it; raises FFmpegError.
    hint: what to do when nothing comes.

    Raises
    ------
    SourceError: nothing came within 5 s, or no picture within 12 s; nothing that we can decode.
    """

    def __init__(self, name: str, open_container: Callable[[], InputContainer], hint: str) -> None:
        self.name = name
        self.size, self.rate = Size(0, 0), _USUAL_RATE
        self._open, self._hint = open_container, hint
        self._scaler, self._sequence = VideoReformatter(), 0
        self._mailbox = Latest[Frame]()
        self._ending, self._settled = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stream")
        self._thread.start()
        try:
            if not self._settled.wait(_PICTURE_S):
                self._error = SourceError(f"{name}: no picture within {_PICTURE_S:.0f} s", "it has no key frames")
            if self._error is not None:
                raise self._error
        except BaseException:
            self.close()
            raise

    def read(self, timeout_s: float) -> Frame | None:
        """See ``protocols.Source``."""
        frame = self._mailbox.get(timeout_s)
        if frame is None and self._error is not None:
            raise self._error
        if frame is not None:
            self.size = frame.size
        return frame

    def close(self) -> None:
        """End the thread, at the next packet, or 2 s after the last; a second call does nothing."""
        self._ending.set()
        self._mailbox.close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        began_s = time.monotonic()
        try:
            with self._open() as container:
                self._receive(container)
        except av.error.FFmpegError as error:
            self._error = self._told(error, time.monotonic() - began_s)
        except Exception as error:
            self._error = error
        finally:
            self._settled.set()
            self._mailbox.close()

    def _told(self, error: av.error.FFmpegError, lasted_s: float) -> SourceError:
        """What went wrong, without what libav says of the address: there may be a password in it."""
        if self._settled.is_set() and isinstance(error, av.error.ExitError):
            return SourceError(f"{self.name}: nothing came for {_SILENT_S:.0f} s", self._hint)
        if not self._settled.is_set() and lasted_s >= _OPEN_S:  # libav then calls the answer that is not there invalid
            return SourceError(f"{self.name}: nothing came within {_OPEN_S:.0f} s", self._hint)
        if isinstance(error, av.error.EOFError):
            return SourceError(f"{self.name}: the stream has ended", "it is opened again")
        if isinstance(error, av.error.HTTPUnauthorizedError):
            return SourceError(f"{self.name}: it asks for another user or password", "rtsp://USER:PASSWORD@HOST/PATH")
        return SourceError(f"{self.name}: {brief(error)}", network_hint(error.errno, self._hint))

    def _receive(self, container: InputContainer) -> None:
        stream = container.streams.best("video")
        decoder = cast("VideoCodecContext | None", stream and stream.codec_context)
        if not isinstance(stream, VideoStream) or decoder is None:
            raise SourceError(f"{self.name}: there is no picture in it that we can decode", "send H.264, say")
        decoder.thread_type, decoder.thread_count = ThreadType.SLICE, 0
        decoder.flags |= Flags.low_delay
        decoder.options = {"max_pixels": str(MAX_PIXELS)}
        for packet in container.demux(stream):
            if self._ending.is_set():
                return
            self._decode(packet, decoder, time.monotonic_ns())
        raise SourceError(f"{self.name}: the stream has ended", "it is opened again")

    def _decode(self, packet: Packet[VideoStream], decoder: VideoCodecContext, arrived_ns: int) -> None:
        """Decode one packet; a damaged one is passed over: the next key frame makes it good."""
        try:
            pictures = decoder.decode(packet)
        except (av.error.InvalidDataError, av.error.ExternalError):
            return
        for picture in pictures:
            if min(picture.width, picture.height) < 2:
                continue
            frame = self._frame(picture, arrived_ns)
            if not self._settled.is_set():
                self.size, self.rate = frame.size, _plausible(packet.stream, decoder)
            self._mailbox.put(frame)
            self._settled.set()

    def _frame(self, picture: av.VideoFrame, arrived_ns: int) -> Frame:
        source = color_of(picture)
        color = Color(source.matrix)
        whole = Size(picture.width, picture.height)
        picture = convert(picture, "yuv420p", source=source, target=color, size=whole, scaler=self._scaler)
        width, height = size = Size(whole.width & ~1, whole.height & ~1)
        luma = samples(picture, 0)[:height, :width]
        chroma = [samples(picture, index)[: height // 2, : width // 2] for index in (1, 2)]
        self._sequence += 1
        return Frame(
            (luma, *chroma), PixelFormat.I420, size, color=color, captured_ns=arrived_ns, sequence=self._sequence
        )


class RtspSource(StreamSource):
    """What somebody serves by RTSP; over its connection where the server can do that, else by UDP."""

    def __init__(self, address: Rtsp) -> None:
        options = {
            **_OPTIONS,
            "protocol_whitelist": "rtsp,rtp,tcp,udp",  # a server may redirect us, but not to a file
            "rtsp_transport": "udp+tcp",
            "rtsp_flags": "prefer_tcp",
            "allowed_media_types": "video",
        }

        def open_it() -> InputContainer:
            return av.open(address.url, "r", format="rtsp", options=options, timeout=(_OPEN_S, _SILENT_S))

        super().__init__(address.shown, open_it, "is the address right, and does it serve now?")


class RtpSource(StreamSource):
    """What somebody sends to a port of ours by RTP; what arrives at other interfaces is not taken."""

    def __init__(self, address: Rtp) -> None:
        options = {**_OPTIONS, "protocol_whitelist": "rtp,udp", "localaddr": address.host, "reorder_queue_size": "64"}

        def open_it() -> InputContainer:
            _check_free(address)
            text = io.BytesIO(expectation(address).encode())
            return av.open(text, "r", format="sdp", options=options, timeout=(_FIRST_S, _SILENT_S))

        super().__init__(str(address), open_it, f"does anybody send {address.codec} to it?")


def _check_free(address: Rtp) -> None:
    """Raise SourceError where we can't listen: libav would not say why."""
    for port in (address.port, address.port + 1):
        try:
            with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((address.host, port))
        except OSError as error:
            message = f"can't listen on {address.host}:{port}: {reason(error)}"
            raise SourceError(message, network_hint(error.errno, "choose another port, or end what has it")) from error


def _plausible(stream: VideoStream, decoder: VideoCodecContext) -> Fraction:
    """The rate that the stream says it has, if that can be."""
    rates = (stream.average_rate, decoder.framerate, stream.guessed_rate)
    return next((rate for rate in rates if rate and 1 <= rate <= 240), _USUAL_RATE)
