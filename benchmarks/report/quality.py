"""Quality beside speed: how far a system's output is from the reference, and how good the model is."""

from .latency import milli, timed
from .names import family, label, seconds, share, short
from .parts import Picture, Section, Table


def section(run):
    """Run -> Section, or None where nothing was compared and nothing is known of the model."""
    found = smallest_batch(run)
    checked = [item for item in found if item.largest_difference is not None]
    figures = run.bundle.get("quality") or {}
    if not checked and not figures:
        return None
    tables = [table(found)] if checked else []
    tables += [model_table(figures)] if figures else []
    lead = ["Every system's output was compared with the bundle's reference, which eager PyTorch in float32 "
    "wrote, before and "
            "after it was timed; one that is too far off gets no time."]  # fmt: skip
    return Section("quality", "Quality beside speed", lead, [picture(checked)] if len(checked) > 1 else [], tables)


def smallest_batch(run):
    """One result a system: of its smallest batch size, by time; differences belong to systems, not to batch sizes."""
    kept = {}
    for item in timed(run):
        kept.setdefault((item.case.system, item.case.precision), item)
    return sorted(kept.values(), key=lambda item: -item.median_s)


def picture(checked):
    floor = 1e-8
    points = [
        {"label": label(item.case), "family": family(item.case.system), "x": 1e3 * item.median_s,
         "y": max(item.largest_difference, floor)}
        for item in checked
    ]  # fmt: skip
    alt = "Latency and largest difference from the reference: {}.".format("; ".join(
        "{} {} and {}".format(label(item.case), seconds(item.median_s), tiny(item.largest_difference))
        for item in checked))  # fmt: skip
    data = {
        "points": points, "xlabel": "median milliseconds, batch {}".format(checked[0].case.batch),
        "ylabel": "largest difference",
    }  # fmt: skip
    return Picture("quality", "Speed and closeness: lower left is better", alt, "scatter", data,
                   "Largest absolute difference of a value from the reference; a level of 8 bits is "
                   "0.0039.")  # fmt: skip


def tiny(value):
    """A difference -> "1.2e-07", or "0"."""
    return "{:.1e}".format(value) if value else "0"


def table(found):
    levels = any(item.levels for item in found)
    head = ["system", "batch", "median ms", "largest difference"]
    head += ["values within 2 levels", "largest, levels"] if levels else []
    noted = any(item.note for item in found)
    rows = []
    for item in found:
        rows.append([label(item.case), str(item.case.batch), milli(item.median_s),
                     "not compared" if item.largest_difference is None else tiny(item.largest_difference)])  # fmt: skip
        if levels:
            within, largest = item.levels.get("within_2"), item.levels.get("largest")
            rows[-1] += ["" if within is None else share(within), "" if largest is None else short(largest)]
        rows[-1] += [item.note] if noted else []
    return Table(
        "Differences from the reference; a level is 1/255 of the range", head + (["note"] if noted else []), rows
    )


def model_table(figures):
    """Figures of `latentjet evaluate`: a number each, or {value, low, high, unit, count}."""
    rows = []
    for name, figure in figures.items():
        parts = figure if isinstance(figure, dict) else {"value": figure}
        bounds = [parts.get("low"), parts.get("high")]
        between = "{} to {}".format(*map(text, bounds)) if None not in bounds else ""
        rows.append([name.replace("_", " "), text(parts.get("value")), between, text(parts.get("unit", ""))])
    return Table("The model's own figures, by latentjet evaluate", ["figure", "value", "95 % interval", "unit"], rows)


def text(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "" if value is None else str(value)
    return short(value, 4) if abs(value) >= 1e-4 or value == 0 else tiny(value)
