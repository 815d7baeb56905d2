"""Which codecs go into which container, by the extension of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bgcamd.atomic import check_target
from bgcamd.errors import OutputError


@dataclass(frozen=True)
class Encoding:
    """A libavcodec encoder, its pixel format and its options."""

    codec: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """A libavformat muxer and what goes into it.

    picture: the encoding of frames without alpha; alpha: of frames with alpha, None where there is no such.
    copied: codecs of sound that are taken over as they are; sound: the encoder for all others.
    constant_rate: frames have no times of their own, only numbers.
    """

    muxer: str
    picture: Encoding
    alpha: Encoding | None
    copied: frozenset[str]
    sound: str
    options: dict[str, str] = field(default_factory=dict)
    constant_rate: bool = False


_H264 = {"preset": "veryfast", "crf": "19"}
_VP9 = {"deadline": "realtime", "cpu-used": "6", "crf": "24", "row-mt": "1"}
_X264 = Encoding("libx264", "yuv420p", _H264)
# The alternate reference frames of VP9 can't be used together with alpha.
_VPX_ALPHA = Encoding("libvpx-vp9", "yuva420p", {**_VP9, "auto-alt-ref": "0"})
_PRORES = Encoding("prores_ks", "yuva444p10le", {"profile": "4444"})
_FFV1 = Encoding("ffv1", "yuva420p", {"level": "3", "slices": "4"})
_APPLE = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
_ANY = _APPLE | {"opus", "vorbis", "flac", "dts", "truehd", "mp2", "pcm_s16le", "pcm_s24le", "pcm_f32le"}
_FASTSTART = {"movflags": "+faststart"}  # the index in front, so that playing starts before all is loaded

_MP4 = Container("mp4", _X264, None, _APPLE, "aac", _FASTSTART)
CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("mov", _X264, _PRORES, _APPLE | {"pcm_s16le", "pcm_s24le"}, "aac", _FASTSTART),
    ".mkv": Container("matroska", _X264, _FFV1, _ANY, "aac"),
    ".webm": Container(
        "webm", Encoding("libvpx-vp9", "yuv420p", _VP9), _VPX_ALPHA, frozenset({"opus", "vorbis"}), "libopus"
    ),
    ".avi": Container(
        "avi",
        Encoding("libx264", "yuv420p", {**_H264, "bf": "0"}),  # AVI has no times, so frames can't be reordered
        None,
        frozenset({"mp3", "ac3", "pcm_s16le"}),
        "libmp3lame",
        constant_rate=True,
    ),
}
ALPHA_SUFFIXES = frozenset(suffix for suffix, container in CONTAINERS.items() if container.alpha is not None)


def check_clip_target(path: Path, *, alpha: bool, overwrite: bool) -> tuple[Container, Encoding]:
    """Return how ``path`` is to be written.

    Raises
    ------
    OutputError: unknown extension; alpha asked for where the container can't hold it; as ``check_target``.
    """
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise OutputError(f"can't write {path}: unknown kind of video", f"known are {' '.join(sorted(CONTAINERS))}")
    encoding = container.alpha if alpha else container.picture
    if encoding is None:
        raise OutputError(f"{path} can't be transparent", "write .webm, .mov or .mkv, or choose a background")
    check_target(path, overwrite=overwrite)
    return container, encoding
