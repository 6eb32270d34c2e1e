"""What a run says besides its table of latencies: scenarios that are more than a latency, the harness, and remarks."""

import numpy as np

from .results import percentile

LATENCIES = ("single", "batch")


def latencies(run):
    """A Run with only the results that are plain latencies."""
    return run._replace(results=tuple(item for item in run.results if item.case.scenario in LATENCIES))


def lines(run):
    """A Run -> lines: each result of the other scenarios, energy, and what the harness itself costs."""
    found = [told(result) for result in run.results if result.case.scenario not in LATENCIES]
    found += devices(run) + energies(run)
    harness = run.settings.get("harness_s", {})
    if harness:
        costs = ", ".join("{:.1f} us at batch {}".format(1e6 * harness[batch], batch) for batch in harness)
        found.append("of every call the harness itself takes {} (replay engine)".format(costs))
    return found


def told(result):
    """One line on a result of the scenarios overlapped, paced or cold."""
    case, figures = result.case, result.figures
    start = "{:<10} batch {:<3} {:<19} ".format(case.scenario, case.batch, case.system)
    if case.scenario == "overlapped":
        text = "{:.0f} samples/s by wall clock".format(result.samples_per_s)
    elif case.scenario == "paced":
        begun, spare = (1e3 * percentile(figures[name], 99) for name in ("started_s", "lateness_s"))
        text = "{:g} Hz: {} of {} deadlines missed; 99 in 100 began within {:.3f} ms and had {:.3f} ms to spare".format(
            figures["rate_hz"], figures["missed"], figures["frames"], begun, -spare
        )
    else:
        parts = {name: np.median(figures[name]) for name in ("start_s", "load_s", "first_s", "steady_s")}
        text = (
            "first image after {:.2f} s: start {start_s:.2f}, load {load_s:.2f}, first call {first_s:.4f}; "
            "later ones {steady_s:.4f} s".format(result.median_s, **parts)
        )
    return start + text + (" ({})".format(result.note) if result.note else "")


def devices(run):
    """A line on what the device's own clock said, where there is one."""
    known = [item for item in run.results if item.device_rounds is not None]
    if not known:
        return []
    costs = [
        "{} at batch {} {:.4f}".format(item.case.system, item.case.batch, 1e3 * float(np.median(item.device_seconds)))
        for item in known
    ]
    return ["median ms by the device's own clock: {}".format(", ".join(costs))]


def energies(run):
    """A line on energy where rails were read, with the idle baseline."""
    known = [item for item in run.results if item.energy_j_per_image is not None]
    if not known or not run.power:
        return []
    idle = run.power["idle_w"]
    total = run.power["total"]
    baseline = idle.get(total) if total else sum(idle.values())
    costs = [
        "{} batch {} {:.2f}".format(item.case.system, item.case.batch, 1e3 * item.energy_j_per_image) for item in known
    ]
    text = "mJ an image, {} (idle {} W included): {}"
    what = total or "all rails together"
    return [text.format(what, "not known" if baseline is None else "{:.2f}".format(baseline), ", ".join(costs))]


def remarks(run):
    """A Run -> lines for standard error: what was left out and why, and warnings with their advice."""
    by_reason = {}
    for item in run.settings.get("left_out", []):
        by_reason.setdefault(item["reason"], []).append(item["system"])
    found = ["left out: {}: {}".format(", ".join(systems), reason) for reason, systems in by_reason.items()]
    return found + ["warning: {}; {}".format(item["what"], item["advice"]) for item in run.warnings]
