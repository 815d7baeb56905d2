"""The CUDA canvas against the host canvas, verb by verb: its kernels run on the CPU here, or on a GPU if there is one.

What is integers in both is the same byte for byte where OpenCV rounds as it does on the usual machines; ±1 is allowed
for others, and for what is summed in floats. Colours after a matrix may be off by 3.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from camera_frames import Camera, fetched, matte_of, noise, uploaded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgcamd.canvas.background import Still
from bgcamd.canvas.cuda.canvas import CudaCanvas
from bgcamd.canvas.host import HostCanvas
from bgcamd.cuda.gpu import DeviceArray, Gpu
from bgcamd.errors import EngineError, SourceError, UsageError
from bgcamd.frame import BT601, BT709, JPEG, Color, Frame, InputSpec, Matte, PixelFormat, Size
from bgcamd.scene import Alpha, Background, Blur, Colour, Edge, Keep, PreparedScene, Remove, Scene

COLORS = (BT601, BT709, JPEG)
SPECS = {
    "selfie": InputSpec(Size(256, 256)),
    "landscape": InputSpec(Size(256, 144)),
    "rvm": InputSpec(Size(80, 46), half=True),
    "bgr": InputSpec(Size(33, 17), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), bgr=True),
    "u2netp": InputSpec(Size(40, 40), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), scale_to_max=True),
    "half by its peak": InputSpec(Size(21, 40), scale_to_max=True, half=True, bgr=True),
}

sides = st.integers(1, 48).map(lambda n: 2 * n)
sizes = st.builds(Size, sides, sides)
seeds = st.integers(0, 2**32 - 1)
colors = st.sampled_from(COLORS)
taken_there = st.sampled_from([PixelFormat.YUYV, PixelFormat.NV12, PixelFormat.I420])
taken_here = st.sampled_from([PixelFormat.RGB24, PixelFormat.GREY, PixelFormat.NV12])
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def apart(ours: Frame | np.ndarray, hosts: Frame | np.ndarray) -> int:
    """The largest difference."""
    if isinstance(ours, Frame) and isinstance(hosts, Frame):
        assert (ours.size, ours.format, ours.color) == (hosts.size, hosts.format, hosts.color)
        assert (ours.captured_ns, ours.sequence) == (hosts.captured_ns, hosts.sequence)
        return max(apart(a, b) for a, b in zip(ours.planes, hosts.planes, strict=True))
    assert isinstance(ours, np.ndarray)
    assert isinstance(hosts, np.ndarray)
    assert ours.shape == hosts.shape
    return int(np.abs(ours.astype(int) - hosts.astype(int)).max())


@few
@given(st.builds(Camera, seeds, sizes, taken_there, colors, st.sampled_from([0, 2, 3, 64])), colors, st.booleans())
def test_take(gpu: Gpu, camera: Camera, color: Color, mirror: bool) -> None:
    hosts = HostCanvas(camera.size, color=color).take(camera.frame(), mirror=mirror)
    with CudaCanvas(gpu, camera.size, color) as canvas:
        ours = canvas.give(canvas.take(camera.frame(), mirror=mirror))
        assert apart(ours, hosts) <= (1 if camera.color.matrix == color.matrix else 3)


@few
@given(st.builds(Camera, seeds, sizes, taken_here), sizes, st.booleans())
def test_take_of_another_size_or_format_is_the_hosts(gpu: Gpu, camera: Camera, size: Size, mirror: bool) -> None:
    hosts = HostCanvas(size).take(camera.frame(), mirror=mirror)
    with CudaCanvas(gpu, size) as canvas:
        assert apart(canvas.give(canvas.take(camera.frame(), mirror=mirror)), hosts) == 0


def test_a_jpeg_is_taken_and_a_damaged_one_is_a_source_error(gpu: Gpu) -> None:
    size = Size(64, 48)
    data = cv2.imencode(".jpg", noise(1, 48, 64, 3))[1].ravel()
    with CudaCanvas(gpu, size) as canvas:
        ours = canvas.give(canvas.take(Frame((data,), PixelFormat.MJPG, size, color=JPEG)))
        assert apart(ours, HostCanvas(size).take(Frame((data,), PixelFormat.MJPG, size, color=JPEG))) == 0
        with pytest.raises(SourceError, match="damaged JPEG"):
            canvas.take(Frame((data[:100],), PixelFormat.MJPG, size, color=JPEG))


def test_a_videos_sides_are_even(gpu: Gpu) -> None:
    with pytest.raises(UsageError, match="must be even"):
        CudaCanvas(gpu, Size(65, 48))


@few
@given(st.builds(Camera, seeds, sizes, st.just(PixelFormat.I420), colors), st.sampled_from(sorted(SPECS)))
def test_shrink(gpu: Gpu, camera: Camera, name: str) -> None:
    spec, host = SPECS[name], HostCanvas(camera.size, color=camera.color)
    hosts = host.shrink(host.take(camera.frame()), spec)
    with CudaCanvas(gpu, camera.size, camera.color) as canvas:
        tensor = canvas.shrink(canvas.take(camera.frame()), spec)
        assert tensor.dtype == (np.float16 if spec.half else np.float32)
        ours = fetched(gpu, tensor).astype(np.float32)
    brightest = int(host._seen.max()) if spec.scale_to_max else 255
    assert ours.shape == hosts.shape
    assert np.abs(ours - hosts).max() <= (3.5 / max(brightest, 1)) / min(spec.std)


def test_the_brightest_sample_is_each_pictures_own(gpu: Gpu) -> None:
    size, spec = Size(16, 16), InputSpec(Size(8, 8), scale_to_max=True)
    with CudaCanvas(gpu, size) as canvas:
        for level in (200, 50):
            grey = Frame((np.full((16, 16), level, np.uint8),), PixelFormat.GREY, size)
            assert fetched(gpu, canvas.shrink(canvas.take(grey), spec)).max() == 1


def test_the_brightest_sample_of_a_black_picture_is_none(gpu: Gpu) -> None:
    size = Size(16, 16)
    black = HostCanvas(size).take(Frame((np.zeros((16, 16), np.uint8),), PixelFormat.GREY, size))
    with CudaCanvas(gpu, size) as canvas:
        assert not fetched(gpu, canvas.shrink(canvas.take(black), InputSpec(Size(8, 8), scale_to_max=True))).any()


@few
@given(st.builds(Camera, seeds, sizes), st.sampled_from(["selfie", "rvm", "bgr"]), st.sampled_from([1.0, 1.7, 3.0]))
def test_refine(gpu: Gpu, camera: Camera, name: str, softness: float) -> None:
    spec, host, size = SPECS[name], HostCanvas(camera.size), camera.size
    matte = matte_of(camera.seed + 5, spec.size)
    taken = host.take(camera.frame())
    host.shrink(taken, spec)
    hosts = host.refine(Matte(matte, softness), taken)
    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, matte) as alpha:
        there = canvas.take(camera.frame())
        canvas.shrink(there, spec)
        ours = fetched(gpu, canvas.refine(Matte(alpha, softness), there))
    assert apart(ours, hosts) <= 1


@few
@given(st.builds(Camera, seeds, sizes, st.just(PixelFormat.I420)), sizes, st.booleans())
def test_a_frames_own_alpha(gpu: Gpu, camera: Camera, size: Size, mirror: bool) -> None:
    def frame() -> Frame:
        made = camera.frame()
        made.alpha = noise(camera.seed + 9, camera.size.height, camera.size.width)
        return made

    host, matte = HostCanvas(size), matte_of(camera.seed + 5, Size(30, 20))
    hosts = host.refine(Matte(matte), host.take(frame(), mirror=mirror))
    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, matte) as alpha:
        assert apart(fetched(gpu, canvas.refine(Matte(alpha), canvas.take(frame(), mirror=mirror))), hosts) <= 1


def test_a_matte_of_another_shape_than_the_network_saw_is_not_sharpened(gpu: Gpu) -> None:
    size, matte = Size(64, 48), matte_of(2, Size(20, 10))
    host = HostCanvas(size)
    hosts = host.refine(Matte(matte, 3.0), host.take(Camera(1, size, PixelFormat.I420).frame()))
    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, matte) as alpha:
        assert (
            apart(
                fetched(gpu, canvas.refine(Matte(alpha, 3.0), canvas.take(Camera(1, size, PixelFormat.I420).frame()))),
                hosts,
            )
            <= 1
        )


@few
@given(
    st.builds(Camera, seeds, sizes),
    colors,
    st.one_of(st.integers(1, 100).map(Blur), st.sampled_from([Colour((10, 200, 30)), Remove(), Alpha(), Keep()])),
)
def test_compose(gpu: Gpu, camera: Camera, color: Color, background: Background) -> None:
    host, size = HostCanvas(camera.size, color=color), camera.size
    rgb = background.rgb if isinstance(background, Colour) else (0, 0, 0)
    backdrop = Still(host.plate.solid(rgb)) if isinstance(background, Colour | Remove) else None
    scene = PreparedScene(Scene(background), backdrop)
    alpha = (matte_of(camera.seed + 7, size) * 255).astype(np.uint8)
    hosts = host.compose(host.take(camera.frame()), alpha, scene)
    with CudaCanvas(gpu, size, color) as canvas, uploaded(gpu, alpha) as there:
        frame = canvas.take(camera.frame())
        assert apart(canvas.give(canvas.compose(frame, there, scene)), hosts) <= 1


@few
@given(st.builds(Camera, seeds, sizes), st.sampled_from([0, 0, 30, 100]), st.booleans())
def test_compose_over_a_picture(gpu: Gpu, camera: Camera, light_wrap: int, colours: bool) -> None:
    host, size = HostCanvas(camera.size), camera.size
    host.colours_edges = colours
    behind = HostCanvas(size).take(Camera(camera.seed + 20, size).frame()).planes
    scene = PreparedScene(Scene(Colour(), edge=Edge(light_wrap=light_wrap)), Still(behind))
    alpha = noise(camera.seed + 3, size.height, size.width)
    hosts = host.compose(host.take(camera.frame()), alpha, scene)
    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, alpha) as there:
        canvas.colours_edges = colours
        frame = canvas.take(camera.frame())
        assert apart(canvas.give(canvas.compose(frame, there, scene)), hosts) <= 1


@pytest.mark.parametrize(("strength", "light_wrap"), [(1, 0), (50, 80), (100, 0)])
def test_a_blur_at_a_videos_size(gpu: Gpu, strength: int, light_wrap: int) -> None:
    size = Size(854, 480)
    host, scene = HostCanvas(size), PreparedScene(Scene(Blur(strength), edge=Edge(light_wrap=light_wrap)))
    alpha = (matte_of(3, size) * 255).astype(np.uint8)
    hosts = host.compose(host.take(Camera(1, size, PixelFormat.NV12).frame()), alpha, scene)
    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, alpha) as there:
        frame = canvas.take(Camera(1, size, PixelFormat.NV12).frame())
        assert apart(canvas.give(canvas.compose(frame, there, scene)), hosts) <= 1


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.01, 1.01])
@pytest.mark.parametrize("softness", [1.0, 3.0])
def test_a_matte_that_is_none_is_never_shown_and_the_next_one_is(gpu: Gpu, wrong: float, softness: float) -> None:
    size, spec, scene = Size(64, 48), InputSpec(Size(31, 23)), PreparedScene(Scene(Alpha()))
    good = matte_of(1, spec.size)
    bad = good.copy()
    bad[22, 30] = wrong

    def shown(matte: DeviceArray) -> Frame:
        frame = canvas.take(Camera(1, size, PixelFormat.I420).frame())
        canvas.shrink(frame, spec)
        return canvas.give(canvas.compose(frame, canvas.refine(Matte(matte, softness), frame), scene))

    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, bad) as invalid, uploaded(gpu, good) as valid:
        with pytest.raises(EngineError, match="the network gave no valid matte"):
            shown(invalid)
        assert shown(valid).planes[0].any()


@pytest.mark.parametrize("shape", [(0, 4), (4,), (1, 4, 4)])
def test_a_matte_of_no_shape_is_refused(gpu: Gpu, shape: tuple[int, ...]) -> None:
    with CudaCanvas(gpu, Size(8, 8)) as canvas, gpu.array(shape, np.float32) as alpha:
        frame = canvas.take(Camera(1, Size(8, 8)).frame())
        with pytest.raises(EngineError, match="the network gave no valid matte"):
            canvas.refine(Matte(alpha), frame)


def test_the_persons_own_colour_is_at_the_edge_where_it_is_wanted(gpu: Gpu) -> None:
    size, share = Size(64, 48), np.clip((np.arange(64) - 28) / 8, 0, 1)
    luma = np.tile((60 * share + 220 * (1 - share)).astype(np.uint8), (48, 1))  # somebody dark before a bright wall
    frame = Frame((luma, *np.full((2, 24, 32), 128, np.uint8)), PixelFormat.I420, size)
    alpha = np.tile((255 * share).astype(np.uint8), (48, 1))
    with CudaCanvas(gpu, size) as canvas, uploaded(gpu, alpha) as there:
        scene = PreparedScene(Scene(Remove()), Still(canvas.plate.solid((0, 0, 0))))
        rows = []
        for canvas.colours_edges in (True, False, True):
            rows.append(canvas.give(canvas.compose(canvas.take(frame), there, scene)).planes[0][24].astype(int))
    without_the_wall = 60 * share + 16 * (1 - share)
    assert (rows[0] == rows[2]).all()
    assert np.abs(rows[1] - without_the_wall).max() > 30
    assert np.abs(rows[0] - without_the_wall).max() < 15


def test_what_leaves_lies_in_one_block(gpu: Gpu) -> None:
    size = Size(6, 4)
    with CudaCanvas(gpu, size) as canvas:
        frame = canvas.give(canvas.take(Camera(1, size, PixelFormat.I420).frame()))
        wanted = np.concatenate([plane.reshape(-1) for plane in Camera(1, size, PixelFormat.I420).frame().planes])
        assert frame.planes[0].base is not None
        assert frame.planes[0].base.shape == (6, 6)
        assert (frame.planes[0].base.reshape(-1) == wanted).all()
