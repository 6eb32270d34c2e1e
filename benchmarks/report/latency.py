"""Latency: how calls were spread, how they stand beside eager PyTorch, and what larger batches gain."""

import numpy as np

from ..results import ratio
from .names import bundle, family, interval, label, seconds, short
from .parts import Picture, Section, Table

TIMED = ("single", "batch")
HOW = {"single": "one image, the next only after the last", "batch": "whole batches, one after the other"}
LEAD = [
    "Left, how long a call takes: the bar ends at the median, its line at the 99th percentile, the diamond is "
    "p90. Right, how "
    "calls were spread, each system's over its own median: bar, their middle half; line, 1st to 99th "
    "percentile; circle, "
    "median; diamond, p90; strokes, single calls."
]


def timed(run):
    """Run -> its results of the scenarios that are timed call by call, by scenario and batch, the slowest first."""
    found = [result for result in run.results if result.case.scenario in TIMED]
    return sorted(found, key=lambda item: (TIMED.index(item.case.scenario), item.case.batch, -item.median_s))


def grouped(results):
    """Results -> [((scenario, batch, threads), results of it)], in their order."""
    groups = {}
    for result in results:
        groups.setdefault(key_of(result.case), []).append(result)
    return list(groups.items())


def key_of(case):
    return case.scenario, case.batch, case.threads


def heading(run, scenario, batch, threads):
    """What a group is called; threads only where a run has several."""
    several = len(set(result.case.threads for result in run.results)) > 1
    return "batch {}".format(batch) + (", {} threads".format(threads) if several else "")


def beside_eager(run, result):
    """Ratio of eager's time over this result's, or None: no baseline, or it is the baseline, or unlike rounds."""
    baseline = run.baseline(result)
    if baseline is None or baseline is result or len(baseline.rounds) != len(result.rounds):
        return None
    return ratio(result, baseline)


def section(run):
    """Run -> Section of distributions, or None."""
    groups = grouped(timed(run))
    if not groups:
        return None
    pictures = [picture for key, results in groups for picture in (bars(run, key, results), spread(run, key, results))]
    return Section("latency", "Latency", LEAD, pictures, [table(run)], harness(run))


def harness(run):
    """A sentence on what everything around an engine takes, where that was measured."""
    found = run.settings.get("harness_s") or {}
    if not found:
        return []
    told = ", ".join("{} at batch {}".format(seconds(value), batch) for batch, value in found.items())
    return [
        "Of every call the harness itself takes {}, measured with an engine that only looks answers up.".format(told)
    ]


def bars(run, key, results):
    """How long a call takes, absolutely."""
    rows = [
        {"label": label(item.case), "family": family(item.case.system), "median": 1e3 * item.median_s,
         "p90": 1e3 * item.percentile_s(90), "p99": 1e3 * item.percentile_s(99)}
        for item in results
    ]  # fmt: skip
    best = results[-1]
    told = "Latency of {} systems, {}: the fastest, {}, has a median of {} and a p90 of {}; the slowest, {}, {}."
    alt = told.format(
        len(rows), HOW[key[0]], label(best.case), seconds(best.median_s), seconds(best.percentile_s(90)),
        label(results[0].case), seconds(results[0].median_s),
    )  # fmt: skip
    title = "Latency, {}".format(heading(run, *key))
    data = {"rows": rows, "xlabel": "milliseconds a call"}
    return Picture("latency-{}-{}-{}".format(*key), title, alt, "bars", data, HOW[key[0]])


def spread(run, key, results):
    """How calls were spread around their system's median."""
    rows = [
        {"label": label(item.case), "family": family(item.case.system), "values": list(item.seconds / item.median_s),
         "p90": item.percentile_s(90) / item.median_s}
        for item in results
    ]  # fmt: skip
    told = "; ".join("{} p99 {}, slowest {}".format(
        label(item.case), short(item.percentile_s(99) / item.median_s), short(max(item.seconds) / item.median_s))
        for item in results)  # fmt: skip
    title = "Spread, {}".format(heading(run, *key))
    alt = "{}: calls over their system's median: {}.".format(title, told)
    data = {"rows": rows, "xlabel": "time of a call / its system's median"}
    return Picture("spread-{}-{}-{}".format(*key), title, alt, "spread", data, "calls over their system's median")


def table(run):
    results = timed(run)
    device = any(item.device_rounds is not None for item in results)
    head = ["system", "batch", "median ms", "p90 ms", "p99 ms", "slowest ms"] + (
        ["device, median ms"] if device else []
    )
    head += ["calls", "images/s", "times as fast as eager (95 %)"]
    rows = []
    for item in results:
        beside = beside_eager(run, item)
        cells = [label(item.case), heading(run, *key_of(item.case)).replace("batch ", "")]
        cells += [milli(item.median_s)] + [milli(item.percentile_s(percent)) for percent in (90, 99, 100)]
        if device:
            cells += ["" if item.device_rounds is None else milli(np.median(item.device_seconds))]
        cells += ["{:,}".format(len(item.seconds)), short(item.samples_per_s)]
        rows.append(cells + ["" if beside is None else interval(beside)])
    return Table("Latency of {} '{}' by batch size and system".format(bundle(run), run.bundle["graph"]), head, rows, 2)


def milli(value):
    """Seconds -> milliseconds as text, with four digits that count."""
    return short(1e3 * value, 4)


def ratios(run):
    """Run -> Section of ratios over eager PyTorch in float32, or None where there is no such baseline."""
    pictures = []
    for key, results in grouped(timed(run)):
        found = [(item, beside_eager(run, item)) for item in results]
        found = [(item, beside) for item, beside in found if beside is not None]
        if found:
            pictures.append(forest(run, key, found))
    if not pictures:
        return None
    lead = [
        "Right of the line is faster than eager PyTorch in float32. The band is the 95 % interval; both ran "
        "side by side, in the "
        "same rounds, so what slowed one slowed the other."
    ]
    return Section("ratio", "Beside eager PyTorch", lead, pictures)


def forest(run, key, found):
    rows = [
        {"label": label(item.case), "family": family(item.case.system), "middle": beside.median, "low": beside.low,
         "high": beside.high}
        for item, beside in found
    ]  # fmt: skip
    told = "; ".join("{} {}".format(label(item.case), interval(beside)) for item, beside in found)
    alt = "Times as fast as eager PyTorch, {}, with 95 % intervals: {}.".format(heading(run, *key), told)
    title = "Times as fast as eager, {}".format(heading(run, *key))
    data = {"rows": rows, "xlabel": "times as fast as eager PyTorch", "line": 1.0}
    return Picture("ratio-{}-{}-{}".format(*key), title, alt, "intervals", data)


def throughput(run):
    """Run -> Section of images a second against batch size, or None for fewer than two batch sizes."""
    lines = {}
    for item in timed(run):
        key = label(item.case), item.case.system, item.case.threads
        lines.setdefault(key, []).append((item.case.batch, item.samples_per_s))
    lines = {key: sorted(points) for key, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    several, styles = len(set(key[2] for key in lines)) > 1, {}
    series = []
    for (name, system, threads), points in lines.items():
        styles[family(system)] = styles.get(family(system), -1) + 1
        words = "{}, {} threads".format(name, threads) if several else name
        xs, ys = zip(*points)
        series.append(
            {"label": words, "family": family(system), "style": styles[family(system)], "x": list(xs), "y": list(ys)}
        )
    alt = "Images a second against batch size: {}.".format("; ".join(
        "{} from {} at batch {} to {} at batch {}".format(
            item["label"], short(item["y"][0]), item["x"][0], short(item["y"][-1]), item["x"][-1])
        for item in series))  # fmt: skip
    data = {"series": series, "xlabel": "batch size (images a call)", "ylabel": "images a second", "x_doubles": True}
    picture = Picture("throughput", "Throughput against batch size", alt, "lines", data)
    lead = ["Images a second: the batch size over the median call. The figures are in the table of latencies."]
    return Section("throughput", "Throughput", lead, [picture])
