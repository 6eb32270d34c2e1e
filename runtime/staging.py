"""Which kind of staging memory is fastest for a plan on this device: measured with the plan itself, never assumed.

All kinds run in turn in every round, at batch 1 and at the middle of the plan's batches; a round's number is the median
of its calls. The fastest at the smallest batch is taken.
"""

import time
from typing import NamedTuple

import numpy as np

from .errors import BackendError
from .inputs import random_inputs

ROUNDS, BURST_S, MOST_CALLS = 11, 0.02, 200


class Measured(NamedTuple):
    """Seconds of a call: the median round, and the quarter points of the rounds."""

    median_s: float
    low_s: float
    high_s: float


def opened(open_, kinds):
    """Function (kind -> engine), kinds -> ({kind: engine}, {kind: why there is none}). Raises BackendError: no kind."""
    engines, left_out = {}, {}
    for kind in kinds:
        try:
            engines[kind] = open_(kind)
        except BackendError as error:
            left_out[kind] = str(error)
    if not engines:
        raise BackendError(left_out[kinds[0]])
    return engines, left_out


def sizes(batches):
    """The batch sizes to measure: 1 and the middle of the plan's."""
    return sorted({1, batches[len(batches) // 2]})


def measure(engines, batches):
    """{kind: engine}, batch sizes -> {kind: {batch: Measured}}."""
    found = {kind: {} for kind in engines}
    for batch in batches:
        calls = {kind: caller(engine, batch) for kind, engine in engines.items()}
        counts = {kind: calibrated(call) for kind, call in calls.items()}
        rounds = {kind: [] for kind in engines}
        for _ in range(ROUNDS):
            for kind, call in calls.items():
                rounds[kind].append(burst(call, counts[kind]))
        for kind, medians in rounds.items():
            low, median, high = np.percentile(medians, (25, 50, 75))
            found[kind][batch] = Measured(float(median), float(low), float(high))
    return found


def caller(engine, batch):
    """A call of an engine that allocates nothing."""
    inputs = random_inputs(engine.graph, batch, np.random.RandomState(0))
    out = engine.run(**inputs)
    return lambda: engine.run(out, **inputs)


def calibrated(call):
    """How many calls fill a burst, after what the first ones make once (a CUDA graph)."""
    call()
    call()
    before = time.perf_counter()
    call()
    return int(min(max(BURST_S / max(time.perf_counter() - before, 1e-9), 3), MOST_CALLS))


def burst(call, count):
    """Median seconds of some calls, after one that is not counted."""
    call()
    seconds = []
    for _ in range(count):
        before = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - before)
    return float(np.median(seconds))


def fastest(measured):
    """What `measure` found -> the kind with the least median at the smallest batch."""
    return min(measured, key=lambda kind: measured[kind][min(measured[kind])].median_s)
