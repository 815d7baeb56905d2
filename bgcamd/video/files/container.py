"""Media files as libav opens them: which stream is the picture, who decodes it, what its samples mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.container
import av.error
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from bgcamd.errors import InputError
from bgcamd.frame import BT601, BT709, Color
from bgcamd.video.files.inputs import Held, held, open_input
from bgcamd.video.files.orientation import UPRIGHT, Turn, turn_of_matrix

HINT = "is it complete, and a picture or a video?"
MAX_PIXELS = 100_000_000
"""The largest frame that is decoded."""

# libav would draw any .txt as a picture of its letters, and read the files that a playlist names.
_NO_VIDEO = frozenset({"tty", "hls", "dash", "concat"})
# libavcodec's own VP8 and VP9 decoders leave a WebM's alpha out.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_BT709_TAG = 1
_BT601_TAGS = frozenset({4, 5, 6})
_FULL_TAG = 2


@dataclass(frozen=True)
class Sound:
    """The sound that belongs to a clip. start: the time of the clip's first picture in the file, in seconds."""

    path: Path
    start: Fraction


def open_container(path: Path) -> av.container.InputContainer:
    """Open a media file; no network is touched, and playlists of other files are refused.

    Raises
    ------
    InputError: missing, unreadable, empty, a directory, or nothing that libav knows.
    """
    open_input(path).close()
    fd = held(path)
    try:
        # "file:" keeps a name with a colon from being taken for a protocol.
        file: Any = f"file:{path}" if fd is None else Held(fd)
        allowed = {"protocol_whitelist": "file" if fd is None else "none"}
        container: av.container.InputContainer = av.open(file, "r", options=allowed, metadata_errors="ignore")
    except av.error.FFmpegError as error:
        raise InputError(
            f"can't read {path}: it is neither a picture nor a video that we know, or damaged", HINT
        ) from error
    if container.format.name in _NO_VIDEO:
        container.close()
        raise InputError(f"can't read {path}: it is neither a picture nor a video", HINT)
    return container


def video_stream(container: av.container.InputContainer, path: Path) -> VideoStream:
    """Return the best video stream that is not a cover picture."""
    for stream in (container.streams.best("video"), *container.streams.video):
        if stream is not None and not stream.disposition & Disposition.attached_pic:
            return cast(VideoStream, stream)
    raise InputError(f"{path} has no video stream", "choose a file with a picture in it")


def sound_stream(container: av.container.InputContainer) -> AudioStream | None:
    """Return the best stream of sound that can be decoded."""
    for stream in (container.streams.best("audio"), *container.streams.audio):
        if stream is not None and stream.codec_context is not None:
            return cast(AudioStream, stream)
    return None


def decoder(stream: VideoStream, path: Path) -> VideoCodecContext:
    """Return the decoder that gives a stream's alpha too. Raises InputError where there is none, or for a huge size."""
    plain = cast("VideoCodecContext | None", stream.codec_context)
    if plain is None:
        raise InputError(f"can't read {path}: its video codec is not known", HINT)
    if plain.width * plain.height > MAX_PIXELS:
        raise InputError(f"{path} declares {plain.width}x{plain.height} pixels", "scale it down first")
    better = _ALPHA_DECODERS.get(plain.codec.canonical_name)
    if better is None or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return plain
    decoder = cast(VideoCodecContext, CodecContext.create(better, "r"))
    decoder.extradata = plain.extradata
    return decoder


def usual_color(height: int) -> Color:
    """What an untagged file of so many lines holds, as players assume."""
    return BT601 if height < 720 else BT709


def color_of(picture: av.VideoFrame) -> Color:
    """What the samples mean, as tagged, else as is usual."""
    name = picture.format.name
    untagged_grey = name.startswith(("gray", "ya", "mono")) and not picture.color_range
    full = picture.color_range == _FULL_TAG or name.startswith("yuvj") or untagged_grey
    if picture.colorspace == _BT709_TAG:
        return Color("bt709", full)
    if picture.colorspace in _BT601_TAGS:
        return Color("bt601", full)
    return Color(usual_color(picture.height).matrix, full)


def turn_of(picture: av.VideoFrame) -> Turn:
    """How a frame must be turned to stand upright (its display matrix)."""
    # picture.side_data would tie the picture to itself, and its memory would wait for a collection of cycles.
    try:
        matrix = cast(Any, SideDataContainer)(picture).get("DISPLAYMATRIX")
    except ValueError:  # there is something beside the picture that PyAV has no name for
        return UPRIGHT
    return UPRIGHT if matrix is None else turn_of_matrix(bytes(matrix))


def duration(container: av.container.InputContainer, stream: VideoStream) -> tuple[float | None, bool]:
    """Return the seconds that a clip lasts, as declared, and whether that is surely the picture, not the sound."""
    whole = container.duration / av.time_base if container.duration else None
    own = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
    if own is None:
        own = _clock(stream.metadata.get("DURATION", ""))
    if own is None:
        return whole, not container.streams.audio
    # A stream's duration also counts what an edit list leaves out; the file's does not.
    return (min(own, whole) if whole else own), True


def _clock(text: str) -> float | None:
    """Read Matroska's DURATION tag, "00:00:30.037000000"."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return match and int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def brief(error: av.error.FFmpegError) -> str:
    """What libav says, in one line ("invalid data found when processing input")."""
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:]
