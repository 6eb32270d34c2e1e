"""Results: raw seconds and where they were measured; statistics are views of them, never stored.

A file holds one run, as JSON:

    format     1
    kind       "latentjet benchmark"
    started    UTC, ISO 8601
    machine    see device.py
    bundle     {path, family, graph, sha256 (of the graph's file), nodes, macs}
    settings   {rounds, burst_s, threads, seed}
    results    [{case {system, precision, batch, threads}, seconds [[one list a round]], largest_difference, note}]

Format history: 1, the first.
"""

import json
import math
from typing import NamedTuple

import numpy as np

from ..runtime.errors import InputError
from ..runtime.files import write_file

FORMAT = 1
KIND = "latentjet benchmark"


class Case(NamedTuple):
    """What is timed: system (eager, ort, ...), precision, batch, threads."""

    system: str
    precision: str
    batch: int
    threads: int


class Result(NamedTuple):
    """One case: rounds, a tuple of tuples of seconds; largest difference from the reference (None: not comparable)."""

    case: Case
    rounds: tuple
    largest_difference: float = None
    note: str = ""

    @property
    def seconds(self):
        """All raw seconds, (calls,), in the order they were measured."""
        return np.array([value for part in self.rounds for value in part])

    @property
    def median_s(self):
        return float(np.median(self.seconds))

    @property
    def samples_per_s(self):
        return self.case.batch / self.median_s

    def percentile_s(self, percent):
        """trtexec's percentile of the raw seconds."""
        return percentile(self.seconds, percent)

    def round_medians(self):
        """Median seconds of each round, (rounds,)."""
        return np.array([np.median(part) for part in self.rounds])


class Ratio(NamedTuple):
    """How many times faster than a baseline: median over rounds, and the 95 % interval of that median."""

    median: float
    low: float
    high: float


class Run(NamedTuple):
    """One benchmark run: results and all that is needed to read them later."""

    started: str
    machine: dict
    bundle: dict
    settings: dict
    results: tuple

    def baseline(self, result, system="eager"):
        """The result of the baseline system, in float32, at the same batch and threads, or None."""
        wanted = result.case._replace(system=system, precision="fp32")
        return next((other for other in self.results if other.case == wanted), None)


def percentile(seconds, percent):
    """trtexec 8.2's percentile: sorted[max(n - 1 - int((1 - p/100) n), 0)] (samples/common/sampleReporting.cpp).

    trtexec computes (1 - p/100) n in float32 and may land one place higher where that is nearly whole.
    """
    ordered = np.sort(seconds)
    excluded = int((1 - percent / 100.0) * len(ordered) + 1e-9)
    return float(ordered[max(len(ordered) - 1 - excluded, 0)])


def ratio(result, baseline, seed=0, resamples=2000):
    """Result, baseline Result -> Ratio of the baseline's time over the result's, by rounds that ran side by side.

    The interval is a bootstrap over rounds (Efron's percentile interval). Raises InputError for unlike rounds.
    """
    if len(result.rounds) != len(baseline.rounds):
        raise InputError("{} rounds beside {}: only rounds that ran side by side compare".format(
            len(result.rounds), len(baseline.rounds)))  # fmt: skip
    ratios = baseline.round_medians() / result.round_medians()
    picks = np.random.RandomState(seed).randint(0, len(ratios), (resamples, len(ratios)))
    medians = np.sort(np.median(ratios[picks], axis=1))
    low, high = medians[int(0.025 * resamples)], medians[int(0.975 * resamples) - 1]
    return Ratio(float(np.median(ratios)), float(low), float(high))


def save(run, path):
    """Write a Run; raises OutputError if it cannot be written."""
    content = {"format": FORMAT, "kind": KIND, "started": run.started, "machine": run.machine, "bundle": run.bundle}
    content["settings"] = run.settings
    content["results"] = [
        {
            "case": dict(result.case._asdict()), "seconds": [list(part) for part in result.rounds],
            "largest_difference": result.largest_difference, "note": result.note,
        }
        for result in run.results
    ]  # fmt: skip
    write_file(path, (json.dumps(content, indent=1) + "\n").encode("utf-8"))


def load(path):
    """Path -> Run. Raises InputError for a file that is missing, no benchmark, or of a newer format."""
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
        if content["kind"] != KIND:
            raise KeyError("kind")
        if content["format"] != FORMAT:
            raise InputError(
                "{} has format {}, this latentjet reads {}: upgrade it".format(path, content["format"], FORMAT)
            )
        results = tuple(
            Result(
                Case(**item["case"]),
                tuple(tuple(part) for part in item["seconds"]),
                item["largest_difference"],
                item["note"],
            )
            for item in content["results"]
        )
        run = Run(content["started"], content["machine"], content["bundle"], content["settings"], results)
        valid = [bool(result.rounds) and all(map(_is_seconds, result.rounds)) for result in results]
        _refuse_garbled(run)
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError("{} is no result of latentjet bench ({})".format(path, error))
    if not all(valid):
        wrong = results[valid.index(False)].case
        raise InputError("{}: case {}, batch {}, has no valid seconds".format(path, wrong.system, wrong.batch))
    return run


def _is_seconds(part):
    return bool(part) and all(0 < value < math.inf for value in part)


def _refuse_garbled(run):
    """Raise KeyError for what a table needs and the file has not."""
    for kept, names in ((run.machine, ()), (run.bundle, ("family", "graph")), (run.settings, ("threads",))):
        for name in names:
            kept[name]
        kept.items()
    for result in run.results:
        if not isinstance(result.case.batch, int) or result.case.batch < 1:
            raise KeyError("batch")
