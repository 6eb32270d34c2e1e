"""Overlapped calls, a fixed rate, a cold start."""

import numpy as np

from ..results import percentile
from .latency import beside_eager, milli
from .names import family, interval, label, seconds, short
from .parts import Picture, Section, Table

PHASES = (("start_s", "start of Python"), ("load_s", "imports and load"), ("first_s", "first call"))


def found_in(run, scenario, *figures):
    """Run -> its results of one scenario that have these figures, by batch size, the slowest first."""
    found = [
        item for item in run.results if item.case.scenario == scenario and all(name in item.figures for name in figures)
    ]
    return sorted(found, key=lambda item: (item.case.batch, -item.median_s))


def overlapped(run):
    """Run -> Section of two engines at once, or None."""
    found = found_in(run, "overlapped", "queries", "wall_s")
    if not found:
        return None
    rows = []
    for item in found:
        alone = next((other for other in run.results if other.case == item.case._replace(
            scenario="single" if item.case.batch == 1 else "batch")), None)  # fmt: skip
        beside = beside_eager(run, item)
        rows.append([label(item.case), str(item.case.batch), short(item.samples_per_s),
                     "" if alone is None else short(alone.samples_per_s),
                     "" if alone is None else short(item.samples_per_s / alone.samples_per_s),
                     "" if beside is None else interval(beside)])  # fmt: skip
    head = ["system", "batch", "images/s, two at once", "images/s, one alone", "gain", "times as fast as eager (95 %)"]
    notes = sorted(set(item.note for item in found if item.note))
    lead = ["Two engines of a system, each in a thread of its own: queries over wall time. On a GPU one's "
    "copies overlap with the "
            "other's work, as trtexec defines throughput."]  # fmt: skip
    return Section("overlapped", "Overlapped", lead, [], [Table("Two engines at once", head, rows, 1)],
                   ["{}.".format(note) for note in notes])  # fmt: skip


def cold(run):
    """Run -> Section of the way from a new process to the first image, or None."""
    found = found_in(run, "cold", *[name for name, _ in PHASES])
    if not found:
        return None
    rows = [{"label": label(item.case), "values": [1e3 * phases(item)[name] for name, _ in PHASES]} for item in found]
    alt = "From process start to the first image: {}.".format("; ".join(
        "{} {}".format(label(item.case), seconds(item.median_s)) for item in found))  # fmt: skip
    data = {"rows": rows, "parts": [name for _, name in PHASES], "xlabel": "milliseconds"}
    picture = Picture("cold", "From process start to the first image", alt, "stacked", data)
    starts = min(len(item.rounds) for item in found)
    lead = ["A new process each time, median of {} starts; what lies on disk may still be in memory, as for an "
    "application that "
            "is started again. The first call also pays for allocations and caches: steady calls stand beside "
            "it.".format(starts)]  # fmt: skip
    return Section("cold", "Cold start", lead, [picture], [cold_table(found)])


def phases(result):
    """Result of the cold scenario -> {phase: median seconds}"""
    return {name: float(np.median(value)) for name, value in result.figures.items() if name.endswith("_s")}


def cold_table(found):
    head = ["system"] + [name + ", ms" for _, name in PHASES] + ["to the first image, ms", "steady call, ms"]
    rows = []
    for item in found:
        part = phases(item)
        rows.append([label(item.case)] + [milli(part[name]) for name, _ in PHASES] + [milli(item.median_s)])
        rows[-1].append(milli(part["steady_s"]) if "steady_s" in part else "")
    return Table("Cold start by system", head, rows)


def paced(run):
    """Run -> Section of deadlines missed and jitter at a fixed rate, or None."""
    found = found_in(run, "paced", "missed", "rate_hz", "lateness_s")
    if not found:
        return None
    rows = [
        {"label": label(item.case), "family": family(item.case.system), "values": list(1e3 * done(item)),
         "p90": 1e3 * percentile(done(item), 90)}
        for item in found
    ]  # fmt: skip
    alt = "Missed deadlines at a fixed rate: {}.".format("; ".join(
        "{} {} of {}".format(label(item.case), item.figures["missed"], frames(item)) for item in found))  # fmt: skip
    rates = set(item.figures["rate_hz"] for item in found)
    data = {"rows": rows, "xlabel": "milliseconds from due to done"}
    if len(rates) == 1 and any(item.figures["missed"] for item in found):
        data["line"] = 1e3 / rates.pop()
    picture = Picture("paced", "From due to done at a fixed rate", alt, "spread", data,
                      "black line: when the next is due" if "line" in data else "")  # fmt: skip
    lead = ["One image is due every so often, with idle gaps between, as for a camera or a display; one is "
    "missed when it is not "
            "done before the next is due."]  # fmt: skip
    return Section("paced", "At a fixed rate", lead, [picture], [paced_table(found)])


def frames(result):
    return len(result.figures["lateness_s"])


def done(result):
    """Seconds from when each frame was due until it was done, (frames,)."""
    return np.asarray(result.figures["lateness_s"], float) + 1.0 / result.figures["rate_hz"]


def paced_table(found):
    head = [
        "system",
        "rate, Hz",
        "frames",
        "missed",
        "missed, %",
        "call, median ms",
        "due to done, median ms",
        "p99 ms",
    ]
    head += ["slowest ms", "jitter (p99 - median), ms"]
    rows = []
    for item in found:
        middle, far, most = (percentile(done(item), percent) for percent in (50, 99, 100))
        missed = item.figures["missed"]
        rows.append([label(item.case), "{:.6g}".format(item.figures["rate_hz"]), str(frames(item)), str(missed),
                     short(100.0 * missed / frames(item)), milli(item.median_s)])  # fmt: skip
        rows[-1] += [milli(middle), milli(far), milli(most), milli(far - middle)]
    return Table("Deadlines at a fixed rate", head, rows)
