"""Does an engine reproduce the bundle's reference vectors (eager float32), within each graph's tolerance?"""

from typing import NamedTuple

import numpy as np

from .engine import choose_backend, open_engine
from .errors import CheckError
from .levels import LEVELS, SHARE_WITHIN, span

REPEATS = 4  # the first run is enqueued, the second captured as a CUDA graph, the others are replays of it
REPLAYED = "its CUDA graphs are wrong when they are replayed: `latentjet build` it again, which leaves them out"


class Difference(NamedTuple):
    """One output of one graph: largest and mean absolute difference over so many rows, and what is allowed; note: what
    is known of the cause of a failure, or ""."""

    graph: str
    output: str
    rows: int
    largest: float
    mean: float
    tolerance: float
    note: str = ""

    @property
    def passed(self):
        return self.largest <= self.tolerance  # false for NaN


def compare(graph, outputs, reference, precision="fp32"):
    """Graph, dicts of arrays by output name -> list of Difference. A value that is not finite counts as infinite.

    In half precision `largest` is what 99.9 % of the values stay within, and 2 levels of 8 bits are allowed: the gate
    that the exporter holds (levels.py).
    """
    found = []
    for tensor in graph.outputs:
        seen, expected = outputs[tensor.name], reference[tensor.name]
        if seen.shape != expected.shape:
            raise CheckError(
                "graph '{}': output '{}' is {}, expected {}".format(graph.name, tensor.name, seen.shape, expected.shape)
            )
        gaps = np.abs(seen.astype(np.float64) - expected)
        largest, allowed = float(gaps.max()), graph.tolerance
        if precision == "fp16":
            largest = float(np.sort(gaps, axis=None)[int(np.ceil(SHARE_WITHIN * gaps.size)) - 1])
            allowed = LEVELS / 255.0 * span(expected)
        if not np.isfinite(seen).all():
            largest = float("inf")
        found.append(Difference(graph.name, tensor.name, len(expected), largest, float(gaps.mean()), allowed))
    return found


def check(bundle, backend="auto", graphs=None, threads=None):
    """Bundle -> (backend that was taken, list of Difference), every graph run at several batch sizes, and by TensorRT
    at each profile's largest size so often that its CUDA graph is replayed.

    Raises CheckError for an output of the wrong shape, BackendError, BundleError.
    """
    taken = choose_backend(backend, bundle)
    found = []
    for name in graphs or sorted(bundle.graphs):
        inputs, reference = bundle.reference(name)
        with open_engine(bundle, name, taken, threads) as engine:
            once = compare(bundle.graph(name), run_in_parts(engine, inputs), reference, engine.precision)
            found.extend(with_repeats(engine, once, inputs, reference))
    return taken, found


def with_repeats(engine, once, inputs, reference):
    """Differences of single runs -> the same with the worst of repeated runs in them."""
    worst = list(once)
    for outputs, expected in repeated(engine, inputs, reference):
        for index, again in enumerate(compare(engine.graph, outputs, expected, engine.precision)):
            if not again.largest <= worst[index].largest:  # also where it is not a number
                note = REPLAYED if once[index].passed and not again.passed and engine.graphs == "on" else ""
                worst[index] = again._replace(rows=once[index].rows, note=note)
    return worst


def repeated(engine, inputs, reference, sizes=None):
    """Run batch sizes several times each, with other rows each time; yields (outputs, expected), dicts of arrays.

    What a CUDA graph replays can only be seen like this: it is captured when a size comes for the second time.
    sizes: default the largest batch of each profile, so none for an engine that has no profiles.
    """
    for batch in getattr(engine, "batches", ()) if sizes is None else sizes:
        for turn in range(REPEATS):
            picked = [
                {name: rows_from(array, turn, batch) for name, array in side.items()} for side in (inputs, reference)
            ]
            yield engine.run(**picked[0]), picked[1]


def rows_from(array, start, count):
    """So many rows of an array from one on, its end followed by its beginning."""
    return np.ascontiguousarray(array[(start + np.arange(count)) % len(array)])


def run_in_parts(engine, inputs):
    """Run rows as a batch of one, a batch of two and the rest: the batch is the graph's free axis."""
    rows = len(next(iter(inputs.values())))
    edges = [edge for edge in (0, 1, 3) if edge < rows] + [rows]
    parts = [
        engine.run(**{name: array[low:high] for name, array in inputs.items()}) for low, high in zip(edges, edges[1:])
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
