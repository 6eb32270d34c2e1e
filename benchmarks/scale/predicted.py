"""Latency predicted: for this machine a sum of four costs fitted to some sweeps, for a board the estimator's."""

from typing import NamedTuple

import numpy as np

from ..estimate import estimate
from .points import FITTED


class Line(NamedTuple):
    """seconds = fixed_s + kernel_s kernels + mac_s macs batch + byte_s moved_bytes, fitted to these sweeps."""

    fixed_s: float
    kernel_s: float
    mac_s: float
    byte_s: float
    sweeps: tuple

    def seconds(self, item):
        """Predicted seconds of a point."""
        return float(np.dot(self[:4], amounts(item)))


def amounts(item):
    """What a point has of each cost: (1, kernels, MACs of the batch, bytes moved)."""
    return 1.0, item.kernels, item.macs * item.batch, item.moved_bytes


def fit(points, family):
    """Measured points -> Line for a family, by least squares of the relative error; None with too few points.

    A cost that came out below zero is left out and the others are fitted again: nothing takes less than no time.
    """
    used = [item for item in points if item.family == family and item.sweep in FITTED[family]]
    if len(used) < 4:
        return None
    columns = np.array([amounts(item) for item in used]) / np.array([item.median_s for item in used])[:, None]
    alike = len({item.kernels for item in used}) < 2  # a number of kernels that never changes is the fixed part
    kept = [0, 2, 3] if alike else [0, 1, 2, 3]
    while True:
        scale = np.abs(columns[:, kept]).max(0)
        found = np.linalg.lstsq(columns[:, kept] / scale, np.ones(len(used)), rcond=None)[0] / scale
        if (found >= 0).all() or len(kept) == 1:
            break
        kept.remove(kept[int(np.argmin(found * scale))])
    costs = dict(zip(kept, found.tolist()))
    return Line(*(costs.get(index, 0.0) for index in range(4)), sweeps=FITTED[family])


def errors(points, family, line):
    """Relative errors, |predicted / measured - 1|, of the points that the line has not seen, sorted."""
    unseen = [item for item in points if item.family == family and item.sweep not in FITTED[family]]
    return sorted(abs(line.seconds(item) / item.median_s - 1) for item in unseen)


def on_board(bundle, batch, target="tx2"):
    """The estimator's {seconds, low, high} for a bundle's decode in float16; the bytes its kernels move in float32."""
    found = estimate(bundle, target, precision="fp16", batch=batch)
    float32 = estimate(bundle, target, precision="fp32", batch=batch)
    board = {"seconds": float(found.seconds), "low": float(found.interval[0]), "high": float(found.interval[1])}
    return board, int(sum(layer.moved_bytes for layer in float32.layers))
