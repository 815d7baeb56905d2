"""The host canvas, verb by verb."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgcamd.canvas.background import Plate, Still
from bgcamd.canvas.color import yuv_to_rgb
from bgcamd.canvas.host import HostCanvas
from bgcamd.errors import SourceError
from bgcamd.frame import BT601, BT709, JPEG, Color, Frame, InputSpec, Matte, PixelFormat, Plane, Size
from bgcamd.scene import Alpha, Blur, Colour, Keep, PreparedScene, Remove, Scene

SIZE = Size(64, 48)


def gradient(size: Size = SIZE) -> Plane:
    """A smooth packed RGB picture (h, w, 3), so that chroma subsampling does not show."""
    x, y = np.meshgrid(np.linspace(20, 220, size.width), np.linspace(40, 200, size.height))
    return np.stack([x, y, 255 - x], axis=2).astype(np.uint8)


def rgb_of(frame: Frame) -> np.ndarray:
    """An I420 frame back to packed RGB, float."""
    h, w = frame.planes[0].shape
    chroma = [cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR) for plane in frame.planes[1:]]
    yuv = np.stack([frame.planes[0], *chroma], axis=2).astype(float)
    matrix = yuv_to_rgb(frame.color)
    return np.clip(yuv @ matrix[:, :3].T + matrix[:, 3], 0, 255)


def as_rgb24(rgb: Plane) -> Frame:
    return Frame((rgb,), PixelFormat.RGB24, Size(rgb.shape[1], rgb.shape[0]))


def as_i420(rgb: Plane, color: Color = BT601) -> Frame:
    size = Size(rgb.shape[1], rgb.shape[0])
    taken = HostCanvas(size, color=color).take(as_rgb24(rgb))
    return Frame(tuple(p.copy() for p in taken.planes), PixelFormat.I420, size, color=color)


def as_yuyv(rgb: Plane) -> Frame:
    y, u, v = as_i420(rgb).planes
    packed = np.zeros((*y.shape, 2), np.uint8)
    packed[..., 0] = y
    packed[:, 0::2, 1], packed[:, 1::2, 1] = np.repeat(u, 2, axis=0), np.repeat(v, 2, axis=0)
    return Frame((packed,), PixelFormat.YUYV, SIZE)


def as_nv12(rgb: Plane) -> Frame:
    y, u, v = as_i420(rgb).planes
    return Frame((y, np.stack([u, v], axis=2)), PixelFormat.NV12, SIZE)


def as_mjpg(rgb: Plane) -> Frame:
    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].ravel()
    return Frame((data,), PixelFormat.MJPG, SIZE, color=JPEG)


def as_full_range(rgb: Plane) -> Frame:
    return as_i420(rgb, JPEG)


def as_bt709(rgb: Plane) -> Frame:
    return as_i420(rgb, BT709)


@pytest.mark.parametrize("make", [as_rgb24, as_i420, as_yuyv, as_nv12, as_mjpg, as_full_range, as_bt709])
def test_every_format_that_comes_in_shows_the_same_picture(make: Callable[[Plane], Frame]) -> None:
    frame = HostCanvas(SIZE).take(make(gradient()))
    assert frame.format is PixelFormat.I420
    assert frame.color == BT601
    assert np.abs(rgb_of(frame) - gradient())[2:-2, 2:-2].max() <= 8  # chroma of 2x2 blocks, and JPEG


@pytest.mark.parametrize(("sample", "wanted"), [(0, 0), (16, 0), (235, 255), (255, 255)])
def test_what_is_below_black_or_above_white_is_black_or_white_in_the_full_range(sample: int, wanted: int) -> None:
    planes = tuple(np.full(shape, sample, np.uint8) for shape in ((48, 64), (24, 32), (24, 32)))
    frame = HostCanvas(SIZE, color=JPEG).take(Frame(planes, PixelFormat.I420, SIZE))
    assert (frame.planes[0] == wanted).all()


def test_take_copies_so_that_the_camera_may_have_its_buffer_back() -> None:
    raw = as_yuyv(gradient())
    frame = HostCanvas(SIZE).take(raw)
    before = frame.planes[0].copy()
    raw.planes[0].fill(0)
    assert (frame.planes[0] == before).all()


def test_a_damaged_jpeg_is_a_source_error() -> None:
    whole = as_mjpg(gradient())
    broken = Frame((whole.planes[0][:100],), PixelFormat.MJPG, SIZE, color=JPEG)
    with pytest.raises(SourceError, match="damaged JPEG"):
        HostCanvas(SIZE).take(broken)


def test_a_jpeg_without_a_byte_and_one_that_declares_too_much_are_damaged() -> None:
    whole = as_mjpg(gradient()).planes[0]
    size = bytes(whole).index(b"\xff\xc0") + 5  # SOF0: height and width after marker, length and precision
    huge = whole.copy()
    huge[size : size + 4] = 255
    for data in (whole[:0], huge):
        with pytest.raises(SourceError, match="damaged JPEG"):
            HostCanvas(SIZE).take(Frame((data,), PixelFormat.MJPG, SIZE, color=JPEG))


def test_another_size_is_cut_to_cover_the_frame() -> None:
    wide = gradient(Size(192, 48))
    frame = HostCanvas(SIZE).take(as_i420(wide))
    assert np.abs(rgb_of(frame) - wide[:, 64:128])[2:-2, 2:-2].max() <= 8  # chroma of 2x2 blocks, and JPEG


@pytest.mark.parametrize("size", [SIZE, Size(128, 96)])
def test_mirror_flips_left_to_right(size: Size) -> None:
    canvas = HostCanvas(SIZE)
    plain = canvas.take(as_i420(gradient(size))).planes[0].copy()
    assert (canvas.take(as_i420(gradient(size)), mirror=True).planes[0] == plain[:, ::-1]).all()


def test_stills_keep_their_full_resolution_colour() -> None:
    fine = np.zeros((48, 64, 3), np.uint8)
    fine[::2, ::2] = (255, 0, 0)
    fine[1::2, 1::2] = (0, 0, 255)
    frame = HostCanvas(SIZE, PixelFormat.RGBP).take(as_rgb24(fine))
    assert (np.stack(frame.planes, axis=2) == fine).all()


@pytest.mark.parametrize("format", [PixelFormat.I420, PixelFormat.RGBP])
@pytest.mark.parametrize("bgr", [False, True])
def test_the_network_sees_normalised_rgb(format: PixelFormat, bgr: bool) -> None:  # noqa: A002
    canvas = HostCanvas(SIZE, format)
    spec = InputSpec(Size(16, 12), mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.5), bgr=bgr)
    rgb = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    tensor = canvas.shrink(canvas.take(as_rgb24(rgb)), spec)
    order = (50, 100, 200) if bgr else (200, 100, 50)
    wanted = [(p / 255 - m) / s for p, m, s in zip(order, spec.mean, spec.std, strict=True)]
    assert tensor.shape == (1, 3, 12, 16)
    assert np.allclose(tensor[0, :, 6, 8], wanted, atol=0.03)


@pytest.mark.parametrize(("brightest", "wanted"), [(50, 1.0), (0, 0.0)])
def test_scale_to_max_divides_by_the_brightest_sample(brightest: int, wanted: float) -> None:
    canvas = HostCanvas(SIZE, PixelFormat.RGBP)
    rgb = np.full((48, 64, 3), brightest, np.uint8)
    tensor = canvas.shrink(canvas.take(as_rgb24(rgb)), InputSpec(Size(8, 8), scale_to_max=True))
    assert np.allclose(tensor, wanted)


def test_refine_gives_the_matte_at_full_size() -> None:
    canvas = HostCanvas(SIZE)
    matte = Matte(np.pad(np.ones((4, 4), np.float32), ((0, 0), (0, 4))))
    alpha = canvas.refine(matte, canvas.take(as_i420(gradient())))
    assert alpha.shape == (48, 64)
    assert (alpha[:, :24] == 255).all()
    assert (alpha[:, 40:] == 0).all()


def test_what_was_transparent_in_the_photo_stays_so() -> None:
    canvas = HostCanvas(SIZE, PixelFormat.RGBP)
    raw = as_rgb24(gradient())
    raw.alpha = np.full((48, 64), 100, np.uint8)
    assert (canvas.refine(Matte(np.ones((4, 4), np.float32)), canvas.take(raw)) == 100).all()


def composed(
    format: PixelFormat,  # noqa: A002
    alpha: Plane,
    background: object,
    *,
    colours_edges: bool = False,
    **kw: bool,
) -> Frame:
    canvas = HostCanvas(SIZE, format, **kw)
    canvas.colours_edges = colours_edges
    backdrop = Still(Plate(SIZE, format, BT601).solid((0, 0, 255))) if isinstance(background, Colour) else None
    scene = PreparedScene(Scene(background), backdrop)  # type: ignore[arg-type]
    return canvas.compose(canvas.take(as_rgb24(gradient())), alpha, scene)


def hair() -> Plane:
    """An alpha of every value, as on a strand of hair."""
    return np.tile(np.linspace(0, 255, SIZE.width).astype(np.uint8), (SIZE.height, 1))


def test_compositing_multiplies_by_alpha_once() -> None:
    done = composed(PixelFormat.RGBP, hair(), Colour((0, 0, 255)))
    share = hair()[..., None] / 255
    once = share * gradient() + (1 - share) * np.array([0, 0, 255])
    twice = share**2 * gradient() + (1 - share) * np.array([0, 0, 255])
    got = np.stack(done.planes, axis=2).astype(float)
    assert np.abs(got - once).max() <= 1
    assert np.abs(got - twice).max() > 20


@given(st.integers(0, 255))
def test_video_composites_as_stills_do(value: int) -> None:
    alpha = np.full((48, 64), value, np.uint8)
    still = np.stack(composed(PixelFormat.RGBP, alpha, Colour()).planes, axis=2).astype(float)
    video = rgb_of(composed(PixelFormat.I420, alpha, Colour()))
    assert np.abs(video - still)[2:-2, 2:-2].max() <= 8


def test_keep_changes_nothing() -> None:
    done = composed(PixelFormat.RGBP, hair(), Keep())
    assert (np.stack(done.planes, axis=2) == gradient()).all()


def test_remove_gives_straight_colour_and_alpha() -> None:
    done = composed(PixelFormat.RGBP, hair(), Remove(), holds_alpha=True)
    assert (np.stack(done.planes, axis=2)[hair() > 0] == gradient()[hair() > 0]).all()
    assert done.alpha is not None
    assert (done.alpha == hair()).all()


@pytest.mark.parametrize("format", [PixelFormat.I420, PixelFormat.RGBP])
def test_nothing_of_the_room_is_passed_on_under_a_transparent_pixel(format: PixelFormat) -> None:  # noqa: A002
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 40:] = 255
    done = composed(format, alpha, Remove(), holds_alpha=True)
    seen = rgb_of(done) if format is PixelFormat.I420 else np.stack(done.planes, axis=2)
    assert seen[:, :32].max() <= 2
    assert np.abs(seen[:, 46:-2] - gradient()[:, 46:-2]).max() <= 8


def test_the_matte_alone_is_grey() -> None:
    still = composed(PixelFormat.RGBP, hair(), Alpha())
    assert still.format is PixelFormat.GREY
    assert (still.planes[0] == hair()).all()
    video = composed(PixelFormat.I420, hair(), Alpha())
    assert np.abs(rgb_of(video) - hair()[..., None]).max() <= 1.5


def test_blur_hides_detail_and_keeps_the_person() -> None:
    checks = np.kron(np.indices((12, 16)).sum(axis=0) % 2, np.ones((4, 4))).astype(np.uint8) * 200 + 20
    rgb = cv2.merge([checks] * 3)
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 40:] = 255
    canvas = HostCanvas(SIZE, PixelFormat.RGBP)
    done = canvas.compose(canvas.take(as_rgb24(rgb)), alpha, PreparedScene(Scene(Blur(100))))
    assert (done.planes[0][:, 40:] == rgb[:, 40:, 0]).all()
    assert done.planes[0][:, :36].std() < 0.1 * rgb[:, :36, 0].std()


def test_the_persons_colour_does_not_bleed_into_the_blurred_room() -> None:
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:, 32:] = 255  # a white person before a black room
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    canvas = HostCanvas(SIZE, PixelFormat.RGBP)
    done = canvas.compose(canvas.take(as_rgb24(rgb)), alpha, PreparedScene(Scene(Blur(100))))
    assert done.planes[0][:, :28].max() < 8


def test_no_memory_is_allocated_for_a_second_frame() -> None:
    canvas = HostCanvas(SIZE)
    scene = PreparedScene(Scene(Colour()), Still(Plate(SIZE, PixelFormat.I420, BT601).solid((0, 177, 64))))
    kept = []
    for _ in range(2):
        frame = canvas.take(as_yuyv(gradient()))
        small = canvas.shrink(frame, InputSpec(Size(8, 8)))
        alpha = canvas.refine(Matte(np.ones((8, 8), np.float32)), frame)
        done = canvas.give(canvas.compose(frame, alpha, scene))
        kept.append([p.ctypes.data for p in (*frame.planes, small, alpha, *done.planes)])
    assert kept[0] == kept[1]


@pytest.mark.parametrize("alpha", [False, True])
def test_a_picture_of_an_odd_size_loses_its_last_column_and_row_where_chroma_is_halved(alpha: bool) -> None:
    odd = gradient(Size(65, 49))
    raw = as_rgb24(odd)
    raw.alpha = np.full((49, 65), 99, np.uint8) if alpha else None
    frame = HostCanvas(SIZE).take(raw)
    assert np.abs(rgb_of(frame) - odd[:48, :64])[2:-2, 2:-2].max() <= 8
    assert (None if frame.alpha is None else frame.alpha.shape) == ((48, 64) if alpha else None)
