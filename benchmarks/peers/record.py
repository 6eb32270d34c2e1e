"""One run beside the peers: raw seconds and where they were measured, as JSON.

    format     1
    kind       "latentjet peers"
    started    UTC, ISO 8601
    machine    see device.py
    versions   {package: version}
    settings   {rounds, burst_s, threads, seed, size}
    results    [{work, name, form, way, batch, parameters, macs, note, seconds [[one list a round]]}], seconds to 10 ns
"""

from typing import NamedTuple

import numpy as np

from .. import kept

KIND = "latentjet peers"


class Measured(NamedTuple):
    """One system of a work at one batch size: whose model, form, way, what it is, rounds of seconds."""

    work: str
    name: str
    form: str
    way: str
    batch: int
    parameters: int
    macs: int
    seconds: tuple
    note: str = ""

    @property
    def key(self):
        return self.name, self.form, self.way

    @property
    def rounds(self):
        return self.seconds

    @property
    def median_s(self):
        """Median of all raw seconds, as of a Result of `latentjet bench`."""
        return float(np.median([value for part in self.seconds for value in part]))

    def round_medians(self):
        """Median seconds of each round, (rounds,): what results.ratio reads."""
        return np.array([np.median(part) for part in self.seconds])


class Record(NamedTuple):
    """One run over works."""

    started: str
    machine: dict
    versions: dict
    settings: dict
    results: tuple


def save(record, path):
    """Write a Record, one line a round; raises OutputError if it cannot be written."""
    kept.save(record, path, KIND, "results")


def load(path):
    """Path -> Record. Raises InputError for a file that is missing or is none."""
    return Record(*kept.load(path, KIND, "results", Measured, ("name", "way"), "a run beside the peers"))
