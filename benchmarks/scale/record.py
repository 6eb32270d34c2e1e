"""A run over the points: raw seconds, memory, what each graph is made of, and the board's estimate, as JSON.

    format     1
    kind       "latentjet scale"
    started    UTC, ISO 8601
    machine    see device.py, and the load before the run
    versions   {package: version}
    settings   {rounds, burst_s, threads, seed}
    points     [{family, sweep, value, arguments, batch, nodes, kernels, macs (an image's), moved_bytes (a batch's),
               parameters, graph_bytes, memory {imported, loaded, most}, board {seconds, low, high},
               seconds [[one list a round]]}], seconds to 10 ns
"""

from typing import NamedTuple

import numpy as np

from .. import kept

KIND = "latentjet scale"


class Measured(NamedTuple):
    """A Point and what was found there: nodes of the graph, kernels (nodes that ONNX Runtime is left with), macs of one
    image, bytes that kernels read and write, parameters, bytes of the graph, memory, board, rounds of seconds."""

    family: str
    sweep: str
    value: int
    arguments: dict
    batch: int
    nodes: int
    kernels: int
    macs: int
    moved_bytes: int
    parameters: int
    graph_bytes: int
    memory: dict
    board: dict
    seconds: tuple

    @property
    def median_s(self):
        return float(np.median([value for part in self.seconds for value in part]))

    def round_medians(self):
        """Median seconds of each round, (rounds,)."""
        return np.array([np.median(part) for part in self.seconds])


class Record(NamedTuple):
    """One run."""

    started: str
    machine: dict
    versions: dict
    settings: dict
    points: tuple


def save(record, path):
    """Write a Record, one line a round; raises OutputError if it cannot be written."""
    kept.save(record, path, KIND, "points")


def load(path):
    """Path -> Record. Raises InputError for a file that is missing or is none."""
    return Record(*kept.load(path, KIND, "points", Measured, ("sweep", "value"), "the cost of scale"))
