"""Several runs on one page: what each says first, and the first beside every other that is like it."""

from ...runtime.errors import InputError
from ..compare import compare, verdict
from .headline import best
from .latency import beside_eager, milli
from .names import bundle, family, interval, label, machine, words
from .parts import Picture, Section, Table


def section(runs):
    """Runs, two or more -> Section."""
    tables, pictures, notes = [overview(runs)], [], []
    for number, run in enumerate(runs[1:], 2):
        try:
            found = compare(runs[0], run)
        except InputError as error:
            notes.append("Run {} has no ratio over run 1: {}.".format(number, str(error).split(". Run both")[0]))
            continue
        tables.append(table(number, found))
        pictures.append(forest(number, found))
    lead = ["The runs were not side by side: intervals draw the rounds of each by itself, and do not hold what "
    "differs from one "
            "start to the next."] if pictures else []  # fmt: skip
    return Section("runs", "The runs beside each other", lead, pictures, tables, notes)


def overview(runs):
    rows = []
    for number, run in enumerate(runs, 1):
        result = best(run)
        rows.append([str(number), "{} '{}'".format(bundle(run), run.bundle["graph"]), machine(run),
                     str(run.machine.get("power_mode") or ""), run.started])  # fmt: skip
        beside = None if result is None else beside_eager(run, result)
        rows[-1] += ["", "", "", ""] if result is None else [
            words(result.case), str(result.case.batch), milli(result.percentile_s(90)),
            interval(beside) if beside else ""]  # fmt: skip
    head = [
        "run",
        "bundle",
        "machine",
        "mode",
        "started",
        "fastest",
        "batch",
        "p90 ms",
        "times as fast as eager (95 %)",
    ]
    modes = any(row[3] for row in rows)
    if not modes:
        head, rows = [[cell for place, cell in enumerate(row) if place != 3] for row in [head]][0], [
            [cell for place, cell in enumerate(row) if place != 3] for row in rows]  # fmt: skip
    return Table("The runs", head, rows, 6 if modes else 5)


def table(number, found):
    rows = [
        [pair.case.scenario, str(pair.case.batch), label(pair.case), milli(pair.before.median_s),
        milli(pair.after.median_s),
         interval(pair.ratio), verdict(pair.ratio)]
        for pair in found.pairs
    ]  # fmt: skip
    head = [
        "scenario",
        "batch",
        "system",
        "run 1, median ms",
        "run {}, median ms".format(number),
        "time over run 1's (95 %)",
        "",
    ]
    return Table("Run {} beside run 1".format(number), head, rows, 3)


def forest(number, found):
    rows = [
        {"label": "{}, {}".format(label(pair.case), pair.case.batch), "family": family(pair.case.system),
         "middle": pair.ratio.median, "low": pair.ratio.low, "high": pair.ratio.high}
        for pair in found.pairs
    ]  # fmt: skip
    title = "Time of run {} over run 1's".format(number)
    told = "; ".join("{} {}".format(row["label"], interval(pair.ratio)) for row, pair in zip(rows, found.pairs))
    data = {"rows": rows, "xlabel": "time over run 1's (system, batch size); right is slower", "line": 1.0}
    return Picture(
        "run-{}".format(number), title, "{}, by system and batch size: {}.".format(title, told), "intervals", data
    )
