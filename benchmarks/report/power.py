"""Power, clocks and the rounds over the time of a run; energy and memory by case."""

from .latency import timed
from .names import family, label, scaled, short
from .parts import Picture, Section, Table


def section(run):
    """Run -> Section, or None where nothing was recorded."""
    pictures = [item for item in (watts(run), megahertz(run), rounds(run)) if item]
    memory = memory_table(run)
    tables = [item for item in (energy_table(run), memory) if item]
    if not pictures and not tables:
        return None
    title = "Power, clocks and rounds over time" if run.power or run.clocks else "Over the time of the run"
    lead = []
    if run.power and run.power.get("idle_w"):
        lead = ["Idle, before the run: {}.".format(
            ", ".join("{} {} W".format(rail, short(value)) for rail, value in run.power["idle_w"].items())
        )]  # fmt: skip
    left_out = sorted({item.memory["left_out"] for item in run.results if memory and item.memory.get("left_out")})
    notes = ["{}: {}.".format(", ".join(without_gpu(run, text)), text) for text in left_out]
    return Section("power", title, lead, pictures, tables, notes)


def without_gpu(run, text):
    """Labels of the systems whose memory leaves something out, each once."""
    return list(dict.fromkeys(label(item.case) for item in run.results if item.memory.get("left_out") == text))


def watts(run):
    """Picture of the rails' power over time, or None."""
    if not run.power or not run.power.get("samples"):
        return None
    series = traces(run.power["rails"], run.power["samples"], 1.0)
    return over_time("power", "Power of each rail", series, "watts", "W")


def megahertz(run):
    """Picture of the clocks over time, or None."""
    if not run.clocks or not run.clocks.get("samples"):
        return None
    series = traces(run.clocks["names"], run.clocks["samples"], 1e-6)
    return over_time("clocks", "Clocks", series, "megahertz", "MHz")


def traces(names, samples, factor):
    """Names, [[t_s, value of each ...], ...] -> series; a value that could not be read (null) is a gap."""
    found = []
    for column, name in enumerate(names, 1):
        points = [(row[0], factor * row[column]) for row in samples if len(row) > column and row[column] is not None]
        if points:
            xs, ys = zip(*points)
            found.append({"label": name, "x": list(xs), "y": list(ys)})
    return found


def over_time(name, title, series, ylabel, unit):
    if not series:
        return None
    told = "; ".join("{} between {} and {} {}".format(
        item["label"], short(min(item["y"])), short(max(item["y"])), unit) for item in series)  # fmt: skip
    data = {"series": series, "xlabel": "seconds since the start", "ylabel": ylabel}
    return Picture(name, title + " over time", "{} over time: {}.".format(title, told), "lines", data)


def rounds(run):
    """Picture of every system's median in each round over its median round, at its smallest batch size; or None."""
    first = {}
    for item in timed(run):
        first.setdefault(label(item.case), item)
    if not first or min(len(item.rounds) for item in first.values()) < 4:
        return None
    series, styles = [], {}
    for name, item in first.items():
        medians = item.round_medians()
        middle = sorted(medians)[len(medians) // 2]
        kind = family(item.case.system)
        styles[kind] = styles.get(kind, -1) + 1
        series.append({"label": name, "family": kind, "style": styles[kind], "x": list(range(1, len(medians) + 1)),
                       "y": [float(value / middle) for value in medians]})  # fmt: skip
    alt = "Each round's median over the median round: {}.".format("; ".join(
        "{} between {} and {}".format(item["label"], short(min(item["y"])), short(max(item["y"]))) for item in series
    ))  # fmt: skip
    values = [value for item in series for value in item["y"]]
    limits = (min(0.9, 0.98 * min(values)), max(1.1, 1.02 * max(values)))
    data = {"series": series, "xlabel": "round", "ylabel": "a round's median / median round", "ylim": limits}
    return Picture("rounds", "Was the machine steady?", alt, "lines", data,
                   "Flat lines at 1: steady. Lines that rise together: the machine slowed down; ratios hold all "
                   "the same.")  # fmt: skip


def energy_table(run):
    rows = [
        [label(item.case), item.case.scenario, str(item.case.batch), short(1e3 * item.energy_j_per_image)]
        for item in run.results if item.energy_j_per_image is not None
    ]  # fmt: skip
    if not rows:
        return None
    of = (run.power or {}).get("total") or "all rails"
    return Table(
        "Energy an image ({}), what the idle machine takes included".format(of),
        ["system", "scenario", "batch", "mJ"],
        rows,
        2,
    )


def memory_table(run):
    rows = []
    for item in run.results:
        found = [item.memory.get(name) for name in ("process_bytes", "device_bytes")]
        if any(found):
            rows.append([label(item.case), item.case.scenario, str(item.case.batch)]
                        + ["" if value is None else mebibytes(value) for value in found])  # fmt: skip
    return (
        Table("Memory", ["system", "scenario", "batch", "process, MiB", "device, MiB"], rows, 2, True) if rows else None
    )


def mebibytes(value):
    return short(value / 2.0**20)


def energy(result):
    """Joules an image as text."""
    return scaled(result.energy_j_per_image, "J")
