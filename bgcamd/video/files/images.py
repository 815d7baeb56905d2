"""Still pictures: any common file to RGB with straight alpha."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from bgcamd.atomic import reason
from bgcamd.errors import InputError
from bgcamd.frame import JPEG, Frame, PixelFormat, Plane, Size
from bgcamd.video.files.inputs import open_input
from bgcamd.video.files.orientation import EXIF, UPRIGHT, turned

MAX_PIXELS = 100_000_000
"""The largest picture that is read; a header may declare far more than its file holds."""

READ_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".ico"}
)
"""What counts as a picture in a directory; a single file is judged by its content."""

# No EPS (Pillow would start Ghostscript), no TGA (no magic: nearly any file passes for one), no MPEG.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000", "AVIF", "ICO")
_ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
_ORIENTATION = 0x0112
HINT = "is it complete, and a picture?"

# What Pillow's decoders raise on files that are damaged or made to harm.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_PILLOW = threading.Lock()


def read_image(path: Path, *, most: int = MAX_PIXELS) -> Frame:
    """Read a still picture (of a file with several, the first).

    EXIF orientation is applied; an embedded ICC profile of an RGB or CMYK picture is converted to sRGB.
    16-bit samples are scaled to 8 bits; 32-bit integers count as 0..65535, floats as 0..1.

    Returns
    -------
    RGB24, the caller's own memory, with ``alpha`` (straight) if the file has transparency.

    Raises
    ------
    InputError: missing, unreadable, empty, a directory, damaged, not a picture, or of more than ``most`` pixels.
    """
    with opened(path, most=most) as image:
        try:
            return decoded(image)
        except DAMAGE as error:
            raise InputError(f"can't read {path}: the picture is damaged: {brief(error)}", HINT) from error


def is_animated(path: Path) -> bool | None:
    """True for a GIF, PNG, WebP or AVIF of several frames, False for another picture, None if it is no picture.

    Judged by content, without decoding. Raises InputError as ``read_image`` for a file that can't be opened
    and for a picture too large.
    """
    try:
        with opened(path) as image:
            return image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1
    except InputError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            return None
        raise
    except DAMAGE:
        return False


@contextmanager
def opened(path: Path, *, most: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Identify a picture and check its size; the pixels are not decoded yet."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        file = stack.enter_context(open_input(path))
        try:
            image = stack.enter_context(_identified(file))
        except UnidentifiedImageError as error:
            raise InputError(f"can't read {path}: it is not a picture that we know", HINT) from error
        except OSError as error:
            raise InputError(f"can't read {path}: {reason(error)}") from error
        except DAMAGE as error:
            raise InputError(f"can't read {path}: the picture is damaged: {brief(error)}", HINT) from error
        if image.width * image.height > most:
            limit = f"at most {most // 1_000_000} million are read"
            raise InputError(f"{path} declares {image.width}x{image.height} pixels; {limit}", "shrink it first")
        yield image


def _identified(file: io.BufferedReader) -> Image.Image:
    """Open with our own limit: Pillow's check would raise without naming the size, and it is global."""
    Image.init()  # Image.open, given formats, looks only at plugins already loaded
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def decoded(image: Image.Image) -> Frame:
    """Decode the picture that an opened file is at. Raises one of DAMAGE."""
    image.load()
    turn = EXIF.get(_orientation(image), UPRIGHT)
    planes = _rgba(image)
    colours, alpha = planes if len(planes) == 2 else (planes[0], None)
    colours = turned(colours, turn)
    height, width = colours.shape[:2]
    alpha = None if alpha is None else turned(alpha, turn)
    return Frame((colours,), PixelFormat.RGB24, Size(width, height), color=JPEG, alpha=alpha)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except DAMAGE:  # a damaged tag is no reason to refuse the picture
        return 1
    return value if isinstance(value, int) else 1


def _rgba(image: Image.Image) -> tuple[Plane, ...]:
    """Return the colours (h, w, 3) and, if there is transparency, the alpha (h, w)."""
    if image.mode.startswith(("I", "F")):
        return (cv2.cvtColor(_narrowed(np.asarray(image)), cv2.COLOR_GRAY2RGB),)
    if not image.has_transparency_data:
        return (np.array(_srgb(image)),)
    rgba = image.convert("RGBA")
    alpha = np.array(rgba.getchannel("A"))
    colours = rgba.convert("RGB")
    if image.mode == "RGBA":
        colours.info["icc_profile"] = image.info.get("icc_profile")
        colours = _srgb(colours)
    return np.array(colours), alpha


def _narrowed(samples: np.ndarray[Any, Any]) -> Plane:
    """Scale 16-bit samples, or floats of 0..1, to 0..255, rounded."""
    if samples.dtype.kind == "f":
        scaled = np.nan_to_num(samples).clip(0, 1) * 255
    else:
        scaled = samples.clip(0, 65535).astype(np.float32) / 257
    rounded: Plane = (scaled + 0.5).astype(np.uint8)
    return rounded


def _srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in (source.profile.profile_description or ""):
                sRGB = ImageCms.createProfile("sRGB")  # noqa: N806 - its name
                return ImageCms.profileToProfile(image, source, sRGB, outputMode="RGB") or image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a damaged profile is no reason to refuse the picture
    return image.convert("RGB")


def brief(error: BaseException) -> str:
    """What a decoder says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
