"""Pictures and clips of many formats, and what becomes of them when somebody means harm: the same for the same seed.

``python tests/decoding/mutants.py [RUNS] [SEED]`` gives so many of them to real decoders and says what came of it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
from PIL import Image

from bgcamd.canvas.background import Plate
from bgcamd.decoding.clip import Played
from bgcamd.decoding.decoders import Decoders
from bgcamd.errors import InputError
from bgcamd.frame import BT601, BT709, Frame, PixelFormat, Size
from bgcamd.scene import Fit
from bgcamd.video.files.media_writer import MediaWriter

PLATE = Plate(Size(64, 36), PixelFormat.I420, BT601)
_EXTREMES = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\xff\xff",
    b"\xff\xff",
    b"\0\1",
]
_STILLS: list[tuple[str, str, dict[str, object]]] = [
    ("png", "RGB", {}), ("png", "RGBA", {}), ("png", "P", {}), ("png", "I;16", {}), ("jpeg", "RGB", {}),
    ("jpeg", "CMYK", {}), ("jpeg", "L", {"progressive": True}), ("webp", "RGB", {}),
    ("webp", "RGBA", {"lossless": True}),
    ("gif", "P", {}), ("bmp", "RGB", {}), ("tiff", "RGB", {"compression": "tiff_lzw"}), ("tiff", "RGB", {}),
    ("jpeg2000", "RGB", {}), ("avif", "RGB", {}), ("ico", "RGBA", {}), ("ppm", "RGB", {}),
]  # fmt: skip
CLIPS = (".gif", ".apng", ".awebp", ".mp4", ".webm", ".mov", ".mkv")


def seeds(folder: Path) -> list[Path]:
    """Small whole files of every format, made there; clips have a suffix of ``CLIPS``."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 4), np.uint8)
    picture = Image.fromarray(noise)
    made = []
    for number, (kind, mode, options) in enumerate(_STILLS):
        path = folder / f"{number}.still"
        plain = picture.convert("L") if mode == "I;16" else picture
        plain.convert(mode).save(path, kind, **options)
        made.append(path)
    more = [Image.fromarray(np.roll(noise, 8 * turn, 1)) for turn in range(1, 4)]
    for kind in ("gif", "png", "webp"):
        path = folder / f"moving.{'' if kind == 'gif' else 'a'}{kind}"
        picture.save(path, kind, save_all=True, append_images=more, duration=40)
        made.append(path)
    for suffix in (".mp4", ".webm", ".mov", ".mkv"):
        path = folder / f"clip{suffix}"
        with MediaWriter(path, size=Size(64, 48), rate=Fraction(25), color=BT709) as writer:
            for number, each in enumerate((picture, *more) * 2):
                rgb = np.ascontiguousarray(np.asarray(each)[..., :3])
                frame = Frame((rgb,), PixelFormat.RGB24, Size(64, 48), captured_ns=number * 40_000_000)
                writer.write(frame)
        made.append(path)
    return made


def mutants(whole: list[bytes], count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """So many damaged ones, each with the number of the file that it was."""
    chance = random.Random(seed)
    for _ in range(count):
        number = chance.randrange(len(whole))
        yield number, _mutated(bytearray(whole[number]), whole, chance)


def _mutated(content: bytearray, whole: list[bytes], chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(content)) if chance.random() < 0.6 else chance.randrange(min(len(content), 300))
        match chance.randrange(6):
            case 0 | 1:
                content[at] = chance.randrange(256)
            case 2:
                extreme = chance.choice(_EXTREMES)
                content[at : at + len(extreme)] = extreme
            case 3:
                del content[at : at + chance.randrange(1, 64)]
            case 4:
                content[at:at] = content[at : at + chance.randrange(1, 64)]
            case 5:
                other = chance.choice(whole)
                start = chance.randrange(len(other))
                content[at : at + 32] = other[start : start + 32]
        content = content or bytearray(b"\0")
    return bytes(content[: chance.randrange(len(content)) + 1] if chance.random() < 0.1 else content)


def ask(decoders: Decoders, path: Path, job: int) -> str:
    """Have it decoded one way or another; "well", or what was told. Anything but an InputError is raised."""
    try:
        match job % 3:
            case 0:
                decoders.background_of(path)
            case 1:
                planes = decoders.picture(path, PLATE, list(Fit)[job % 4])
                assert [plane.shape for plane in planes] == [(36, 64), (18, 32), (18, 32)]
            case 2:
                assert decoders.small(path)[0].shape == (180, 320)
    except InputError as error:
        return error.message
    return "well"


def play(decoders: Decoders, path: Path) -> str:
    """Show some pictures of it, in a decoder of its own."""
    try:
        with Played(path, PLATE, Fit.COVER, decoders, pauses_s=()) as clip:
            for turn in range(40):
                clip.planes_at(turn * 40_000_000)
                time.sleep(0.002)
            return clip.problem or "well"
    except InputError as error:
        return error.message


def main(runs: int, seed: int) -> None:
    """Every tenth of the clips is played, all else is read as a still, as a small picture or for its kind."""
    with tempfile.TemporaryDirectory() as name, Decoders() as decoders:
        folder = Path(name)
        files = seeds(folder)
        outcomes, longest, began = Counter[str](), 0.0, time.monotonic()
        for turn, (number, content) in enumerate(mutants([file.read_bytes() for file in files], runs, seed)):
            path = folder / "mutant"
            path.write_bytes(content)
            before = time.monotonic()
            played = files[number].suffix in CLIPS and turn % 10 == 0
            said = play(decoders, path) if played else ask(decoders, path, turn)
            longest = max(longest, time.monotonic() - before)
            lost = "can't be decoded: " in said
            outcomes[
                "lost: " + said.partition("can't be decoded: ")[2] if lost else "well" if said == "well" else "refused"
            ] += 1
            if lost:
                Path(f"{turn}.mutant").write_bytes(content)
                click.echo(f"{turn} ({files[number].name}): {said}")
        click.echo(f"{runs} files in {time.monotonic() - began:.0f} s, the longest {longest:.2f} s: {dict(outcomes)}")


if __name__ == "__main__":
    arguments = [int(each) for each in sys.argv[1:]]
    main(*(arguments + [20_000, 1][len(arguments) :]))
