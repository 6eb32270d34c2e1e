"""Latency: how calls were spread, how they stand beside eager PyTorch, and what larger batches gain."""

from ..results import ratio
from .names import bundle, family, interval, label, seconds, short
from .parts import Picture, Section, Table

TIMED = ("single", "batch", "overlapped")
HOW = {
    "single": "one image, the next only after the last",
    "overlapped": "calls overlapped as trtexec does",
    "batch": "whole batches, one after the other",
}
SPREAD = (
    "Thin line: 1st to 99th percentile of the calls; bar: their middle half; circle: median; diamond: p90; strokes: single "
    "calls, outliers beyond the axis left out."
)


def timed(run):
    """Run -> its results of the scenarios that are timed call by call, by scenario and batch, the slowest first."""
    found = [result for result in run.results if result.case.scenario in TIMED]
    return sorted(found, key=lambda item: (TIMED.index(item.case.scenario), item.case.batch, -item.median_s))


def grouped(results):
    """Results -> [((scenario, batch, threads), results of it)], in their order."""
    groups = {}
    for result in results:
        groups.setdefault((result.case.scenario, result.case.batch, result.case.threads), []).append(result)
    return list(groups.items())


def heading(run, scenario, batch, threads):
    """What a group is called; threads only where a run has several."""
    several = len(set(result.case.threads for result in run.results)) > 1
    words = "batch {}".format(batch) if scenario != "overlapped" else "overlapped, batch {}".format(batch)
    return words + (", {} threads".format(threads) if several else "")


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
    return Section(
        "latency", "Latency", [SPREAD],
        [spread(run, key, results) for key, results in groups], [table(run)],
    )  # fmt: skip


def spread(run, key, results):
    rows = [
        {"label": label(item.case), "family": family(item.case.system), "values": [1e3 * value for value in item.seconds],
         "p90": 1e3 * item.percentile_s(90)}
        for item in results
    ]  # fmt: skip
    best = results[-1]
    alt = "Latency of {} systems, {}: the fastest, {}, has a median of {} and a p90 of {}; the slowest, {}, a median of {}.".format(
        len(rows), HOW[key[0]], label(best.case), seconds(best.median_s), seconds(best.percentile_s(90)),
        label(results[0].case), seconds(results[0].median_s),
    )  # fmt: skip
    title = "Latency, {}".format(heading(run, *key))
    data = {"rows": rows, "xlabel": "milliseconds a call"}
    return Picture("latency-{}-{}-{}".format(*key), title, alt, "spread", data, HOW[key[0]])


def table(run):
    results = timed(run)
    device = any(item.device_rounds is not None for item in results)
    scenarios = len(set(item.case.scenario for item in results) - {"single", "batch"}) > 0
    head = ["batch", "system"] + (["scenario"] if scenarios else [])
    words = len(head)
    head += ["calls", "median ms", "p90 ms", "p99 ms", "slowest ms"] + (["device, median ms"] if device else [])
    head += ["images/s", "times as fast as eager (95 %)"]
    rows = []
    for item in results:
        beside = beside_eager(run, item)
        cells = [str(item.case.batch), label(item.case)] + ([item.case.scenario] if scenarios else [])
        cells += ["{:,}".format(len(item.seconds)), milli(item.median_s), milli(item.percentile_s(90))]
        cells += [milli(item.percentile_s(99)), milli(max(item.seconds))]
        if device:
            cells += ["" if item.device_rounds is None else milli(percentile_50(item.device_seconds))]
        rows.append(cells + [short(item.samples_per_s), "" if beside is None else interval(beside)])
    return Table("Latency of {} '{}' by batch size and system".format(bundle(run), run.bundle["graph"]), head, rows, words)


def milli(value):
    """Seconds -> milliseconds as text, with four digits that count."""
    return short(1e3 * value, 4)


def percentile_50(values):
    ordered = sorted(values)
    return 0.5 * (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


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
        "Right of the line is faster than eager PyTorch in float32. The band is the 95 % interval; both ran side by side, in the "
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
        if item.case.scenario != "overlapped":
            lines.setdefault((label(item.case), item.case.system, item.case.threads), []).append(
                (item.case.batch, item.samples_per_s)
            )
    lines = {key: sorted(points) for key, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    several, styles = len(set(key[2] for key in lines)) > 1, {}
    series = []
    for (name, system, threads), points in lines.items():
        styles[family(system)] = styles.get(family(system), -1) + 1
        words = "{}, {} threads".format(name, threads) if several else name
        xs, ys = zip(*points)
        series.append({"label": words, "family": family(system), "style": styles[family(system)], "x": list(xs), "y": list(ys)})
    alt = "Images a second against batch size: {}.".format("; ".join(
        "{} from {} at batch {} to {} at batch {}".format(
            item["label"], short(item["y"][0]), item["x"][0], short(item["y"][-1]), item["x"][-1])
        for item in series))  # fmt: skip
    data = {"series": series, "xlabel": "batch size (images a call)", "ylabel": "images a second", "x_doubles": True}
    picture = Picture("throughput", "Throughput against batch size", alt, "lines", data)
    lead = ["Images a second: the batch size over the median call. The figures are in the table of latencies."]
    return Section("throughput", "Throughput", lead, [picture])
