"""What an engine is asked to do, and whether it did: rows of the bundle's reference, whose outputs are known.

So every round can compare what the last timed call gave with what eager PyTorch gave when the bundle was made. The
arithmetic of these models does not depend on the numbers, so other rows would take as long.
"""

import numpy as np

from ..runtime.check import compare
from ..runtime.errors import CheckError
from ..runtime.levels import count_within, levels
from ..runtime.model import valid_seed
from .measure import Subject

UNCHECKED = {"masked": "another model with random weights: not compared with the reference"}


class Verdict:
    """Compares outputs with the reference and remembers the worst: largest difference, levels of 8 bits."""

    def __init__(self, graph, system, precision, expected):
        self.graph, self.system, self.precision, self.expected = graph, system, precision, expected
        self.largest, self.largest_level, self.within, self.values = 0.0, 0.0, 0, 0

    def __call__(self, outputs):
        """Raises CheckError where an output differs by more than the graph's tolerance allows."""
        for item in compare(self.graph, outputs, self.expected, self.precision):
            if not item.passed:
                raise CheckError(
                    "system '{}', graph '{}': output '{}' differs from the reference by {:.3g}, allowed are {:.0e}: "
                    "a wrong result gets no time".format(
                        self.system, item.graph, item.output, item.largest, item.tolerance
                    )
                )
        for name, expected in self.expected.items():
            gaps = levels(outputs[name], expected)
            self.largest = max(self.largest, float(np.abs(outputs[name].astype(np.float64) - expected).max()))
            self.largest_level = max(self.largest_level, float(gaps.max()))
            self.within, self.values = self.within + count_within(gaps), self.values + gaps.size

    def levels(self):
        """{within_2: the share of values within 2 levels, largest}, or {} before anything was compared."""
        return {"within_2": self.within / float(self.values), "largest": self.largest_level} if self.values else {}


def rows(bundle, graph, batch, seed):
    """A batch of the reference's rows, drawn by a seed -> ({input: array}, {output: array}). Raises InputError."""
    inputs, outputs = bundle.reference(graph)
    count = len(next(iter(inputs.values())))
    picked = np.random.RandomState(valid_seed(seed)).randint(0, count, batch)
    return tuple(
        {name: np.ascontiguousarray(array[picked]) for name, array in side.items()} for side in (inputs, outputs)
    )


def prepare(bundle, engine, system, batch, seed):
    """An open engine, a batch size -> the Subject to be timed; its check is a Verdict (None: another model)."""
    inputs, expected = rows(bundle, engine.graph.name, batch, seed)
    if system == "model" and "labels" in inputs:
        inputs["labels"] = engine.model.weights(inputs["labels"])
    check = None if system in UNCHECKED else Verdict(engine.graph, system, engine.precision, expected)

    def call():
        return engine.run(**inputs)

    return Subject(call, check, by_device(engine, call))


def by_device(engine, call):
    """A function (count -> seconds of so many calls by the device's own clock), or None where there is none."""
    watch = getattr(engine, "watch", None)
    if watch is None or not watch(True):
        return None
    watch(False)

    def seconds(count):
        watch(True)
        try:
            found = []
            for _ in range(count):
                call()
                found.append(engine.device_seconds())
            return tuple(found)
        finally:
            watch(False)

    return seconds
