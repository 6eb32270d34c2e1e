"""A run as text for the terminal."""

from .. import summary
from ..results import ratio
from .names import label, machine

COLUMNS = "  {:>5}  {:<20} {:>11} {:>11} {:>11} {:>11}  {:<26} {}"


def shown(run):
    """Run -> text: the table of its latencies, and a line for all else that was measured."""
    plain = summary.latencies(run)
    return "\n".join(([table(plain)] if plain.results else []) + summary.lines(run))


def heading(run):
    """What ran where."""
    threads = run.settings["threads"]
    mode = run.machine.get("power_mode")
    return "{} '{}' on {}{}, {} thread{}; {}".format(
        run.bundle["family"], run.bundle["graph"], machine(run), ", mode {}".format(mode) if mode else "", threads,
        "" if threads == 1 else "s each", run.started,
    )  # fmt: skip


def table(run):
    """Run -> text: medians, trtexec's percentiles, samples/s, ratio over eager with its 95 % interval."""
    lines = [
        heading(run),
        COLUMNS.format("batch", "system", "median ms", "p90 ms", "p99 ms", "samples/s", "times as fast as eager", ""),
    ]
    for result in sorted(run.results, key=lambda item: (item.case.batch, -item.median_s)):
        lines.append(row(run, result))
    return "\n".join(line.rstrip() for line in lines)


def row(run, result):
    baseline = run.baseline(result)
    beside = "" if baseline is None else "{:.2f} ({:.2f} to {:.2f})".format(*ratio(result, baseline))
    return COLUMNS.format(
        result.case.batch, label(result.case), "{:.4f}".format(1e3 * result.median_s),
        "{:.4f}".format(1e3 * result.percentile_s(90)), "{:.4f}".format(1e3 * result.percentile_s(99)),
        "{:.0f}".format(result.samples_per_s), beside, result.note,
    )  # fmt: skip
