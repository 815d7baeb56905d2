"""The real networks on real pictures, against their authors' own results and against truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from bgcamd.frame import InputSpec, Size
from bgcamd.matting.engines import open_engine
from bgcamd.matting.manifest import Manifest, find_manifest

Fetched = Callable[[Manifest], Manifest]


def tensor(path: Path, spec: InputSpec) -> NDArray[np.float32]:
    """What ``spec`` says, in plain words (a canvas does it faster)."""
    small = cv2.resize(cv2.imread(str(path))[..., ::-1], spec.size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    small *= 1 / small.max() if spec.scale_to_max else spec.scale
    small = (small - np.float32(spec.mean)) / np.float32(spec.std)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None])


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union."""
    a, b = one > 0.5, other > 0.5
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.model
@pytest.mark.data
@pytest.mark.parametrize("picture", ["girl.png", "hockey.png", "horse.jpg", "bike.jpg"])
def test_u2netp_agrees_with_its_authors_results(data: Path, fetched: Fetched, picture: str) -> None:
    """Same weights: what is left is their resampling (another library's) and their rounding to 8 bits.

    Over all 18 pictures the mean absolute difference is 0.0014, 0.0029 at worst, the overlap 0.998, 0.990 at worst.
    Swapped channels cost four times as much, forgotten means or scales more.
    """
    folder = data / "peers" / "u2net_objects"
    engine, _ = open_engine(fetched(find_manifest("u2netp")), "cpu")
    wanted = cv2.imread(str((folder / "u2netp_results" / picture).with_suffix(".png")), cv2.IMREAD_GRAYSCALE) / 255
    with engine:
        spec = engine.fit(Size(*wanted.shape[::-1]))
        alpha = cv2.resize(engine.infer(tensor(folder / "test_images" / picture, spec)).alpha, wanted.shape[::-1])
    assert np.abs(alpha - wanted).mean() < 0.003
    assert overlap(alpha, wanted) > 0.99


@pytest.mark.model
@pytest.mark.data
@pytest.mark.parametrize("name", ["selfie", "rvm"])
def test_people_are_found(data: Path, fetched: Fetched, name: str) -> None:
    """Over all 29 photos the mean overlap is 0.963 with selfie and 0.968 with rvm, before a canvas refines it."""
    folder = data / "photos" / "ccp"
    manifest = fetched(find_manifest(name))
    engine, _ = open_engine(manifest, "cpu", threads=2)
    overlaps = []
    with engine:
        for path in sorted((folder / "images").glob("*.jpg"))[::5]:
            truth = cv2.imread(str(folder / "truth" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE) / 255
            x = tensor(path, engine.fit(Size(*truth.shape[::-1])))
            for _ in range(manifest.still_passes):
                matte = engine.infer(x)
            overlaps.append(overlap(cv2.resize(matte.alpha, truth.shape[::-1]), truth))
    assert np.mean(overlaps) > 0.95


@pytest.mark.model
def test_rvms_states_are_fed_back_exactly(fetched: Fetched) -> None:
    """Against the plain way: every answer's states are copied into the next question."""
    manifest = fetched(find_manifest("rvm"))
    manifest = replace(manifest, output=replace(manifest.output, foreground="fgr"))
    frames = np.random.default_rng(5).random((3, 1, 3, 324, 576)).astype(np.float32)
    session = ort.InferenceSession(manifest.path(), providers=["CPUExecutionProvider"])
    states = {state.input: np.zeros((1, 1, 1, 1), np.float32) for state in manifest.states}
    ratio = manifest.input.constants["downsample_ratio"]
    engine, _ = open_engine(manifest, "cpu", threads=2)
    with engine:
        engine.fit(Size(1280, 720))
        for frame in frames:
            matte = engine.infer(frame)
            colours, alpha, *after = session.run(None, {"src": frame, "downsample_ratio": np.float32([ratio])} | states)
            states = dict(zip(states, after, strict=True))
            np.testing.assert_allclose(matte.alpha, alpha[0, 0], atol=1e-5)
            np.testing.assert_allclose(matte.foreground, colours[0], atol=1e-5)
