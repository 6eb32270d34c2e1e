"""What half precision may cost, in levels of 8 bits. The exporter's gate, `latentjet build` and `latentjet check` hold
the same limit: this one.

A level is 1/255 of the range of an output: of [0, 1] for images, else of the values that float32 gives.
"""

import numpy as np

LEVELS, SHARE_WITHIN = 2, 0.999


def span(expected):
    """The range of an output, float32 values of any shape -> float."""
    if expected.min() > -0.01 and expected.max() < 1.01:
        return 1.0
    return float(np.ptp(expected)) or 1.0


def levels(seen, expected):
    """Differences of two arrays of one shape, in levels, float64; what is not finite is infinitely far off."""
    gaps = np.abs(seen.astype(np.float64) - expected) * (255 / span(expected))
    return np.where(np.isnan(gaps), np.inf, gaps)


def count_within(gaps):
    """How many of some differences, in levels, are within the limit."""
    return int((gaps <= LEVELS).sum())
