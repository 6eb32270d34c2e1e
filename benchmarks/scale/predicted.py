"""Latency predicted: for this machine a sum of three costs fitted to some sweeps, for a board the estimator's."""

from typing import NamedTuple

import numpy as np

from .points import FITTED


class Line(NamedTuple):
    """seconds = fixed_s + kernel_s kernels + mac_s macs batch, with which sweeps it was fitted to."""

    fixed_s: float
    kernel_s: float
    mac_s: float
    sweeps: tuple

    def seconds(self, item):
        """Predicted seconds of a point."""
        return self.fixed_s + self.kernel_s * item.kernels + self.mac_s * item.macs * item.batch


def fit(points, family):
    """Measured points -> Line for a family, by least squares of the relative error; None with too few points.

    A cost that came out below zero is left out and the others are fitted again: nothing takes less than no time.
    """
    used = [item for item in points if item.family == family and item.sweep in FITTED[family]]
    if len(used) < 4:
        return None
    measured = np.array([item.median_s for item in used])
    columns = np.array([[1.0, item.kernels, item.macs * item.batch] for item in used]) / measured[:, None]
    alike = len({item.kernels for item in used}) < 2  # a number of kernels that never changes is the fixed part
    kept = [0, 2] if alike else [0, 1, 2]
    while True:
        scale = np.abs(columns[:, kept]).max(0)
        found = np.linalg.lstsq(columns[:, kept] / scale, np.ones(len(used)), rcond=None)[0] / scale
        if (found >= 0).all() or len(kept) == 1:
            break
        kept.remove(kept[int(np.argmin(found * scale))])
    costs = dict(zip(kept, found.tolist()))
    return Line(costs.get(0, 0.0), costs.get(1, 0.0), costs.get(2, 0.0), FITTED[family])


def errors(points, family, line):
    """Relative errors, |predicted / measured - 1|, of the points that the line has not seen, sorted."""
    unseen = [item for item in points if item.family == family and item.sweep not in FITTED[family]]
    return sorted(abs(line.seconds(item) / item.median_s - 1) for item in unseen)


def on_board(bundle, batch, target="tx2"):
    """The estimator's {seconds, low, high} for a bundle's decode in float16, or None where it is not installed."""
    try:
        from ..estimate import estimate
    except ImportError:
        return None
    found = estimate(bundle, target, precision="fp16", batch=batch)
    return {"seconds": float(found.seconds), "low": float(found.interval[0]), "high": float(found.interval[1])}
