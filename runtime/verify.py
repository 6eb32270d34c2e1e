"""Is a new engine right? The reference vectors, the same batch size again and again, and fresh samples say so."""

from typing import NamedTuple

import numpy as np

from .check import repeated, run_in_parts
from .inputs import random_inputs
from .levels import SHARE_WITHIN, count_within, levels

SAMPLES = 10000


class Verdict(NamedTuple):
    """What running a new plan showed.

    largest: largest difference from the reference; within: least share of an output's values within 2 levels of 8 bits;
    not_finite: values not finite among all rows that ran; samples: fresh rows; passed; graphs_dropped: why CUDA graphs
    were dropped, or "".
    """

    largest: float
    within: float
    not_finite: int
    samples: int
    passed: bool
    graphs_dropped: str = ""


class Tally:
    """Differences from the reference, of any number of runs."""

    def __init__(self, graph, precision):
        self.graph, self.precision = graph, precision
        self.largest, self.within, self.not_finite = 0.0, 1.0, 0

    def add(self, outputs, expected):
        """Count the outputs of one run, {name: array}, against what is expected of them."""
        for name, wanted in expected.items():
            gap = np.abs(outputs[name].astype(np.float64) - wanted)
            self.largest = max(self.largest, float(np.where(np.isnan(gap), np.inf, gap).max()))
            self.within = min(self.within, count_within(levels(outputs[name], wanted)) / gap.size)
        self.add_fresh(outputs)

    def add_fresh(self, outputs):
        """Count what is not finite among the outputs of rows that have no reference."""
        self.not_finite += sum(int((~np.isfinite(array)).sum()) for array in outputs.values())

    def right(self):
        """In half precision the share within 2 levels decides, in float32 the graph's tolerance."""
        close = self.within >= SHARE_WITHIN if self.precision == "fp16" else self.largest <= self.graph.tolerance
        return close and self.not_finite == 0


def verify(engine, bundle, precision, samples=SAMPLES):
    """Run a new engine on the reference, on each profile's largest batch several times, on fresh rows -> Verdict.

    Where repeated runs are wrong and CUDA graphs are on, the graphs are dropped for good and everything is run again
    without them.
    """
    inputs, reference = bundle.reference(engine.graph.name)
    dropped, tally = "", with_reference(engine, inputs, reference, precision)
    if engine.graphs == "on" and not tally.right():
        dropped = "replayed, they differ from the reference by {:.3g}".format(tally.largest)
        engine.drop_graphs(dropped)
        tally = with_reference(engine, inputs, reference, precision)
    done, stream = 0, np.random.RandomState(42)
    while done < samples:
        rows = min(engine.batches[-1], samples - done)
        tally.add_fresh(engine.run(**random_inputs(engine.graph, rows, stream)))
        done += rows
    return Verdict(tally.largest, tally.within, tally.not_finite, samples, tally.right(), dropped)


def with_reference(engine, inputs, reference, precision):
    """Everything that has a reference -> Tally."""
    tally = Tally(engine.graph, precision)
    tally.add(run_in_parts(engine, inputs), reference)
    for outputs, expected in repeated(engine, inputs, reference):
        tally.add(outputs, expected)
    return tally
