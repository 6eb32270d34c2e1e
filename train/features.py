"""Distances between two sets of features: FID and KID, on any features (here those of a judge).

FID (Heusel et al., 2017): the Fréchet distance between normal distributions with the sets' means and covariances,
|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). It is biased upwards, the more the fewer the samples (Bińkowski et al.,
2018): compare only at equal counts, and beside the floor, two sets of real images.

KID (Bińkowski et al., 2018): the squared maximum mean discrepancy, its unbiased estimate, with the kernel
(x.y / d + 1)^3. It is 0 on average for two samples of one distribution, so it can be negative.
"""

import numpy as np

from .bootstrap import distance_figure

NOTE = "not comparable with Inception FID"
KID_PART = 1000
BLOCK = 500


def fid(one, other):
    """Features (N, d) and (M, d) -> Fréchet distance; N and M should be more than d."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    gap = one.mean(0) - other.mean(0)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = square_root(first)
    # S1 S2 has the eigenvalues of root S2 root, which is symmetric
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return max(0.0, float(gap @ gap + np.trace(first) + np.trace(second) - 2 * cross))


def square_root(matrix):
    """The square root of a symmetric, positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def kid(one, other):
    """Features (N, d) and (M, d), N and M at least 2 -> the unbiased squared MMD."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    within = [(kernel_sum(rows, rows) - kernel_diagonal(rows)) / (len(rows) * (len(rows) - 1)) for rows in (one, other)]
    return float(sum(within) - 2 * kernel_sum(one, other) / (len(one) * len(other)))


def kernel_sum(one, other):
    """The sum of the kernel over all pairs, a block of rows at a time."""
    starts = range(0, len(one), BLOCK)
    return sum(((one[start : start + BLOCK] @ other.T / one.shape[1] + 1) ** 3).sum() for start in starts)


def kernel_diagonal(rows):
    """The sum of the kernel of each row with itself."""
    return (((rows * rows).sum(1) / rows.shape[1] + 1) ** 3).sum()


def fid_figure(one, other, seed):
    """Features of two sets -> Figure of their FID; the interval by halves of each set."""
    note = f"{NOTE}; against {len(other)} images"
    figure = distance_figure(fid, one, other, max(len(one), len(other)), "FID, judge's features", seed, note)
    return figure._replace(low=max(0.0, figure.low))


def kid_figure(one, other, seed):
    """Features of two sets -> Figure of their KID; the interval by subsets of at most KID_PART rows."""
    note = f"{NOTE}; against {len(other)} images"
    return distance_figure(kid, one, other, KID_PART, "KID, judge's features", seed, note)
