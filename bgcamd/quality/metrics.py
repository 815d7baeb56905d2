"""Metrics of mattes, as in the matting literature. Arrays only; one function a metric.

A matte is float32 (height, width), 0..1, 1 = person. ``pred`` is the one to be judged, ``true`` the truth, both of one
size. Of identical mattes every error is 0, and ``iou`` and ``boundary_f`` are 1.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

MatteArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

EDGE_PX = 10
"""How far from the true edge ``mad_at_edge`` looks, whatever the picture's size."""
TOLERANCE = 0.008
"""How far apart two contours are the same for ``boundary_f``, as a share of the diagonal."""

_SIGMA = 1.4
_STEPS = 10
_THETA = 0.15


def mad(pred: MatteArray, true: MatteArray) -> float:
    """Mean absolute difference, x1e3, over the whole picture."""
    return 1e3 * float(np.abs(pred - true).mean(dtype=np.float64))


def mse(pred: MatteArray, true: MatteArray) -> float:
    """Mean squared difference, x1e3, over the whole picture."""
    return 1e3 * float(np.square(pred - true).mean(dtype=np.float64))


def mad_at_edge(pred: MatteArray, true: MatteArray) -> float | None:
    """MAD (x1e3) over the pixels on either side that lie at most EDGE_PX from one across the true edge.

    The edge is where the truth passes 1/2; None where it never does (nobody, or all is person).
    """
    person = _mask(true)
    if person.all() or not person.any():
        return None
    band = (_distance_to(person) <= EDGE_PX) & (_distance_to(~person) <= EDGE_PX)
    return 1e3 * float(np.abs(pred - true)[band].mean(dtype=np.float64))


def grad(pred: MatteArray, true: MatteArray) -> float:
    """Sum of the squared differences of the gradients' magnitudes, /1e3.

    Rhemann et al., "A Perceptually Motivated Online Benchmark for Image Matting" (CVPR 2009): first-order Gaussian
    derivatives, sigma 1.4, normalised so that their squares sum to 1, cut off below 1e-2, borders repeated. Over the
    whole picture instead of a trimap's unknown part, as in RobustVideoMatting's evaluation/evaluate_lr.py, which first
    stretches each matte to 0..1: we don't, as it blows up the noise of a nearly empty matte.
    """
    difference = _gradient(pred) - _gradient(true)
    return float(np.square(difference).sum(dtype=np.float64)) / 1e3


def conn(pred: MatteArray, true: MatteArray) -> float:
    """Connectivity error, /1e3: what is cut off from the largest part that both mattes share, level by level.

    Rhemann et al. 2009, as in RobustVideoMatting's evaluation/evaluate_lr.py: steps of 0.1, differences from 0.15 on,
    4-connected, over the whole picture.
    """
    level = _connected_level(np.minimum(pred, true))
    return float(np.abs(_lost(pred - level) - _lost(true - level)).sum(dtype=np.float64)) / 1e3


def iou(pred: MatteArray, true: MatteArray) -> float:
    """Intersection over union, 0..1, of what is above 1/2; 1 where both are empty."""
    a, b = _mask(pred), _mask(true)
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def boundary_f(pred: MatteArray, true: MatteArray) -> float:
    """F-measure, 0..1, of the contours of what is above 1/2; 1 where there are none, 0 where only one has any.

    Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation" (DAVIS, CVPR 2016):
    precision and recall of contour pixels within TOLERANCE of the diagonal, rounded up to pixels.
    """
    a, b = _contour(_mask(pred)), _contour(_mask(true))
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    tolerance = math.ceil(TOLERANCE * math.hypot(*true.shape))
    precision = float((_distance_to(b)[a] <= tolerance).mean())
    recall = float((_distance_to(a)[b] <= tolerance).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def dtssd(pred: MatteArray, true: MatteArray, last_pred: MatteArray, last_true: MatteArray) -> float:
    """How differently the two change from one frame to the next: root mean square, x1e2.

    Erofeev et al., "Perceptually Motivated Benchmark for Video Matting" (BMVC 2015), over the whole picture, scaled as
    in RobustVideoMatting's evaluation/evaluate_lr.py.
    """
    change = (pred - last_pred) - (true - last_true)
    return 1e2 * math.sqrt(float(np.square(change).mean(dtype=np.float64)))


def _mask(matte: MatteArray) -> Mask:
    mask: Mask = matte > 0.5
    return mask


def _distance_to(mask: Mask) -> NDArray[np.float32]:
    """Each pixel's distance in px to the nearest that is set: 0 on those, 1 beside them. Exact."""
    away = (~mask).astype(np.uint8)
    distance: NDArray[np.float32] = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance


def _contour(mask: Mask) -> Mask:
    """The pixels that differ from the one on the right, below, or right below, as DAVIS's seg2bmap."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    contour: Mask = (mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1]) | (mask ^ padded[1:, 1:])
    return contour


def _gradient(matte: MatteArray) -> NDArray[np.float32]:
    """The magnitude of the derivatives of a Gaussian, per pixel."""
    # where the Gaussian itself falls below 1e-2, as in the benchmark's own code
    half = math.ceil(_SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * _SIGMA * 1e-2)))
    x = np.arange(-half, half + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2 * _SIGMA**2))
    slope = x * bell
    bell, slope = bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)
    across = cv2.sepFilter2D(matte, cv2.CV_32F, slope, bell, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(matte, cv2.CV_32F, bell, slope, borderType=cv2.BORDER_REPLICATE)
    magnitude: NDArray[np.float32] = cv2.magnitude(across, down)
    return magnitude


def _connected_level(shared: MatteArray) -> MatteArray:
    """Per pixel the last step up to which it belongs to the largest connected part of what is at or above the step."""
    level = np.zeros_like(shared)
    inside = np.ones(shared.shape, np.bool_)
    for step in range(1, _STEPS + 1):
        inside &= _largest_part(shared >= np.float32(step / _STEPS))
        if not inside.any():
            break
        level[inside] = step / _STEPS
    return level


def _largest_part(mask: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    part: Mask = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return part


def _lost(above: MatteArray) -> MatteArray:
    """What of a matte lies so far above its connected level that it counts."""
    return np.where(above >= _THETA, above, np.float32(0))
