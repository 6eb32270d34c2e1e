"""Figures with their uncertainty: a value, its 95 % interval, and of how many images it speaks.

Means and what is made of means: the bootstrap (Efron, 1979), images drawn with replacement, percentiles.
Distances between sets, which resampling with replacement would enlarge: subsampling (Politis & Romano, 1994), parts
drawn without replacement; the spread of the distance around its mean, scaled to the full size, is laid around the
value. Both say how sure a figure is of these weights on these images, not how another training seed would come out.
"""

import math
from typing import NamedTuple

import numpy as np

REPLICATES = 1000
PARTS = 100
EDGES = (2.5, 97.5)


class Figure(NamedTuple):
    """value; low, high: its 95 % interval; count: images it was measured on; unit; note: what a reader must know."""

    value: float
    low: float
    high: float
    count: int
    unit: str
    note: str = ""


def resampled_means(values, seed):
    """values (N, D) -> means of REPLICATES resamples with replacement (REPLICATES, D)."""
    stream, count = np.random.RandomState(seed), len(values)
    means = np.empty((REPLICATES, values.shape[1]))
    for row in means:
        times = np.bincount(stream.randint(0, count, count), minlength=count)
        row[:] = times @ values / count
    return means


def mean_figures(values, unit, seed, note=""):
    """values (N, D), one row an image -> [Figure] of the D means."""
    values = np.asarray(values, np.float64)
    low, high = np.percentile(resampled_means(values, seed), EDGES, axis=0)
    rows = zip(values.mean(0), low, high, strict=True)
    return [Figure(float(value), float(a), float(b), len(values), unit, note) for value, a, b in rows]


def mean_figure(values, unit, seed, note=""):
    """values (N,), one an image -> Figure of their mean."""
    return mean_figures(np.asarray(values)[:, None], unit, seed, note)[0]


def ratio_figures(upper, lower, unit, seed, note=""):
    """upper (N, D), lower (M, D) of two independent sets -> [Figure] of the D ratios of their means; N is the count.

    A mean of zero below gives a value that is not finite.
    """
    upper, lower = np.asarray(upper, np.float64), np.asarray(lower, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = upper.mean(0) / lower.mean(0)
        spread = resampled_means(upper, seed) / resampled_means(lower, seed + 1)
        low, high = np.percentile(spread, EDGES, axis=0)
    rows = zip(ratios, low, high, strict=True)
    return [Figure(float(value), float(a), float(b), len(upper), unit, note) for value, a, b in rows]


def distance_figure(distance, one, other, size, unit, seed, note=""):
    """distance: function of two sets of rows -> Figure of distance(one, other), by subsamples of `size` rows each.

    A subsample of m of n rows without replacement varies as the full set does, times sqrt(n/m - 1) (Politis, Romano &
    Wolf, 1999, with the finite population's correction); its own bias cancels in the difference to the mean.
    """
    stream, value = np.random.RandomState(seed), distance(one, other)
    found = []
    for _ in range(PARTS):
        parts = [rows[stream.permutation(len(rows))[: min(size, len(rows) // 2)]] for rows in (one, other)]
        found.append(distance(*parts))
    whole, part = min(len(one), len(other)), min(size, len(one) // 2, len(other) // 2)
    spread = (np.array(found) - np.mean(found)) / math.sqrt(whole / part - 1)
    low, high = value + np.percentile(spread, EDGES)
    return Figure(float(value), float(low), float(high), len(one), unit, note)
