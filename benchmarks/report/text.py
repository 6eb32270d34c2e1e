"""A run as a table for the terminal."""

from ..results import ratio

COLUMNS = "  {:>5}  {:<8} {:>11} {:>11} {:>11} {:>11}  {:<26} {}"


def table(run):
    """Run -> text: medians, trtexec's percentiles, samples/s, ratio over eager with its 95 % interval."""
    machine, bundle = run.machine, run.bundle
    lines = [
        "{} '{}' on {}, {} thread{} each, float32; {}".format(
            bundle["family"], bundle["graph"], machine.get("board") or machine.get("processor"),
            run.settings["threads"], "" if run.settings["threads"] == 1 else "s", run.started,
        ),
        COLUMNS.format("batch", "system", "median ms", "p90 ms", "p99 ms", "samples/s", "times as fast as eager", ""),
    ]  # fmt: skip
    for result in sorted(run.results, key=lambda item: (item.case.batch, -item.median_s)):
        lines.append(row(run, result))
    return "\n".join(line.rstrip() for line in lines)


def row(run, result):
    baseline = run.baseline(result)
    beside = "" if baseline is None else "{:.2f} ({:.2f} to {:.2f})".format(*ratio(result, baseline))
    return COLUMNS.format(
        result.case.batch, result.case.system, "{:.4f}".format(1e3 * result.median_s),
        "{:.4f}".format(1e3 * result.percentile_s(90)), "{:.4f}".format(1e3 * result.percentile_s(99)),
        "{:.0f}".format(result.samples_per_s), beside, result.note,
    )  # fmt: skip
