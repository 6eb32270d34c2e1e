"""Results: raw seconds and where they were measured; statistics are views of them, never stored.

A file holds one run, as JSON:

    format     2
    kind       "latentjet benchmark"
    started, finished    UTC, ISO 8601
    versions   {latentjet, python, numpy, torch, onnxruntime, tensorrt, ...: text}
    machine    what does not change in a run, see device.py
    before, after    what does, see state.py: {clocks_hz {cpu0|gpu|memory|...: {now, least, most}}, governor,
               temperatures_c {zone: value}, throttled [what], throttle_counts {what: events since boot},
               load [1, 5, 15 minutes], memory_free_bytes, swap_used_bytes}
    power      null, or {interval_s, rails [names], total (the rail that the others are part of, or null),
               idle_w {rail: watts}, samples [[s since the start, watts of each rail ...], ...]}
    clocks     null, or the same way {interval_s, names, samples [[s, hertz ...], ...]}
    bundle     {path, name, family, graph, sha256 (of the graph's file), nodes, macs, parameters, model_class, image,
               kB, quality {figure: value}}
    settings   {rounds, burst_s, threads, seed, scenarios, rate_hz, left_out [{system, reason}], ...}
    results    [{case {scenario, system, precision, batch, threads}, seconds [[host seconds, one list a round]],
               device_seconds (the same shape, or null), figures {of the scenario, see scenarios.py},
               largest_difference, levels {within_2: share of values, largest},
               memory {process_bytes, device_bytes, left_out (on a GPU without memory of its own)},
               energy_j_per_image (null without rails), note}]
    layers     [{system, batch, layers [{name, operators [...], layer (the model's), seconds}]}]
    warnings   [{what, advice}]

Format history: 1, the first: versions, load and governor in machine, no scenarios (batch 1 is "single", more is
"batch"). 2, all else.
"""

import json
import math
from typing import NamedTuple

import numpy as np

from ..runtime.errors import InputError
from ..runtime.files import write_file

FORMAT = 2
KIND = "latentjet benchmark"
VERSIONS = ("latentjet", "python", "numpy", "torch", "onnxruntime")  # that format 1 kept among the machine


class Case(NamedTuple):
    """What is timed: scenario (single, batch, ...), system (eager, ort, ...), precision, batch, threads."""

    scenario: str
    system: str
    precision: str
    batch: int
    threads: int


class Result(NamedTuple):
    """One case. rounds: host seconds, a tuple of tuples; device_rounds: of the same shape, or None where no device
    times itself; figures: what a scenario has besides; largest_difference from the reference and levels {within_2,
    largest} (None and {}: not comparable)."""

    case: Case
    rounds: tuple
    largest_difference: float = None
    note: str = ""
    device_rounds: tuple = None
    figures: dict = {}
    levels: dict = {}
    memory: dict = {}
    energy_j_per_image: float = None

    @property
    def seconds(self):
        """All raw host seconds, (calls,), in the order they were measured."""
        return np.array([value for part in self.rounds for value in part])

    @property
    def device_seconds(self):
        """The device's own seconds of the same calls, (calls,), or None."""
        if self.device_rounds is None:
            return None
        return np.array([value for part in self.device_rounds for value in part])

    @property
    def median_s(self):
        return float(np.median(self.seconds))

    @property
    def samples_per_s(self):
        """Images a second: batch over the median call; of the overlapped scenario, by the wall clock of all rounds."""
        if self.case.scenario == "overlapped":
            return self.case.batch * sum(self.figures["queries"]) / sum(self.figures["wall_s"])
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
    """One benchmark run: results and all that is needed to read them later (the keys of the file, see above)."""

    started: str
    machine: dict
    bundle: dict
    settings: dict
    results: tuple
    finished: str = ""
    versions: dict = {}
    before: dict = {}
    after: dict = {}
    power: dict = None
    clocks: dict = None
    layers: tuple = ()
    warnings: tuple = ()

    def baseline(self, result, system="eager"):
        """The result of the baseline system, in float32, of the same scenario, batch and threads, or None."""
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
    content = {"format": FORMAT, "kind": KIND}
    content.update((name, getattr(run, name)) for name in Run._fields if name != "results")
    content["results"] = [
        {
            "case": dict(result.case._asdict()), "seconds": result.rounds, "device_seconds": result.device_rounds,
            "figures": result.figures, "largest_difference": result.largest_difference, "levels": result.levels,
            "memory": result.memory, "energy_j_per_image": result.energy_j_per_image, "note": result.note,
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
        if content["format"] not in (1, FORMAT):
            raise InputError(
                "{} has format {}, this latentjet reads 1 and {}: upgrade it".format(path, content["format"], FORMAT)
            )
        run = _run(upgraded(content) if content["format"] == 1 else content)
        _refuse_garbled(run)
        valid = [_are_seconds(result) for result in run.results]
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError("{} is no result of latentjet bench ({})".format(path, error))
    if not all(valid):
        wrong = run.results[valid.index(False)].case
        raise InputError("{}: case {}, batch {}, has no valid seconds".format(path, wrong.system, wrong.batch))
    return run


def upgraded(content):
    """The content of a file of format 1, as one of format 2 has it; what was not kept then is left out."""
    machine = dict(content["machine"].items())
    versions = {name: machine.pop(name) for name in VERSIONS if name in machine}
    before = {name: machine.pop(name) for name in ("governor",) if name in machine}
    if "load" in machine:
        before["load"] = [float(machine.pop("load"))]
    if "gpu_clock_hz" in machine:
        before["clocks_hz"] = {"gpu": {"now": machine.pop("gpu_clock_hz")}}
    results = [
        dict(item, case=dict(item["case"], scenario="single" if item["case"]["batch"] == 1 else "batch"))
        for item in content["results"]
    ]
    return dict(content, machine=machine, versions=versions, before=before, results=results)


def _run(content):
    results = tuple(
        Result(
            Case(**item["case"]),
            _rounds(item["seconds"]),
            item["largest_difference"],
            item["note"],
            None if item.get("device_seconds") is None else _rounds(item["device_seconds"]),
            item.get("figures", {}),
            item.get("levels", {}),
            item.get("memory", {}),
            item.get("energy_j_per_image"),
        )
        for item in content["results"]
    )
    given = {name: content[name] for name in Run._fields if name in content and name != "results"}
    for name in ("layers", "warnings"):
        given[name] = tuple(given.get(name, ()))
    return Run(results=results, **given)


def _rounds(seconds):
    return tuple(tuple(part) for part in seconds)


def _are_seconds(result):
    """Are there rounds of positive numbers, and do the device's have the same shape?"""
    sides = [result.rounds] + ([] if result.device_rounds is None else [result.device_rounds])
    sizes = [[len(part) for part in side] for side in sides]
    return sizes[0] == sizes[-1] and bool(sizes[0]) and all(_is_seconds(part) for side in sides for part in side)


def _is_seconds(part):
    return bool(part) and all(0 < value < math.inf for value in part)


def _refuse_garbled(run):
    """Raise for what a table needs and the file has not."""
    for kept, names in ((run.machine, ()), (run.bundle, ("family", "graph")), (run.settings, ("threads",))):
        for name in names:
            kept[name]
        kept.items()
    for kept in [run.versions, run.before, run.after] + [item.figures for item in run.results]:
        kept.items()
    for result in run.results:
        if not isinstance(result.case.batch, int) or result.case.batch < 1:
            raise KeyError("batch")
        if result.case.scenario == "overlapped" and not result.samples_per_s > 0:
            raise KeyError("queries")
    for entry in run.layers:
        entry["system"], entry["batch"], entry["layers"]
    for entry in run.warnings:
        entry["what"], entry["advice"]
