"""Stills: what is read is what the picture looks like, and what is written reads back."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from bgcamd.errors import InputError, OutputError
from bgcamd.frame import BT601, BT709, JPEG, Color, Frame, PixelFormat, Size
from bgcamd.video.files.image_writer import ImageWriter, write_image
from bgcamd.video.files.images import is_animated, read_image

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rgb(colours: np.ndarray, alpha: np.ndarray | None = None) -> Frame:
    return Frame((colours,), PixelFormat.RGB24, Size(colours.shape[1], colours.shape[0]), color=JPEG, alpha=alpha)


def png16(samples: np.ndarray, colour_type: int) -> bytes:
    """A 16-bit PNG written by hand: Pillow can't write RGB ones."""

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png(struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0), rows)


def png(header: bytes, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def corners() -> np.ndarray:
    """4 x 6 pixels whose corners differ: red, green / blue, white; grey in between."""
    colours = np.full((4, 6, 3), 128, np.uint8)
    colours[0, 0], colours[0, -1], colours[-1, 0], colours[-1, -1] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3
    return colours


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, corners: np.ndarray, orientation: int) -> None:
    # How the upright picture lies in the file, for each value of the tag (EXIF 2.32, 4.6.4 A).
    stored = {
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.swapaxes(0, 1),
        6: np.rot90(corners, 1),
        7: np.rot90(corners, 2).swapaxes(0, 1),
        8: np.rot90(corners, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    frame = read_image(tmp_path / "a.png")
    assert frame.size == (6, 4)
    np.testing.assert_array_equal(frame.planes[0], corners)


def test_exif_orientation_turns_the_alpha_too(tmp_path: Path) -> None:
    alpha = np.arange(12, dtype=np.uint8).reshape(3, 4)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.dstack([np.zeros((3, 4, 3), np.uint8), alpha])).save(tmp_path / "a.png", exif=exif)
    frame = read_image(tmp_path / "a.png")
    assert frame.alpha is not None
    np.testing.assert_array_equal(frame.alpha, np.rot90(alpha, -1))


def test_a_value_of_orientation_that_does_not_exist_is_ignored(tmp_path: Path, corners: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    Image.fromarray(corners).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").planes[0], corners)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, kind: str) -> None:
    samples = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(samples).save(tmp_path / f"a.{kind}")
    assert read_image(tmp_path / f"a.{kind}").planes[0][0].tolist() == [[v] * 3 for v in (0, 1, 128, 255)]


def test_16_bit_colour_is_scaled_not_clipped(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png16(np.array([[[0, 32768, 65535], [65535, 257, 0]]]), colour_type=2))
    assert read_image(tmp_path / "a.png").planes[0].tolist() == [[[0, 128, 255], [255, 1, 0]]]


def test_16_bit_grey_with_alpha_keeps_both(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png16(np.array([[[65535, 32896], [0, 65535]]]), colour_type=4))
    frame = read_image(tmp_path / "a.png")
    assert frame.planes[0].tolist() == [[[255] * 3, [0] * 3]]
    assert frame.alpha is not None
    assert frame.alpha.tolist() == [[128, 255]]


def test_floats_count_from_0_to_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-1, 0, 0.5, 1, 9]], np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").planes[0][0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("1", 1, 255), ("L", 77, 77), ("P", 5, None), ("CMYK", (0, 0, 0, 128), 127)],
)
def test_other_modes_become_rgb(tmp_path: Path, mode: str, value: object, expected: int | None) -> None:
    image = Image.new(mode, (3, 2), value)  # type: ignore[arg-type]
    if mode == "P":
        image.putpalette([0] * 15 + [9, 8, 7])
    image.save(tmp_path / "a.tif")
    frame = read_image(tmp_path / "a.tif")
    assert frame.alpha is None
    assert frame.planes[0][1, 2].tolist() == ([9, 8, 7] if expected is None else [expected] * 3)


def test_a_palette_with_a_transparent_colour_has_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    frame = read_image(tmp_path / "a.png")
    assert frame.alpha is not None
    assert frame.alpha.tolist() == [[0, 255]]
    assert frame.planes[0].tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_colours_under_transparency_are_not_premultiplied(tmp_path: Path) -> None:
    Image.new("RGBA", (1, 1), (200, 100, 50, 1)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").planes[0].tolist() == [[[200, 100, 50]]]


def test_a_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    # sRGB with the primaries of red and green exchanged, and another name.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "a.png", icc_profile=profile)
    assert read_image(tmp_path / "a.png").planes[0].tolist() == [[[0, 255, 0]]]


def test_a_damaged_colour_profile_is_ignored(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (100, 150, 200)).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert read_image(tmp_path / "a.png").planes[0].tolist() == [[[100, 150, 200]]]


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0), b""))
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(InputError, match="declares 50000x50000 pixels"):
        read_image(tmp_path / "a.png")
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty"), (b"hello, world\n" * 20, "not a picture"), (b"\x89PNG\r\n\x1a\n", "damaged|not a picture")],
)
def test_what_is_no_picture_is_told_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_image(tmp_path / "a.png")
    assert str(tmp_path / "a.png") in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif", "bmp"])
def test_a_truncated_picture_is_refused(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    write_image(tmp_path / f"a.{kind}", rgb(noise), overwrite=False)
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        read_image(tmp_path / f"a.{kind}")


def test_a_directory_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.png")


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        "bgcamd.video.files.inputs._at_once", refuse
    )  # the tests may run as root, for whom every file is readable
    with pytest.raises(InputError, match=r"a\.png: permission denied"):
        read_image(tmp_path / "a.png")


@QUICK
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]), data=st.data())
def test_a_damaged_picture_is_read_or_refused_never_more(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(buffer, kind)
    damaged = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=12)):
        damaged[place] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(damaged)
    try:
        frame = read_image(tmp_path / "a")
    except InputError:
        return
    assert frame.planes[0].shape == (frame.size.height, frame.size.width, 3)


PICTURES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(4)))


@QUICK
@given(pixels=PICTURES, kind=st.sampled_from(["png", "tiff", "bmp"]), planar=st.booleans())
def test_lossless_kinds_keep_every_colour(tmp_path: Path, pixels: np.ndarray, kind: str, planar: bool) -> None:
    frame = rgb(pixels[..., :3].copy())
    if planar:
        planes = tuple(np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
        frame = Frame(planes, PixelFormat.RGBP, frame.size)
    write_image(tmp_path / f"a.{kind}", frame, overwrite=True)
    back = read_image(tmp_path / f"a.{kind}")
    assert back.alpha is None
    np.testing.assert_array_equal(back.planes[0], pixels[..., :3])


@QUICK
@given(pixels=PICTURES, kind=st.sampled_from(["png", "tiff"]))
def test_alpha_is_kept_exactly_and_straight(tmp_path: Path, pixels: np.ndarray, kind: str) -> None:
    write_image(tmp_path / f"a.{kind}", rgb(pixels[..., :3].copy(), pixels[..., 3].copy()), overwrite=True)
    back = read_image(tmp_path / f"a.{kind}")
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, pixels[..., 3])
    np.testing.assert_array_equal(back.planes[0], pixels[..., :3])


@QUICK
@given(pixels=PICTURES)
def test_grey_is_written_as_grey(tmp_path: Path, pixels: np.ndarray) -> None:
    grey = pixels[..., 0].copy()
    write_image(tmp_path / "a.png", Frame((grey,), PixelFormat.GREY, Size(*grey.shape[::-1])), overwrite=True)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), grey)


def test_webp_keeps_the_alpha(tmp_path: Path) -> None:
    alpha = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    write_image(tmp_path / "a.webp", rgb(np.full((32, 32, 3), 90, np.uint8), alpha), overwrite=False)
    back = read_image(tmp_path / "a.webp")
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, alpha)


def test_jpeg_keeps_full_resolution_colour(tmp_path: Path) -> None:
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255
    write_image(tmp_path / "a.jpg", rgb(stripes), overwrite=False)
    assert np.abs(read_image(tmp_path / "a.jpg").planes[0].astype(int) - stripes).mean() < 12


@pytest.mark.parametrize("color", [BT601, BT709, JPEG, Color("bt709", full_range=True)])
def test_i420_is_written_in_the_colour_that_it_means(tmp_path: Path, color: Color) -> None:
    # Red, by the coefficients of the two standards (ITU-R BT.601 2.5.1, BT.709 item 3).
    kr, kb = (0.299, 0.114) if color.matrix == "bt601" else (0.2126, 0.0722)
    y, u, v = kr, -kr / (2 * (1 - kb)), 0.5
    scale, base, chroma = (255, 0, 255) if color.full_range else (219, 16, 224)
    values = [round(y * scale + base), round(u * chroma + 128), min(255, round(v * chroma + 128))]
    planes = tuple(
        np.full(shape, value, np.uint8) for shape, value in zip([(8, 8), (4, 4), (4, 4)], values, strict=True)
    )
    write_image(tmp_path / "a.png", Frame(planes, PixelFormat.I420, Size(8, 8), color=color), overwrite=False)
    assert np.abs(read_image(tmp_path / "a.png").planes[0].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("kind", ["jpg", "bmp"])
def test_alpha_is_refused_where_it_would_be_lost(tmp_path: Path, kind: str) -> None:
    frame = rgb(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8))
    with pytest.raises(OutputError, match="can't be transparent") as caught:
        write_image(tmp_path / f"a.{kind}", frame, overwrite=False)
    assert ".png" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_extension_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.jpg.*\.png.*\.webp"):
        write_image(tmp_path / "a.xyz", rgb(np.zeros((2, 2, 3), np.uint8)), overwrite=False)


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists") as caught:
        write_image(target, rgb(np.zeros((2, 2, 3), np.uint8)), overwrite=False)
    assert "--overwrite" in caught.value.hint
    assert target.read_bytes() == b"old"
    write_image(target, rgb(np.zeros((2, 2, 3), np.uint8)), overwrite=True)
    assert read_image(target).size == (2, 2)


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    write_image(tmp_path / "link.png", rgb(np.zeros((2, 2, 3), np.uint8)), overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert read_image(tmp_path / "real.png").size == (2, 2)


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "null.png").symlink_to("/dev/null")
    with pytest.raises(OutputError, match="not a regular file"):
        write_image(tmp_path / "null.png", rgb(np.zeros((2, 2, 3), np.uint8)), overwrite=True)


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no directory"):
        write_image(tmp_path / "none" / "a.png", rgb(np.zeros((2, 2, 3), np.uint8)), overwrite=False)


def test_a_picture_too_large_for_its_kind_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"can't write .*a\.webp"):
        write_image(tmp_path / "a.webp", rgb(np.zeros((1, 20_000, 3), np.uint8)), overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_discards_the_picture(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with ImageWriter(target, overwrite=True) as sink:
            sink.write(rgb(np.zeros((2, 2, 3), np.uint8)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("count", [0, 2])
def test_a_picture_file_takes_exactly_one_frame(tmp_path: Path, count: int) -> None:
    def write() -> None:
        with ImageWriter(tmp_path / "a.png") as sink:
            for _ in range(count):
                sink.write(rgb(np.zeros((2, 2, 3), np.uint8)))

    with pytest.raises(OutputError):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_moving_pictures_are_told_from_still_ones_by_content(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (80 * index, 0, 0)) for index in range(3)]
    frames[0].save(tmp_path / "moving.jpg", kind, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.jpg", kind)
    (tmp_path / "text.jpg").write_text("no picture")
    assert is_animated(tmp_path / "moving.jpg") is True
    assert is_animated(tmp_path / "still.jpg") is False
    assert is_animated(tmp_path / "text.jpg") is None
