"""All metrics of a set of mattes: per picture, and their means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bgcamd.frame import Plane
from bgcamd.quality import metrics
from bgcamd.quality.metrics import MatteArray


class Metric(NamedTuple):
    """A metric as it is shown. key: in JSON; title: in tables, with so many digits after the point."""

    key: str
    title: str
    digits: int


METRICS = (
    Metric("mad", "MAD", 2),
    Metric("mse", "MSE", 2),
    Metric("made", "MADe", 1),
    Metric("grad", "Grad", 2),
    Metric("conn", "Conn", 2),
    Metric("iou", "IoU", 4),
    Metric("bf", "bF", 4),
    Metric("dtssd", "dtSSD", 2),
)
LEGEND = (
    "MAD, MSE and MADe (MAD within 10 px of the true edge) x1e3, Grad and Conn /1e3, dtSSD x1e2: lower is better.\n"
    "IoU and bF (of the contours, within 0.8 % of the diagonal) of what is above 1/2: higher is better."
)
"""What the figures are, for below a table."""

Scores = dict[str, float | None]
"""Metric.key -> value; None where it has none: MADe without an edge, dtSSD of a first frame or a still."""


class Score:
    """The figures of a set, gathered picture by picture.

    Parameters
    ----------
    video: whether the pictures are consecutive frames of one clip, so that dtSSD means something.

    Attributes
    ----------
    pictures: name -> figures, in order.
    """

    def __init__(self, *, video: bool) -> None:
        self.pictures: dict[str, Scores] = {}
        self._video = video
        self._last: tuple[MatteArray, MatteArray] | None = None

    def add(self, name: str, pred: Plane, true: Plane) -> Scores:
        """Judge one matte by its truth, both uint8 (height, width), 255 = person, and return its figures."""
        a, b = (plane.astype(np.float32) / np.float32(255) for plane in (pred, true))
        scores: Scores = {
            "mad": metrics.mad(a, b),
            "mse": metrics.mse(a, b),
            "made": metrics.mad_at_edge(a, b),
            "grad": metrics.grad(a, b),
            "conn": metrics.conn(a, b),
            "iou": metrics.iou(a, b),
            "bf": metrics.boundary_f(a, b),
            "dtssd": metrics.dtssd(a, b, *self._last) if self._last else None,
        }
        self.pictures[name] = scores
        self._last = (a, b) if self._video else None
        return scores

    def means(self) -> Scores:
        """The mean of each metric over the pictures that have it; None where none has."""
        return {metric.key: self._mean(metric.key) for metric in METRICS}

    def _mean(self, key: str) -> float | None:
        values = [value for scores in self.pictures.values() if (value := scores[key]) is not None]
        return sum(values) / len(values) if values else None
