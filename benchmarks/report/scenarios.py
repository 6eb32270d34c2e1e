"""Cold start and a fixed rate."""

import numpy as np

from ..results import percentile
from .latency import milli
from .names import family, label, seconds, short
from .parts import Picture, Section, Table

PHASES = (
    ("start_s", "start and imports"), ("load_s", "load"), ("first_s", "first call"), ("second_s", "second call"),
)  # fmt: skip


def cold(run):
    """Run -> Section of the way from a new process to the first image, or None."""
    found = [item for item in run.results if item.case.scenario == "cold" and phases(item)]
    if not found:
        return None
    found.sort(key=lambda item: -sum(phases(item).values()))
    names = [name for name, _ in PHASES if any(name in phases(item) for item in found)]
    names += sorted(set(name for item in found for name in phases(item)) - set(names) - {"steady_s"})
    drawn = [name for name in names if name != "second_s"]
    rows = [{"label": label(item.case), "values": [1e3 * phases(item).get(name, 0) for name in drawn]} for item in found]
    words = dict(PHASES)
    parts = [words.get(name, name[:-2].replace("_", " ")) for name in drawn]
    alt = "From process start to the first image: {}.".format("; ".join(
        "{} {}".format(row["label"], seconds(sum(row["values"]) / 1e3)) for row in rows))  # fmt: skip
    picture = Picture("cold", "From process start to the first image", alt, "stacked",
                      {"rows": rows, "parts": parts, "xlabel": "milliseconds"})  # fmt: skip
    return Section("cold", "Cold start", [
        "A new process for each start, the median of the starts. The steady call stands beside the first, since the first "
        "also pays for allocations and caches."], [picture], [cold_table(found, names, words)])  # fmt: skip


def phases(result):
    """Result of the cold scenario -> {phase that ends in _s: seconds}; the median where it was repeated."""
    found = {}
    for name, value in result.figures.items():
        if name.endswith("_s") and name != "total_s" and value not in (None, []):
            found[name] = float(np.median(value))
    return found


def cold_table(found, names, words):
    steady = any("steady_s" in phases(item) for item in found)
    head = ["system"] + [words.get(name, name[:-2].replace("_", " ")) + ", ms" for name in names]
    head += ["to the first image, ms"] + (["steady call, ms"] if steady else [])
    rows = []
    for item in found:
        part = phases(item)
        first = sum(value for name, value in part.items() if name not in ("steady_s", "second_s"))
        rows.append([label(item.case)] + [milli(part[name]) if name in part else "" for name in names] + [milli(first)])
        rows[-1] += ([milli(part["steady_s"])] if "steady_s" in part else [""]) if steady else []
    return Table("Cold start by system", head, rows)


def paced(run):
    """Run -> Section of deadlines missed and jitter at a fixed rate, or None."""
    found = [item for item in run.results if item.case.scenario == "paced" and "missed" in item.figures]
    if not found:
        return None
    found.sort(key=lambda item: (item.case.batch, item.figures.get("rate_hz", 0), -lateness(item, 99)))
    rows = [
        {"label": label(item.case), "family": family(item.case.system),
         "values": [1e3 * value for value in item.figures["lateness_s"]], "p90": 1e3 * lateness(item, 90)}
        for item in found if item.figures.get("lateness_s")
    ]  # fmt: skip
    alt = "Missed deadlines at a fixed rate: {}.".format("; ".join(
        "{} {} of {}".format(label(item.case), count(item.figures["missed"]), calls(item)) for item in found))  # fmt: skip
    data = {"rows": rows, "xlabel": "milliseconds from due to done"}
    pictures = [Picture("paced", "Lateness at a fixed rate", alt, "spread", data)] if rows else []
    return Section("paced", "At a fixed rate", [
        "Images are asked for at a fixed rate, with idle gaps between, as a camera would; one is missed when it is not there "
        "before the next is due."], pictures, [paced_table(found)])  # fmt: skip


def count(missed):
    """A count, or a list of them, one a round."""
    return int(sum(missed)) if isinstance(missed, (list, tuple)) else int(missed)


def calls(result):
    return len(result.figures.get("lateness_s") or result.seconds)


def lateness(result, percent):
    values = result.figures.get("lateness_s")
    return percentile(np.asarray(values, float), percent) if values else 0.0


def paced_table(found):
    head = ["system", "batch", "rate, Hz", "calls", "missed", "missed, %", "call, median ms"]
    head += ["late, median ms", "late, p99 ms", "jitter (p99 - p50), ms"]
    rows = []
    for item in found:
        missed, late = count(item.figures["missed"]), bool(item.figures.get("lateness_s"))
        middle, far = lateness(item, 50), lateness(item, 99)
        rate = item.figures.get("rate_hz")
        rows.append([label(item.case), str(item.case.batch), "" if rate is None else "{:.6g}".format(rate), str(calls(item)), str(missed),
                     short(100.0 * missed / calls(item)), milli(item.median_s)])  # fmt: skip
        rows[-1] += [milli(middle), milli(far), milli(far - middle)] if late else ["", "", ""]
    return Table("Deadlines at a fixed rate", head, rows)
